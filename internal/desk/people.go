package desk

import (
	"crypto/ed25519"

	"estate/sync/record"
)

// Member is a person in a building as staff see them.
type Member struct {
	Person record.ID   `json:"person"`
	Name   string      `json:"name"`
	Email  string      `json:"email,omitempty"`
	Role   string      `json:"role"`
	Units  []record.ID `json:"units,omitempty"`
	Active bool        `json:"active"`
	// PasswordHash and Disabled go into the credential record, to edges only.
	PasswordHash string `json:"-"`
	Disabled     bool   `json:"-"`
}

// Account is what sign-in at an edge needs of a person. It is never part of an answer.
type Account struct {
	Person       record.ID
	Email        string
	PasswordHash string
	Disabled     bool
}

// Node is an edge or an installed app that may write in a building.
type Node struct {
	ID        record.ID
	Tier      record.Tier // edge or phone
	PublicKey ed25519.PublicKey
	Person    record.ID // whose phone it is
	Name      string
	Revoked   bool
}
