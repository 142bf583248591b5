package desk

import (
	"encoding/json"
	"time"

	"estate/sync/record"
)

// Conflict is a field of a record that several people set to different values.
type Conflict struct {
	Kind     string        `json:"kind"`
	ID       record.ID     `json:"id"`
	Field    string        `json:"field"`
	Label    string        `json:"label,omitempty"` // what people call the record
	Ticket   record.ID     `json:"ticket,omitempty,omitzero"`
	Shown    any           `json:"shown"`
	Siblings []SiblingView `json:"siblings"`
	Seen     string        `json:"seen"`
}

// SiblingView is one of the values that stand in a conflict.
type SiblingView struct {
	Value  any     `json:"value"`
	Author *Person `json:"author,omitempty"`
	// Where names the tier at which it was written: cloud, edge or phone.
	Where     string     `json:"where,omitempty"`
	Stamp     time.Time  `json:"stamp"`
	EventTime *time.Time `json:"event_time,omitempty"`
	Shown     bool       `json:"shown"`
}

// Resolution is what somebody decided about a conflict. Value is in the field's JSON form.
type Resolution struct {
	Kind  string
	ID    record.ID
	Field string
	Value json.RawMessage
	Seen  string
}

// AuditFilter restricts a list of audit events: to one record (Kind and ID) or to what one
// person did.
type AuditFilter struct {
	Kind   string
	ID     record.ID
	Person record.ID
}

// AuditEvent is one transaction as managers see it.
type AuditEvent struct {
	Replica record.ID `json:"replica"`
	N       uint64    `json:"n"`
	Hash    string    `json:"hash"`
	Node    record.ID `json:"node,omitempty,omitzero"`
	Where   string    `json:"where,omitempty"`
	Action  string    `json:"action"`
	// Actor is a person; Automation is the program's name where it was none.
	Actor      *Person        `json:"actor,omitempty"`
	Automation string         `json:"automation,omitempty"`
	Stamp      time.Time      `json:"stamp"`
	EventTime  time.Time      `json:"event_time"`
	Changes    []AuditChange  `json:"changes,omitempty"`
	Refusals   []AuditRefusal `json:"refusals,omitempty"`
	// Erased says who erased the values; Erases counts the transactions that this one erases.
	Erased *AuditErasure `json:"erased,omitempty"`
	Erases int           `json:"erases,omitempty"`
}

// AuditChange is one field that a transaction wrote. Withheld values were erased or belong
// to a kind whose values never leave the store.
type AuditChange struct {
	Kind     string    `json:"kind"`
	ID       record.ID `json:"id"`
	Field    string    `json:"field"`
	Old      []any     `json:"old,omitempty"`
	New      []any     `json:"new,omitempty"`
	Withheld bool      `json:"withheld,omitempty"`
}

// AuditRefusal is a part of a phone's transaction that was not admitted, with the values
// that it brought. Replica and N name the transaction, whose event says who wrote it.
type AuditRefusal struct {
	Kind    string    `json:"kind"`
	ID      record.ID `json:"id"`
	Field   string    `json:"field"`
	Code    string    `json:"code"`
	Replica record.ID `json:"replica"`
	N       uint64    `json:"n"`
	Values  []any     `json:"values,omitempty"`
}

// SyncState says how far this node and the others are in step.
type SyncState struct {
	Building record.ID `json:"building"`
	Position uint64    `json:"position"`
	Chains   []Chain   `json:"chains"`
	// Outbox counts events of this node that no upper node has given a receipt for, and
	// OutboxSince is the time of the oldest. An upper node's own is always zero.
	Outbox      uint64        `json:"outbox"`
	OutboxSince *time.Time    `json:"outbox_since,omitempty"`
	Quarantine  []Quarantined `json:"quarantine"`
	// Notices are what happened between nodes that an operator must know. Whoever keeps them
	// adds them.
	Notices     []Notice `json:"notices"`
	ClockOffset int64    `json:"clock_offset_ms"`
}

// Chain is what this node holds of one replica.
type Chain struct {
	Replica   record.ID `json:"replica"`
	Node      record.ID `json:"node,omitempty,omitzero"`
	Tier      string    `json:"tier,omitempty"`
	Held      uint64    `json:"held"`
	Hash      string    `json:"hash,omitempty"`
	Signed    uint64    `json:"signed"`
	Receipted uint64    `json:"receipted"`
	Settled   uint64    `json:"settled,omitempty"`
	Own       bool      `json:"own,omitempty"`
}

// Notice is something that happened between nodes and that an operator must know: a store
// that was set back, a key that two programs use.
type Notice struct {
	Node    record.ID `json:"node"`
	Code    string    `json:"code"`
	Remedy  string    `json:"remedy"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
	Count   int64     `json:"count"`
}

// Quarantined is a record that is held back, here or by a peer.
type Quarantined struct {
	Kind   string    `json:"kind"`
	ID     record.ID `json:"id"`
	Peer   record.ID `json:"peer"`
	Theirs bool      `json:"theirs"`
	Code   string    `json:"code"`
	Detail string    `json:"detail,omitempty"`
	Remedy string    `json:"remedy,omitempty"`
	Since  time.Time `json:"since"`
}

// Changes is what moved in a building's feed, as far as the caller may see it.
type Changes struct {
	Items []Change
	// Position is where to continue; More says that there is more already.
	Position uint64
	More     bool
}

// Change is one record that changed, in the form in which its list shows it.
type Change struct {
	Kind     string    `json:"kind"`
	ID       record.ID `json:"id"`
	Ticket   record.ID `json:"ticket,omitempty,omitzero"`
	Position uint64    `json:"position"`
	// Item is the view (Ticket, Message, Alarm …); nil for kinds that have none.
	Item any `json:"item,omitempty"`
}
