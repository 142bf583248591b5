// Package audit writes a building's audit chains as a file and checks such a file with no
// node at hand: every hash, every signature, every link, and against what another node
// signed for.
//
// The file holds events with their values, cards, signed heads and receipts, and what forks
// left beside chains, never the records. Checking must never trust a line because another line of the same file says so,
// except for what a signature or a hash binds.
package audit

import (
	"encoding/hex"
	"fmt"
	"time"

	"estate/sync/record"
)

// formatVersion is the version of the file's form.
const formatVersion = 1

// lineBytesMax bounds one line: an event with its details in base64, and some room.
const lineBytesMax = (record.EventBytesMax+record.DetailsBytesMax)/3*4 + 64<<10

// chainsMax bounds how many chains a check keeps in memory: nodes times restarts.
const chainsMax = 1 << 20

// line is one line of the file. Type says which of the fields count.
type line struct {
	Type string `json:"type"` // header, head, receipt, fork, branch, event, end

	// header
	Version    int        `json:"version,omitempty"`
	Building   record.ID  `json:"building,omitzero"`
	Node       record.ID  `json:"node,omitzero"`
	PublicKey  []byte     `json:"public_key,omitempty"`
	ExportedAt *time.Time `json:"exported_at,omitempty"`

	// head, receipt, fork (N is the first number with two events), branch, event
	Replica   record.ID `json:"replica,omitzero"`
	N         uint64    `json:"n,omitempty"`
	Hash      string    `json:"hash,omitempty"`
	Signature []byte    `json:"signature,omitempty"`

	// branch, event
	Body    []byte `json:"body,omitempty"`
	Details []byte `json:"details,omitempty"`

	// end
	Events uint64 `json:"events,omitempty"`
	Beside uint64 `json:"beside,omitempty"` // branch lines
}

// The types of lines.
const (
	typeHeader  = "header"
	typeHead    = "head"
	typeReceipt = "receipt"
	typeFork    = "fork"
	typeBranch  = "branch"
	typeEvent   = "event"
	typeEnd     = "end"
)

// Claim is what somebody signed: this replica's chain had N events, the last with this
// hash. A claim of another node about the same building shows when a chain was cut or
// rewritten since.
type Claim struct {
	Building record.ID
	Replica  record.ID
	N        uint64
	Hash     record.Hash
	// Source says whose claim it is, for the report.
	Source string
}

// Broken is the first thing that does not hold. Replica and N are zero where the file as a
// whole is meant.
type Broken struct {
	Replica record.ID
	N       uint64
	Line    int
	What    string
}

// Error names the link.
func (b *Broken) Error() string {
	if b.Replica.IsZero() {
		return fmt.Sprintf("line %d: %s", b.Line, b.What)
	}
	return fmt.Sprintf("replica %s, event %d (line %d): %s", b.Replica, b.N, b.Line, b.What)
}

// Report is what a check found.
type Report struct {
	Building   record.ID
	Node       record.ID // who exported
	ExportedAt time.Time
	Chains     int
	Events     uint64
	// Withheld counts events without their values that nothing in the file erased: their
	// hashes stand.
	Withheld uint64
	// Erasures are the cloud's events that erase values, as they come in the file. Erased
	// counts the events without values that they name, Unerased those that have theirs yet:
	// who exported had not taken the erasure in.
	Erasures []Erasure
	Erased   uint64
	Unerased uint64
	// Heads and Receipts count signatures that verified, Claims those of other nodes that
	// hold.
	Heads    int
	Receipts int
	Claims   int
	// Unsigned counts events behind the last number that their writer's signature reached
	// here: they link, and their writer may still sign others.
	Unsigned uint64
	// Forks are the chains with branches, and Beside counts the events of those.
	Forks  []Fork
	Beside uint64
}

// Erasure is an event that erases the values of others.
type Erasure struct {
	Event  record.Dot
	By     record.Actor
	At     time.Time
	Action string
	Events int // how many it names
}

func hashText(h record.Hash) string { return hex.EncodeToString(h[:]) }

func parseHash(s string) (h record.Hash, ok bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return h, false
	}
	return record.Hash(b), true
}
