// Package backup is the file that a backup of an edge or of the cloud is kept in: a
// compressed tar archive whose last entry, the manifest, names every other one with its
// size and SHA-256 and says what the store held at that moment.
//
// It must never give an archive its name before it was read back and found whole, and
// never put anything in place that does not match the manifest.
package backup

import (
	"errors"
	"fmt"
	"time"
)

// ErrArchive says that a file is no backup or not whole. Nothing of it was put in place.
var ErrArchive = errors.New("backup: the archive is damaged or no backup")

// The roles whose state an archive may hold.
const (
	RoleEdge  = "edge"
	RoleCloud = "cloud"
)

const (
	// Format is the version of the archive's form. A program reads its own and older ones.
	Format       = 1
	manifestName = "manifest.json"
	// manifestBytesMax bounds what is read into memory: a million entries.
	manifestBytesMax = 256 << 20
)

// Manifest says what an archive holds.
type Manifest struct {
	Format  int       `json:"format"`
	Role    string    `json:"role"`
	Made    time.Time `json:"made"`
	Program string    `json:"program"` // version of the program that made it
	Node    string    `json:"node"`
	// Schema is the version of the store's migrations.
	Schema    int64      `json:"schema"`
	Buildings []Building `json:"buildings"`
	Tables    []Table    `json:"tables,omitempty"` // of the cloud, in the order to restore them
	Entries   []Entry    `json:"entries"`
	// Skipped names files that were not taken, and why: a photo whose bytes no longer have
	// the hash of its name.
	Skipped []string `json:"skipped,omitempty"`
}

// Building is what the store held of a building when the backup was made.
type Building struct {
	ID       string `json:"id"`
	Position uint64 `json:"position"` // last feed position given out
	Records  int64  `json:"records"`
	Events   int64  `json:"events"`
	Chains   int64  `json:"chains"`
}

// Table is one table of the cloud's database.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
}

// Entry is one file of the archive.
type Entry struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Bytes is the size of everything in the archive, before compression.
func (m Manifest) Bytes() int64 {
	var n int64
	for _, e := range m.Entries {
		n += e.Bytes
	}
	return n
}

// Check says whether this program can restore the archive as a role.
func (m Manifest) Check(role string) error {
	switch {
	case m.Format < 1 || m.Format > Format:
		return fmt.Errorf("%w: it has form %d, this program reads up to %d: use the newer program", ErrArchive, m.Format, Format)
	case m.Role != role:
		return fmt.Errorf("%w: it is a backup of the %s, not of the %s", ErrArchive, m.Role, role)
	}
	return nil
}
