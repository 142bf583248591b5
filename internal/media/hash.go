// Package media takes in photos, videos and documents, keeps them as files named by their
// SHA-256, gives them out again and moves them between edge and cloud on a lane of their
// own.
//
// Bytes are "present" only if they hash to their name: what does not is set aside and
// never served. What was acknowledged is on the disk. Nothing here decides who may see a
// file: that is asked of the ports Authorizer and Catalogue.
package media

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Hash is the SHA-256 of a blob and so its name.
type Hash [sha256.Size]byte

// ParseHash reads the lower-case hexadecimal form.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if err := h.UnmarshalText([]byte(s)); err != nil {
		return Hash{}, err
	}
	if h.IsZero() {
		return Hash{}, errors.New("the hash is empty")
	}
	return h, nil
}

// HashOf reads everything and returns its hash and length.
func HashOf(r io.Reader) (Hash, int64, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, r)
	if err != nil {
		return Hash{}, n, fmt.Errorf("hash: %w", err)
	}
	return Hash(sum.Sum(nil)), n, nil
}

// String is the lower-case hexadecimal form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether no hash is set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes the hexadecimal form; an unset hash is empty.
func (h Hash) MarshalText() ([]byte, error) {
	if h.IsZero() {
		return nil, nil
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads what MarshalText wrote. Upper case is refused: a name has one form.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = Hash{}
		return nil
	}
	var out Hash
	if n, err := hex.Decode(out[:], text[:min(len(text), 2*len(out))]); err != nil || n != len(out) || out.String() != string(text) {
		return fmt.Errorf("%d characters are no SHA-256 in lower-case hexadecimal", len(text))
	}
	*h = out
	return nil
}
