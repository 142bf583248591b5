package wire

import (
	"estate/sync/record"
)

// Type is a frame's kind. Numbers are never reused.
type Type uint8

// The frame types. A receiver that does not know a type answers frame_unknown and goes on.
const (
	TypeHello    Type = 1
	TypePage     Type = 2
	TypeAck      Type = 3
	TypeWant     Type = 4
	TypeCredit   Type = 5
	TypePing     Type = 6
	TypePong     Type = 7
	TypePush     Type = 8
	TypePushed   Type = 9
	TypePull     Type = 10
	TypeBye      Type = 11
	TypeReturned Type = 12 // sealed records brought back to a server that lost data
	TypeForget   Type = 13 // not used: what left a reader's view is named on its page
	TypeDigest   Type = 14
	TypeDigested Type = 15
	TypeTaken    Type = 16 // what became of returned records
)

// Hello opens a session, in both directions: who speaks, what it holds, what it was given
// receipts for, and from where it wants the other's feed.
type Hello struct {
	Protocol uint64      `cbor:"1,keyasint,omitempty"` // version of this protocol that the sender speaks
	Schema   uint64      `cbor:"2,keyasint,omitempty"` // version of the table of kinds
	Building record.ID   `cbor:"3,keyasint,omitzero"`
	Node     record.ID   `cbor:"4,keyasint,omitzero"`
	Tier     record.Tier `cbor:"5,keyasint,omitempty"`
	// Generation is the sender's store in this run; positions of its feed mean something
	// only within it.
	Generation record.ID `cbor:"6,keyasint,omitzero"`
	// Time is the sender's wall clock in Unix milliseconds. Only the upper tier's counts.
	Time int64 `cbor:"7,keyasint,omitempty"`
	// Cursor is how far the sender has applied the receiver's feed.
	Cursor Cursor `cbor:"8,keyasint,omitzero"`
	// Held lists the chains that the sender holds, less those that the lineage of another
	// covers whole.
	Held []Held `cbor:"9,keyasint,omitempty"`
}

// Cursor is a place in another store's feed. Any mismatch of generation or view means from
// zero, which is always safe.
type Cursor struct {
	Generation record.ID   `cbor:"1,keyasint,omitzero"`
	View       record.Hash `cbor:"2,keyasint,omitzero"`
	Position   uint64      `cbor:"3,keyasint,omitempty"`
	// Anchor is, for a phone, the last event at or below Position: events keep their places, so
	// it shows that the feed is still of the history that the reader was given (SPEC R12).
	Anchor uint64 `cbor:"4,keyasint,omitempty"`
}

// Held says what one side has of a replica's chain: events 1..N with this last hash, the
// highest number signed by its node, and what it was given a receipt for by the other.
type Held struct {
	Replica   record.ReplicaID `cbor:"1,keyasint,omitzero"`
	N         uint64           `cbor:"2,keyasint,omitempty"`
	Hash      record.Hash      `cbor:"3,keyasint,omitzero"`
	Signed    *record.Head     `cbor:"4,keyasint,omitzero"`
	Receipted uint64           `cbor:"5,keyasint,omitempty"`
	// Predecessor is what the replica's card names, so that a chain that another covers
	// whole can be left out even where its card is not known yet.
	Predecessor record.Dot `cbor:"6,keyasint,omitzero"`
	// Settled is up to where the sender, an edge, was told that a phone's chain is settled.
	Settled uint64 `cbor:"7,keyasint,omitempty"`
	// Fork is the first number at which the sender knows the chain to have two branches.
	Fork uint64 `cbor:"8,keyasint,omitempty"`
	// Proof is a signed head over what the sender holds, where Signed is beyond it: of two
	// branches it proves the sender's.
	Proof *record.Head `cbor:"9,keyasint,omitzero"`
	// PredecessorHash is the hash that the card names with Predecessor.
	PredecessorHash record.Hash `cbor:"10,keyasint,omitzero"`
}

// EventItem is an event on the wire: its canonical bytes and the details beside it, empty
// where they were withheld or erased.
//
// Replica and N repeat what the body says, so that an event of a newer release, whose body
// this one cannot read, keeps its place as a link.
type EventItem struct {
	Body    []byte           `cbor:"1,keyasint,omitempty"`
	Details []byte           `cbor:"2,keyasint,omitempty"`
	Replica record.ReplicaID `cbor:"3,keyasint,omitzero"`
	N       uint64           `cbor:"4,keyasint,omitempty"`
}

// RecordItem is a whole record on the wire. The building is the session's: no frame can
// name another.
type RecordItem struct {
	Kind string    `cbor:"1,keyasint,omitempty"`
	ID   record.ID `cbor:"2,keyasint,omitzero"`
	Body []byte    `cbor:"3,keyasint,omitempty"`
	Seal *Seal     `cbor:"4,keyasint,omitempty"`
	// Tag is the server's secret name for the record, on a phone's page: what the phone needs
	// to understand that the record left its view (SPEC R29).
	Tag []byte `cbor:"5,keyasint,omitempty"`
}

// Seal is a server's signature over a record as it was served to a phone.
type Seal struct {
	Node      record.ID `cbor:"1,keyasint,omitzero"`
	Time      int64     `cbor:"2,keyasint,omitempty"`
	Signature []byte    `cbor:"3,keyasint,omitempty"`
}

// Page is a stretch of a feed, read in one snapshot: cards and events before the records
// that cite them. It is applied in one transaction and acknowledged after commit.
type Page struct {
	ID      uint64        `cbor:"1,keyasint,omitempty"`
	From    uint64        `cbor:"2,keyasint,omitempty"` // exclusive
	To      uint64        `cbor:"3,keyasint,omitempty"` // inclusive
	Last    bool          `cbor:"4,keyasint,omitempty"` // nothing more in the feed at the time of reading
	Heads   []record.Head `cbor:"5,keyasint,omitzero"`
	Events  []EventItem   `cbor:"6,keyasint,omitempty"`
	Records []RecordItem  `cbor:"7,keyasint,omitempty"`
	// Receipts are the sender's statements about the receiver's replicas.
	Receipts []record.Receipt `cbor:"8,keyasint,omitempty"`
	// View is the hash of what the reader may see; edges and the cloud see everything.
	View       record.Hash `cbor:"9,keyasint,omitzero"`
	Generation record.ID   `cbor:"10,keyasint,omitzero"`
	// Reader is the receiver's generation when the page was read for it. What a page leaves
	// out as an echo is there only in that run of the receiver: one that was restored since
	// must not move its cursor by it.
	Reader record.ID `cbor:"11,keyasint,omitzero"`
	// Vouched are the sender's receipts for the cards on a phone's page, each for event 1, and
	// Issuer is the key that signed them: a phone shows them to servers that lack a card.
	Vouched []record.Receipt `cbor:"12,keyasint,omitempty"`
	Issuer  []byte           `cbor:"13,keyasint,omitempty"`
	// Forget are the marks of records that the reader may not see, or no more (SPEC R29).
	Forget [][]byte `cbor:"14,keyasint,omitempty"`
	// Beyond are the cloud's statements on the receiver's transactions that are settled above
	// a number that is not (SPEC R13).
	Beyond []record.Beyond `cbor:"15,keyasint,omitempty"`
	// Forks are, of the replicas that a phone's page cites and of its own, those with two
	// branches, each with the last number that both have: what the phone holds beyond was
	// written again under other names (SPEC R33).
	Forks []record.Dot `cbor:"16,keyasint,omitempty"`
	// Anchor is the last event at or below To, where a restricted reader's cursor is held to
	// (see Cursor).
	Anchor uint64 `cbor:"17,keyasint,omitempty"`
	// Anew is no part of the message: its receiver's session sets it on the page that begins
	// from zero though this side's hello named a place. The cursor was of another feed.
	Anew bool `cbor:"-"`
}

// Ack confirms that a page is on disk at the receiver.
type Ack struct {
	Page        uint64           `cbor:"1,keyasint,omitempty"`
	To          uint64           `cbor:"2,keyasint,omitempty"`
	Quarantined []Quarantined    `cbor:"3,keyasint,omitempty"`
	Receipts    []record.Receipt `cbor:"4,keyasint,omitempty"`
	// Time is the receiver's wall clock, so that a refused stamp comes with the right time.
	Time int64 `cbor:"5,keyasint,omitempty"`
	// Released lists records that were held back before and are merged now.
	Released []Quarantined `cbor:"6,keyasint,omitempty"`
}

// Quarantined names a record that the receiver holds back, and why. It blocks nothing.
type Quarantined struct {
	Kind string    `cbor:"1,keyasint,omitempty"`
	ID   record.ID `cbor:"2,keyasint,omitzero"`
	Code string    `cbor:"3,keyasint,omitempty"`
}

// Want asks for events of a replica that the asker is missing.
type Want struct {
	Replica record.ReplicaID `cbor:"1,keyasint,omitzero"`
	From    uint64           `cbor:"2,keyasint,omitempty"`
	To      uint64           `cbor:"3,keyasint,omitempty"` // zero: as far as held
}

// Credit grants the other side this many more bytes of pages.
type Credit struct {
	Bytes uint64 `cbor:"1,keyasint,omitempty"`
}

// Ping keeps a session alive and carries the sender's time.
type Ping struct {
	ID   uint64 `cbor:"1,keyasint,omitempty"`
	Time int64  `cbor:"2,keyasint,omitempty"`
}

// Push is a phone's transactions in number order, with its signed head.
type Push struct {
	ID           uint64      `cbor:"1,keyasint,omitempty"`
	Head         record.Head `cbor:"2,keyasint,omitzero"`
	Transactions []EventItem `cbor:"3,keyasint,omitempty"`
	// Heads prove the numbers that the transactions replace, and Cards tell whose keys signed
	// them: the receiver counts no number that its own writer never signed.
	Heads []record.Head `cbor:"4,keyasint,omitempty"`
	Cards []Vouched     `cbor:"5,keyasint,omitempty"`
}

// Vouched is a replica's card as a phone pulled it, with the receipt of the server that
// served it: a phone's word alone does not make a card. A phone's own need no receipt.
type Vouched struct {
	Card    EventItem      `cbor:"1,keyasint,omitzero"`
	Issuer  []byte         `cbor:"2,keyasint,omitempty"`
	Receipt record.Receipt `cbor:"3,keyasint,omitzero"`
}

// Pushed answers a Push, transaction by transaction.
type Pushed struct {
	ID      uint64          `cbor:"1,keyasint,omitempty"`
	Results []PushResult    `cbor:"2,keyasint,omitempty"`
	Receipt *record.Receipt `cbor:"3,keyasint,omitempty"`
	Wants   []Want          `cbor:"4,keyasint,omitempty"`
	Time    int64           `cbor:"5,keyasint,omitempty"`
	// Beyond is the cloud's word on transactions above a number that it cannot settle.
	Beyond *record.Beyond `cbor:"6,keyasint,omitempty"`
}

// PushResult says what became of one transaction: nothing refused means admitted whole.
type PushResult struct {
	Dot     record.Dot    `cbor:"1,keyasint,omitzero"`
	Refused []RefusedPart `cbor:"2,keyasint,omitempty"`
}

// RefusedPart is one field that was not admitted. An empty kind means the transaction as a
// whole.
type RefusedPart struct {
	Kind  string    `cbor:"1,keyasint,omitempty"`
	ID    record.ID `cbor:"2,keyasint,omitzero"`
	Field string    `cbor:"3,keyasint,omitempty"`
	Code  string    `cbor:"4,keyasint,omitempty"`
}

// Pull asks for the next page after a cursor.
type Pull struct {
	Cursor Cursor `cbor:"1,keyasint,omitzero"`
	Limit  uint64 `cbor:"2,keyasint,omitempty"`
	// Replicas are the asker's own chains with transactions that it still keeps: the page
	// brings the cloud's receipts for them.
	Replicas []record.ReplicaID `cbor:"3,keyasint,omitempty"`
	// Holds says that the asker has records of this building: it wants to be told what it
	// must forget.
	Holds bool `cbor:"4,keyasint,omitempty"`
	// Heads are what the asker was shown of chains by others since it last asked this server;
	// from zero, of all that it holds: before a page is merged there, the server sees whether
	// its history is another one (SPEC R12, R33).
	Heads []record.Head `cbor:"5,keyasint,omitempty"`
}

// Returned brings records back, verbatim and with their seals, to a server that did not
// send them in a whole pass: it may have lost them. Heads and cards prove the numbers that
// they reach, as in a Push, and Issuers are the keys that sealed them (SPEC R30).
type Returned struct {
	ID      uint64        `cbor:"1,keyasint,omitempty"`
	Records []RecordItem  `cbor:"2,keyasint,omitempty"`
	Heads   []record.Head `cbor:"3,keyasint,omitempty"`
	Cards   []Vouched     `cbor:"4,keyasint,omitempty"`
	Issuers [][]byte      `cbor:"5,keyasint,omitempty"`
	// Doubts are the phone's own replicas that these records reach and that somebody else may
	// have written under, each from this number on, where no server has decided on it yet: of
	// such numbers only the values count (SPEC R33).
	Doubts []record.Dot `cbor:"6,keyasint,omitempty"`
}

// Taken answers a Returned, record by record and in its order.
type Taken struct {
	ID      uint64        `cbor:"1,keyasint,omitempty"`
	Results []TakenResult `cbor:"2,keyasint,omitempty"`
}

// TakenResult says what became of one returned record: no code means that the server holds
// all of it. Forget says that it is not the reader's to see any more.
type TakenResult struct {
	Kind   string    `cbor:"1,keyasint,omitempty"`
	ID     record.ID `cbor:"2,keyasint,omitzero"`
	Code   string    `cbor:"3,keyasint,omitempty"`
	Forget bool      `cbor:"4,keyasint,omitempty"`
}

// Bye ends a session with a coded reason and what to do about it.
type Bye struct {
	Code   string `cbor:"1,keyasint,omitempty"`
	Detail string `cbor:"2,keyasint,omitempty"`
	Remedy string `cbor:"3,keyasint,omitempty"`
}
