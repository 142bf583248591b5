package auth

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"estate/sync/record"
)

// IssuerCloud is the issuer of the cloud's tokens.
const IssuerCloud = "cloud"

// IssuerEdge is the issuer of one edge's tokens.
func IssuerEdge(node record.ID) string { return "edge:" + node.String() }

// KeyID names a public key: its JWK thumbprint (RFC 7638, RFC 8037 appendix A.3).
func KeyID(public ed25519.PublicKey) string {
	x := base64.RawURLEncoding.EncodeToString(public)
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Signer signs tokens in the name of one issuer.
type Signer struct {
	issuer string
	kid    string
	// key is behind a function, so that no fmt verb can print it for whatever holds a Signer.
	key func() ed25519.PrivateKey
}

// NewSigner makes a signer; it refuses an empty issuer and a key of the wrong length.
func NewSigner(issuer string, key ed25519.PrivateKey) (Signer, error) {
	if issuer == "" || len(key) != ed25519.PrivateKeySize {
		return Signer{}, errors.New("auth: a signer needs an issuer and an Ed25519 key")
	}
	public, _ := key.Public().(ed25519.PublicKey)
	return Signer{issuer: issuer, kid: KeyID(public), key: func() ed25519.PrivateKey { return key }}, nil
}

// Issuer is the name that the signer's tokens carry.
func (s Signer) Issuer() string { return s.issuer }

// Public is the key that verifies the signer's tokens, for other nodes' key rings.
func (s Signer) Public() ed25519.PublicKey {
	public, _ := s.key().Public().(ed25519.PublicKey)
	return public
}

// String names the signer without its key.
func (s Signer) String() string { return s.issuer + " " + s.kid }

// GoString names the signer without its key, for %#v.
func (s Signer) GoString() string { return s.String() }

// IssuerKey is a public key that a node trusts for one issuer's tokens.
type IssuerKey struct {
	Issuer string
	Public ed25519.PublicKey
	// Building, where set, is the only building that this issuer may vouch for: an edge's.
	Building record.ID
	// Until, where set, is when the key stops being trusted: a rotated key is kept for as
	// long as its last token lives.
	Until time.Time
}

// Keyring holds the public keys whose tokens a node accepts. At an edge that is the cloud's
// and its own; at the cloud only its own, so no edge can vouch for anyone there. It may be
// read and changed at once.
type Keyring struct {
	changing sync.Mutex
	keys     atomic.Pointer[map[string]IssuerKey]
	verified verified
}

// NewKeyring makes a key ring; it refuses a key without issuer or of the wrong length.
func NewKeyring(keys ...IssuerKey) (*Keyring, error) {
	k := &Keyring{}
	if err := k.Replace(keys...); err != nil {
		return nil, err
	}
	return k, nil
}

// Replace swaps all keys at once, as when an edge has heard the cloud's new list. On an
// error nothing changes.
func (k *Keyring) Replace(keys ...IssuerKey) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	return k.replace(keys)
}

func (k *Keyring) replace(keys []IssuerKey) error {
	next := make(map[string]IssuerKey, len(keys))
	for _, key := range keys {
		if key.Issuer == "" || len(key.Public) != ed25519.PublicKeySize {
			return fmt.Errorf("auth: key of issuer %q is not usable", key.Issuer)
		}
		kid := KeyID(key.Public)
		if held, ok := next[kid]; ok && held.Issuer != key.Issuer {
			return fmt.Errorf("auth: issuers %q and %q share a key", held.Issuer, key.Issuer)
		}
		next[kid] = key
	}
	k.keys.Store(&next)
	return nil
}

// Rotate adds an issuer's new key and trusts its older ones until the given time only.
func (k *Keyring) Rotate(next IssuerKey, oldUntil time.Time) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	held := *k.keys.Load()
	keys := make([]IssuerKey, 0, len(held)+1)
	for kid, key := range held {
		if kid == KeyID(next.Public) {
			continue
		}
		if key.Issuer == next.Issuer && (key.Until.IsZero() || key.Until.After(oldUntil)) {
			key.Until = oldUntil
		}
		keys = append(keys, key)
	}
	return k.replace(append(keys, next))
}

// find gives the key of a kid that is trusted now.
func (k *Keyring) find(kid string, now time.Time) (IssuerKey, bool) {
	key, ok := (*k.keys.Load())[kid]
	if !ok || (!key.Until.IsZero() && !now.Before(key.Until)) {
		return IssuerKey{}, false
	}
	return key, true
}
