package replica

import (
	"context"
	"errors"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/wire"
)

// ErrBusy says that the store cannot take the write now (disk full, connection lost). The
// write did not happen; it is safe to try again.
var ErrBusy = errors.New("replica: store cannot take the write now")

// ErrCorrupt says that stored bytes do not decode or a chain does not hold. It is a bug or
// a damaged disk: stop writing, keep the data.
var ErrCorrupt = errors.New("replica: stored state is corrupt")

// Store is where a node keeps the buildings it holds. Implementations are safe for
// concurrent use; one conformance suite (storetest) holds them to this text.
type Store interface {
	// Update runs fn under the building's lock and makes what it saved durable before it
	// returns nil: power may fail on the next instruction. If fn returns an error, nothing
	// of it is kept and the error is returned as it is. fn may share one commit with other
	// calls (group commit), and a failure of the commit fails all of them with ErrBusy. fn
	// must touch nothing but the Tx, for it may be run more than once.
	Update(ctx context.Context, building record.ID, fn func(Tx) error) error
	// Load reads what a decision needs in one snapshot, without the lock.
	Load(ctx context.Context, building record.ID, need Need) (Have, error)
	// Feed reads items with positions in (after, …] in position order, in one snapshot, at
	// most limit items and about bytesMax bytes but at least one item. End is the feed's
	// last position in that snapshot.
	Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (FeedPage, error)
	// Chains lists every replica's chain that the store knows of a building.
	Chains(ctx context.Context, building record.ID) ([]Chain, error)
	// Events reads a replica's events with numbers in [from, to], in order, at most limit.
	// Missing numbers are left out.
	Events(ctx context.Context, building record.ID, replica record.ReplicaID, from, to uint64, limit int) ([]EventRow, error)
	// Branches reads events that lie beside a building's chains (SPEC R33), by replica, number
	// and hash, at most limit, beginning behind the one of which after has these three.
	Branches(ctx context.Context, building record.ID, after EventRow, limit int) ([]EventRow, error)
	// Buildings lists the buildings that the store holds.
	Buildings(ctx context.Context) ([]record.ID, error)
	// Watch returns a channel that receives (without blocking the writer; one pending
	// value is enough) after each commit that moved the building's feed, by any process.
	// A zero building watches all. The caller ends the watch with stop.
	Watch(building record.ID) (moved <-chan struct{}, stop func())
}

// Foreseer is what a store offers besides that can read for several calls at once.
type Foreseer interface {
	// UpdateFor is Update of a fn that loads need first.
	UpdateFor(ctx context.Context, building record.ID, need Need, fn func(Tx) error) error
}

// Overlapper is what a store offers besides in which one Update can be decided while the one
// before it is being made durable. For another, to decide on a page early would only make
// transactions of fewer pages.
type Overlapper interface{ Overlaps() bool }

// Tx is one transaction under the building's lock.
type Tx interface {
	// Load reads current state. Reads see what this transaction saved.
	Load(ctx context.Context, need Need) (Have, error)
	// Save writes effects.
	Save(ctx context.Context, effects Effects) error
}

// Need names what a decision wants to know.
type Need struct {
	Keys   []record.Key
	Chains []record.ReplicaID // chains with their cards and those of all their ancestors
	// AllChains asks for every chain that the store knows of the building.
	AllChains bool
	// Events asks for the hashes of these events, where held, and for what erased their values.
	Events  []record.Dot
	Waiting []record.ReplicaID // events beyond the held prefix of these replicas
	// Unsettled asks, for these phones' replicas, for the lowest number with a part that is
	// neither in its record here nor refused.
	Unsettled []record.ReplicaID
	Peer      record.ID // the cursor, quarantine and receipts of this peer node
	// Quarantine asks for up to this many of the peer's quarantined records.
	Quarantine int
	// HeldBack asks for the peer's quarantined records of these keys besides, however many
	// there are of others.
	HeldBack []record.Key
	Sums     SumNeed
}

// SumNeed asks for digests of records as they are stored. They are computed while the bytes
// are read: a store keeps none of them in memory.
type SumNeed struct {
	Keys []record.Key
	Salt []byte // of SumRecord
}

// SumRow is the digest of a stored record and its position.
type SumRow struct {
	Sum      wire.Sum
	Position uint64
}

// Have is what a store answers to a Need. Absent things are absent from the maps.
type Have struct {
	State      State
	Records    map[record.Key]Stored
	Touches    map[record.Key][]PhoneTouch
	Chains     map[record.ReplicaID]Chain
	Events     map[record.Dot]record.Hash
	Erased     map[record.Dot]record.Dot // by the event of that dot
	Waiting    map[record.ReplicaID][]EventRow
	Unsettled  map[record.ReplicaID]uint64
	Cursor     wire.Cursor
	Quarantine []QuarantineRow
	Sums       map[record.Key]SumRow
}

// Stored is a record as it lies in the store.
type Stored struct {
	Record   record.Record
	Body     []byte
	Position uint64
}

// State is a building's row: what its write path needs, read and written under its lock.
type State struct {
	Building record.ID
	// Boot is the run of the store that last wrote: its generation (see Env.Boot).
	Boot record.ID
	// Replica, N and Head are the identity under which this node last wrote, zero before
	// its first write.
	Replica record.ReplicaID
	N       uint64
	Head    record.Hash
	Stamp   hlc.Stamp // last issued or observed
	// ClockOffset is added to the wall clock, in milliseconds: learnt from the tier above.
	ClockOffset int64
	Position    uint64 // last feed position given out
}

// Chain is what a store knows of one replica.
type Chain struct {
	Replica record.ReplicaID
	Card    *record.Card // nil until event 1 is held
	Held    uint64       // events 1..Held are held and their hashes link
	Hash    record.Hash  // of event Held
	Signed  *record.Head // highest head that verified, if any
	// Proof is the highest head over an event that is held, where Signed is beyond them: of
	// two branches it proves the one that is held, whatever other heads say.
	Proof *record.Head
	// Ahead are heads over events that wait behind a gap, below the highest of all, ascending:
	// which of them comes to be held, and proven by its head, shows when the gap is filled.
	Ahead []record.Head
	// Beside are heads of branches of the cloud's own chain, beyond its fork: signed until what
	// stands nowhere of their values is written again, and then without a signature.
	Beside []record.Head
	// Receipted is up to where a peer of the tier above said that it holds this chain.
	Receipted uint64
	// Receipt is the cloud's last signed statement about a phone's chain: an edge passes it
	// on, for a phone keeps its transactions until the cloud itself has settled them.
	Receipt *record.Receipt
	// Fork is the first number at which the chain is known to have two branches; zero for
	// none. From there on no number counts, and events are kept beside the chain (SPEC R33).
	Fork uint64
	// Cut is the fork of which this store's records and chain are rid: the remedy is done
	// where both are equal.
	Cut uint64
}

// Settled is up to where the cloud said that a phone's transactions are settled.
func (c Chain) Settled() uint64 {
	if c.Receipt == nil {
		return 0
	}
	return c.Receipt.Settled
}

// EventRow is an event as it lies in the store. Position is zero for an event that waits
// for the ones before it to be read by the feed only when they are there.
type EventRow struct {
	Replica  record.ReplicaID
	N        uint64
	Hash     record.Hash
	Body     []byte
	Details  []byte
	Position uint64
	// New says that the store holds no event of this number: the decision asked.
	New bool
}

// RecordRow is a record to store: its decoded state (for the projection), its bytes and
// its new feed position.
type RecordRow struct {
	Key      record.Key
	Record   record.Record
	Body     []byte
	Position uint64
	// New says that the store holds no record of this key: the decision read it. A store may
	// write such rows in a faster way.
	New bool
}

// PhoneTouch is one field of a record that a phone's event names: the index behind the
// exact rule (design §3, Record) and the settled receipts. It lives until the record's
// vector covers its dot.
type PhoneTouch struct {
	Key     record.Key
	Field   string
	Dot     record.Dot
	Covered bool // in the record's context here
	Refused bool // not admitted, here or by whoever decided first
}

// QuarantineRow is a peer's record that is held back, with its bytes, so that nothing is
// lost while it waits. Theirs marks one of our records that the peer holds back.
type QuarantineRow struct {
	Key    record.Key
	Peer   record.ID
	Theirs bool
	Code   string
	Detail string
	Since  int64 // Unix milliseconds
	Body   []byte
}

// Effects is what a decision wants stored, all of it or nothing.
type Effects struct {
	State         State // always the whole row
	Chains        []Chain
	Events        []EventRow
	Records       []RecordRow
	Touches       []PhoneTouch // inserted or replaced
	TouchesGone   []PhoneTouch
	Quarantine    []QuarantineRow // inserted or replaced by (key, peer, theirs)
	QuarantineOut []QuarantineRow
	Cursor        *PeerCursor
	// Branches are events of a forked chain, kept beside it whatever else has their number,
	// and EventsGone are such that were part of it until now.
	Branches   []EventRow
	EventsGone []record.Dot
	// Erasures are saved last: the details of these events go, wherever the store keeps them,
	// and it remembers by which event; the first stays.
	Erasures []Erasure
}

// Erasure names a transaction whose values and salts are gone, and the event that erased
// them.
type Erasure struct{ Dot, By record.Dot }

// IsZero reports whether nothing but an unchanged state would be written.
func (e Effects) IsZero() bool {
	return len(e.Chains)+len(e.Events)+len(e.Records)+len(e.Touches)+len(e.TouchesGone)+len(e.Quarantine)+len(e.QuarantineOut)+len(e.Branches)+len(e.EventsGone)+len(e.Erasures) == 0 && e.Cursor == nil
}

// PeerCursor is how far a peer's feed was applied here.
type PeerCursor struct {
	Peer   record.ID
	Cursor wire.Cursor
}

// FeedItem is one entry of a feed: an event or a record, never both.
type FeedItem struct {
	Position uint64
	Event    *EventRow
	Key      record.Key
	Body     []byte
}

// FeedPage is a stretch of a feed read in one snapshot.
type FeedPage struct {
	Items []FeedItem
	End   uint64
	State State
}
