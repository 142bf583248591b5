package auth

import (
	"crypto/sha256"
	"io"
	"log/slog"
)

// redacted is what a secret prints as, wherever it is printed.
const redacted = "[secret]"

// Secret is a text that must not reach a log: a password, a token or a code. Every usual
// way of printing it (fmt, slog, JSON) gives a placeholder; Reveal gives the text itself.
//
// The text sits behind a pointer because fmt calls no method of unexported fields: printing
// a struct that holds a secret shows an address.
type Secret struct{ text *string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal is the text itself, to be sent to its owner and nowhere else. A zero Secret is "".
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String is a placeholder.
func (s Secret) String() string { return redacted }

// GoString is a placeholder, for %#v.
func (s Secret) GoString() string { return redacted }

// LogValue is a placeholder, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is a placeholder, for JSON; what sends a secret calls Reveal.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// TokenHash is the SHA-256 of a secret with at least 100 random bits. It is what stores
// keep: such a secret cannot be found from it, so no slow hash is needed.
type TokenHash [sha256.Size]byte

func hashToken(text string) TokenHash { return sha256.Sum256([]byte(text)) }

// randomBytes reads n bytes of a source of random bytes.
func randomBytes(random io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	return b, nil
}
