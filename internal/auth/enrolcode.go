package auth

import (
	"errors"
	"io"
	"math/big"
	"strings"

	"estate/internal/problem"
)

// An enrolment code is 20 characters of Crockford's base32 (100 random bits) and his check
// character, a remainder by 37, which finds every single wrong character and every swap of
// neighbours. People read it out and type it: ABCDE-FGHJK-MNPQR-STVWX-Y.
const (
	crockford     = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	codeChars     = 20
	codeGroup     = 5
	codeModulus   = 37
	codeTextBytes = 64 // a typed code with all its spaces and dashes
	// codeTriesMax bounds the search for a code whose check character is a letter or digit:
	// 32 of 37 are, so this many failures mean a broken source of random bytes.
	codeTriesMax = 64
)

// EnrolCode is a one-time code that lets a new node enrol. It is a secret.
type EnrolCode struct{ text Secret }

// NewEnrolCode makes a code. Only codes whose check character is one of the 32 plain ones
// are used, so that no one has to read out Crockford's * ~ $ = U.
func NewEnrolCode(random io.Reader) (EnrolCode, error) {
	for range codeTriesMax {
		b, err := randomBytes(random, codeChars)
		if err != nil {
			return EnrolCode{}, err
		}
		text := make([]byte, codeChars, codeChars+1)
		for i := range text {
			text[i] = crockford[b[i]%32]
		}
		if check := codeCheck(string(text)); check < len(crockford) {
			return EnrolCode{text: NewSecret(string(append(text, crockford[check])))}, nil
		}
	}
	return EnrolCode{}, errors.New("auth: the source of random bytes is broken")
}

// ParseEnrolCode reads what a person typed: in any case, with O for 0, I or L for 1, and
// spaces and dashes anywhere. It returns enrol_code_invalid, which a typing error nearly
// always is, before any store is asked.
func ParseEnrolCode(text string) (EnrolCode, error) {
	bad := problem.New(problem.EnrolCodeInvalid, "")
	if len(text) > codeTextBytes {
		return EnrolCode{}, bad
	}
	code := make([]byte, 0, codeChars+1)
	for _, r := range text {
		switch {
		case r == '-' || r == ' ' || r == '\t' || r == '\r' || r == '\n' ||
			r == '\u00a0' || r == '\u2010' || r == '\u2011' || r == '\u2013':
			continue // also the spaces and dashes that phones and documents put in
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		switch r {
		case 'O':
			r = '0'
		case 'I', 'L':
			r = '1'
		}
		if !strings.ContainsRune(crockford, r) || len(code) > codeChars {
			return EnrolCode{}, bad
		}
		code = append(code, byte(r))
	}
	if len(code) != codeChars+1 || codeCheck(string(code[:codeChars])) != strings.IndexByte(crockford, code[codeChars]) {
		return EnrolCode{}, bad
	}
	return EnrolCode{text: NewSecret(string(code))}, nil
}

// codeCheck is the number of 100 bits modulo 37.
func codeCheck(text string) int {
	n := new(big.Int)
	for i := range len(text) {
		n.Lsh(n, 5).Or(n, big.NewInt(int64(strings.IndexByte(crockford, text[i]))))
	}
	return int(n.Mod(n, big.NewInt(codeModulus)).Int64())
}

// Reveal is the code as people read it, to be shown once to who asked for it.
func (c EnrolCode) Reveal() string {
	text := c.text.Reveal()
	var b strings.Builder
	for at := 0; at < len(text); at += codeGroup {
		if at > 0 {
			b.WriteByte('-')
		}
		b.WriteString(text[at:min(at+codeGroup, len(text))])
	}
	return b.String()
}

// Hash is what stores keep of the code.
func (c EnrolCode) Hash() TokenHash { return hashToken(c.text.Reveal()) }

// String is a placeholder.
func (c EnrolCode) String() string { return redacted }

// GoString is a placeholder, for %#v.
func (c EnrolCode) GoString() string { return redacted }

// MarshalText is a placeholder, for slog and JSON; what shows a code calls Reveal.
func (c EnrolCode) MarshalText() ([]byte, error) { return []byte(redacted), nil }
