package auth

import (
	"crypto/sha256"
	"encoding/base64"

	"golang.org/x/crypto/argon2"

	"estate/sync/record"
)

// Derive is the function that makes a key of a password.
type Derive = func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte

// SetDerive replaces the slow function.
func (p *Passwords) SetDerive(d Derive) { p.derive = d }

// Argon2id is the slow function itself.
func Argon2id() Derive { return argon2.IDKey }

// PHCRoundTrip parses a hash and gives its text and costs again.
func PHCRoundTrip(text string) (again string, memoryKiB, time uint32, err error) {
	h, err := parsePHC(text)
	if err != nil {
		return "", 0, 0, err
	}
	return h.String(), h.memoryKiB, h.time, nil
}

// MaxHash is a hash with the highest costs that are accepted.
func MaxHash() string {
	return phc{memoryKiB: argonMemoryKiBMax, time: argonTimeMax, threads: argonThreadsMax,
		salt: make([]byte, argonSaltBytesMax), key: make([]byte, argonKeyBytesMax)}.String()
}

// CodeCheck is the check number of a code's text.
func CodeCheck(text string) int { return codeCheck(text) }

// RefreshText makes a well-formed refresh token of no session.
func RefreshText() string {
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(make([]byte, refreshBytes))
}

// EnrolAs makes a request that claims another node's id, signed with the node's own key.
func (k NodeKey) EnrolAs(code EnrolCode, server string, id record.ID) EnrolRequest {
	return EnrolRequest{Code: NewSecret(code.Reveal()), Node: id, Public: k.Public(), Signature: k.Sign(enrolMessage(code, server, id, k.Public()))}
}

// RefreshHash gives the hash of a refresh token's text, or false for what no mint made.
func RefreshHash(token Secret) (TokenHash, bool) { return refreshHash(token) }

// FillVerified makes a key ring remember as many tokens as it ever does.
func FillVerified(k *Keyring) {
	for i := range verifiedMax {
		k.verified.keep([sha256.Size]byte{byte(i), byte(i >> 8)}, verifiedToken{})
	}
}

// ForgetVerified makes a key ring forget the tokens that it verified.
func ForgetVerified(k *Keyring) { k.verified = verified{} }
