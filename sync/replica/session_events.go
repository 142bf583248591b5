package replica

import (
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// SessionEvent is something that happened to a session: a frame, a finished effect, time.
type SessionEvent interface{ sessionEvent() }

// Opened starts the session: the line is open, and this is the hello to send.
type Opened struct{ Hello wire.Hello }

// Received is a frame of the peer, and of a page its content where that was read ahead.
type Received struct {
	Message wire.Message
	Content *Content
}

// Garbled is a frame that did not decode: Unknown for a type of a later release, which is
// skipped, else Code says why and the session ends.
type Garbled struct {
	Unknown bool
	Code    string
	Detail  string
}

// Greeted finishes DoGreet.
type Greeted struct {
	From     uint64
	Held     map[record.ReplicaID]uint64
	Wants    []wire.Want
	Receipts []record.Receipt
	// Disputed holds both feeds until a fork is decided; Offers are events to send for it.
	Disputed bool
	Offers   []wire.Want
	Late     []record.Head // to be taken in with the peer's first page
}

// Event is the end of the effect that had a hello looked at.
func (g Greeting) Event() Greeted {
	return Greeted{From: g.From, Held: g.Held, Wants: g.Wants, Receipts: g.Receipts, Disputed: g.Disputed, Offers: g.Offers, Late: g.Late}
}

// PageRead finishes DoReadPage and DoReadEvents.
type PageRead struct{ Page wire.Page }

// PageDecided says that of a page under way, named by its id, everything is decided and only
// to be written: a page that is applied from now on comes behind it.
type PageDecided struct{ Page uint64 }

// PageApplied finishes DoApplyPage: everything of the page is durable.
type PageApplied struct {
	Ack    wire.Ack
	Echoes []uint64
	// Since and Until are a stretch of this side's feed that holds nothing but what the page
	// brought; both zero for none.
	Since, Until uint64
	Wants        []wire.Want
	Held         map[record.ReplicaID]uint64
	// Forked says that this side decided on a fork: the session ends for a new hello.
	Forked bool
}

// DigestRead finishes DoReadDigest.
type DigestRead struct{ Stretch Stretch }

// DigestChecked finishes DoCheckDigest.
type DigestChecked Checked

// AckSaved finishes DoSaveAck.
type AckSaved struct{}

// Followed finishes DoFollow.
type Followed struct{}

// Heard says that the peer is there, though it has no frame to send yet.
type Heard struct{}

// FeedMoved says that this side's feed has new positions.
type FeedMoved struct{}

// Ticked only carries time; it comes about once a second.
type Ticked struct{}

// Stopped ends the session from this side with a coded reason: a revoked node, a shutdown.
type Stopped struct{ Code, Detail string }

// EffectFailed says that an effect did not happen. Busy ones are tried again; any other
// failure ends the session with its code.
type EffectFailed struct {
	Effect SessionEffect
	Busy   bool
	Code   string
	Detail string
}

func (Opened) sessionEvent()        {}
func (Received) sessionEvent()      {}
func (Garbled) sessionEvent()       {}
func (Greeted) sessionEvent()       {}
func (PageRead) sessionEvent()      {}
func (PageDecided) sessionEvent()   {}
func (PageApplied) sessionEvent()   {}
func (DigestRead) sessionEvent()    {}
func (DigestChecked) sessionEvent() {}
func (AckSaved) sessionEvent()      {}
func (Followed) sessionEvent()      {}
func (Heard) sessionEvent()         {}
func (FeedMoved) sessionEvent()     {}
func (Ticked) sessionEvent()        {}
func (Stopped) sessionEvent()       {}
func (EffectFailed) sessionEvent()  {}

// SessionEffect is something that the session wants done. The driver does sends and the
// close in the order given; of the others at most one of each sort is under way, but for a
// second page behind one that is decided, and each is answered by exactly one event.
type SessionEffect interface{ sessionEffect() }

// DoSend sends a message.
type DoSend struct{ Message wire.Message }

// DoGreet asks what the peer's hello means for this node.
type DoGreet struct{ Hello wire.Hello }

// DoReadPage reads this node's feed after a position, leaving out events that the peer
// holds and the positions in Skip, which are in ascending order. Both are the effect's own.
// The page ends at position Until, where that is not zero.
type DoReadPage struct {
	After uint64
	Until uint64
	Held  map[record.ReplicaID]uint64
	Skip  []uint64
}

// DoReadDigest reads digests of this node's feed instead of a page. Reader is the run of the
// peer's store.
type DoReadDigest struct {
	DoReadPage
	Reader record.ID
}

// DoCheckDigest asks what of a peer's digest this node holds. Sender is the run of the peer's
// store.
type DoCheckDigest struct {
	Digest wire.Digest
	Sender record.ID
}

// DoReadEvents reads events that the peer is missing.
type DoReadEvents struct{ Want wire.Want }

// DoApplyPage applies a page of the peer, or several that follow each other as one.
type DoApplyPage struct {
	Page    wire.Page
	Content *Content // nil where it was not read ahead
}

// DoSaveAck stores what an acknowledgement says.
type DoSaveAck struct{ Ack wire.Ack }

// DoFollow tells this node the upper tier's time, in Unix milliseconds, as of the step at At:
// whoever does it later adds what has passed since.
type DoFollow struct{ Time, At int64 }

// DoClose ends the line after what was sent before it. An empty code is a plain end by the
// peer; Remote says that the peer gave the reason.
type DoClose struct {
	Code   string
	Detail string
	Remote bool
}

func (DoSend) sessionEffect()        {}
func (DoGreet) sessionEffect()       {}
func (DoReadPage) sessionEffect()    {}
func (DoReadEvents) sessionEffect()  {}
func (DoApplyPage) sessionEffect()   {}
func (DoSaveAck) sessionEffect()     {}
func (DoFollow) sessionEffect()      {}
func (DoReadDigest) sessionEffect()  {}
func (DoCheckDigest) sessionEffect() {}
func (DoClose) sessionEffect()       {}

// Skips reports whether a position is to be left out of the page.
func (e DoReadPage) Skips(position uint64) bool {
	_, found := slices.BinarySearch(e.Skip, position)
	return found
}

// The cost of a page in credits: both sides must come to the same number without encoding
// it, so it is part of the protocol.
const (
	pageCost = 512
	itemCost = 96
)

// PageCost is how many credits a page takes: near its size in memory.
func PageCost(p wire.Page) uint64 {
	n := pageCost + itemCost*(len(p.Heads)+len(p.Events)+len(p.Records)+len(p.Receipts))
	for _, e := range p.Events {
		n += len(e.Body) + len(e.Details)
	}
	for _, r := range p.Records {
		n += len(r.Body)
	}
	return uint64(n)
}

// AdvanceHeld raises the entries of held by the events of a page that this node read, each
// only where it follows the one before: an event that came early for a record's sake
// leaves a gap that must still be sent.
func AdvanceHeld(held map[record.ReplicaID]uint64, p wire.Page) {
	dots := make([]record.Dot, len(p.Events))
	for i, e := range p.Events {
		dots[i] = record.Dot{Replica: e.Replica, N: e.N}
	}
	slices.SortFunc(dots, record.Dot.Compare)
	for _, d := range dots {
		if held[d.Replica]+1 == d.N {
			held[d.Replica] = d.N
		}
	}
}
