package desk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// confirmationLife is how long a person may think about what they were shown.
	confirmationLife = time.Minute
	// confirmationBytesMax bounds a token from outside; ours are a few hundred bytes.
	confirmationBytesMax = 4096
	// confirmationUse keeps the key of tokens apart from whatever else the node's key is for.
	confirmationUse = "estate confirmation of an action 1"
)

// confirmation is what a person was shown and confirms: the content of a token.
type confirmation struct {
	_        struct{} `cbor:",toarray"`
	Building record.ID
	Person   record.ID
	Device   record.ID
	Control  string
	Value    string
	State    string
	Dangers  []string
	At       int64 // Unix milliseconds
}

// confirm makes a token. All processes of a cloud have one node's key, so any of them knows
// the others' tokens.
func (d *Desk) confirm(c confirmation) (string, error) {
	b, err := record.Marshal(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(b, d.confirmationMAC(b)...)), nil
}

func (d *Desk) confirmationMAC(b []byte) []byte {
	own := hmac.New(sha256.New, d.node.Key.Seed())
	own.Write([]byte(confirmationUse))
	m := hmac.New(sha256.New, own.Sum(nil))
	m.Write(b)
	return m.Sum(nil)
}

// confirmed reads a token, whatever its age. It must be this person's, about this device.
func (d *Desk) confirmed(token string, building, device, person record.ID) (confirmation, error) {
	var c confirmation
	bad := problem.New(problem.ConfirmationInvalid, "")
	if len(token) > confirmationBytesMax {
		return c, bad
	}
	b, err := fromToken(token)
	if err != nil || len(b) <= sha256.Size {
		return c, bad
	}
	text, mac := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if !hmac.Equal(mac, d.confirmationMAC(text)) || record.Unmarshal(text, &c) != nil {
		return c, bad
	}
	if c.Building != building || c.Device != device || c.Person != person {
		return c, bad
	}
	return c, nil
}
