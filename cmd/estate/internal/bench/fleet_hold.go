package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"estate/sync/record"
	"estate/sync/replica"
	follow "estate/sync/watch"
)

// stowBytes is how much room for bodies is had at once: some fifteen tickets with their
// events.
const stowBytes = 32 << 10

// fewLeft is what is copied once all else that lay beside it is gone.
const fewLeft = 16

// errLetGo says that the cloud asked for what it had given a receipt for. In this bench
// nothing is ever lost, so it never has to.
var errLetGo = errors.New("the simulated edge let go of what the cloud has")

// errNotSimulated says that something came up that takes a real edge.
var errNotSimulated = errors.New("a simulated edge does not do that")

// hold is the store of one simulated edge, which holds one building. It keeps the bytes of
// what the cloud has not given a receipt for, and no more: five thousand of them must find
// room beside the programs that are measured.
type hold struct {
	watchers follow.Set

	mu     sync.Mutex
	state  replica.State
	chains map[record.ReplicaID]replica.Chain
	peers  map[record.ID]replica.PeerCursor
	cargo  []stowed // by position
	at     map[label]uint64
	room   []byte // what is left of the last one
	gone   uint64 // up to this position nothing of this edge's own is left

	// broken is what could not be simulated: the edge would try again for ever.
	broken atomic.Pointer[error]
}

// label names a record, or an event where n is not zero: then the id is its replica's.
type label struct {
	id   record.ID
	kind string
	n    uint64
}

// stowed is what lies at a position of the feed.
type stowed struct {
	label
	position      uint64
	hash          record.Hash
	body, details []byte
	own           bool // written here
}

var _ replica.Store = (*hold)(nil)

func newHold(building record.ID) *hold {
	return &hold{state: replica.State{Building: building}, at: map[label]uint64{}, chains: map[record.ReplicaID]replica.Chain{}, peers: map[record.ID]replica.PeerCursor{}}
}

// Update implements replica.Store.
func (h *hold) Update(ctx context.Context, _ record.ID, fn func(replica.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: update: %w", replica.ErrBusy, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	tx := &stowing{hold: h}
	if err := fn(tx); err != nil {
		return err
	}
	before := h.state.Position
	if tx.saved != nil {
		h.keep(*tx.saved)
	}
	if h.state.Position != before {
		h.watchers.Wake(h.state.Building)
	}
	return nil
}

// stowing is a transaction of one save, which comes last, as replica.Node's decisions do.
type stowing struct {
	hold  *hold
	saved *replica.Effects
}

func (h *hold) fail(err error) error {
	h.broken.Store(&err)
	return err
}

// Load implements replica.Tx.
func (t *stowing) Load(_ context.Context, need replica.Need) (replica.Have, error) {
	if t.saved != nil {
		return replica.Have{}, t.hold.fail(fmt.Errorf("%w: a read after a write", errNotSimulated))
	}
	return t.hold.have(need)
}

// Save implements replica.Tx.
func (t *stowing) Save(_ context.Context, e replica.Effects) error {
	early := slices.ContainsFunc(e.Events, func(row replica.EventRow) bool { return row.Position == 0 })
	if t.saved != nil || early || len(e.Quarantine)+len(e.Branches)+len(e.EventsGone)+len(e.Erasures)+len(e.Touches) > 0 {
		return t.hold.fail(fmt.Errorf("%w: %d records are held back, %d events lie beside a chain", errNotSimulated, len(e.Quarantine), len(e.Branches)))
	}
	t.saved = &e
	return nil
}

// keep takes in what a transaction saved.
func (h *hold) keep(e replica.Effects) {
	h.state = e.State
	own := slices.ContainsFunc(e.Events, func(row replica.EventRow) bool { return row.Replica == e.State.Replica })
	for _, row := range e.Events {
		h.stow(stowed{label: label{id: row.Replica, n: row.N}, position: row.Position, hash: row.Hash, body: row.Body, details: row.Details, own: own})
	}
	for _, row := range e.Records {
		h.stow(stowed{label: label{id: row.Key.ID, kind: row.Key.Kind}, position: row.Position, body: row.Body, own: own})
	}
	for _, c := range e.Chains {
		h.chains[c.Replica] = c
		if c.Replica == e.State.Replica {
			h.letGo(c)
		}
	}
	if e.Cursor != nil {
		h.peers[e.Cursor.Peer] = *e.Cursor
	}
}

// stow keeps a copy in the order of positions, which is nearly always the end, in place of
// what had its label.
func (h *hold) stow(s stowed) {
	if _, i, ok := h.find(s.label); ok {
		h.cargo = slices.Delete(h.cargo, i, i+1)
	}
	s.body, s.details = h.copied(s.body), h.copied(s.details)
	i, _ := slices.BinarySearchFunc(h.cargo, s.position, byPosition)
	h.cargo = slices.Insert(h.cargo, i, s)
	h.at[s.label] = s.position
}

func (s stowed) event() replica.EventRow {
	return replica.EventRow{Replica: s.id, N: s.n, Hash: s.hash, Body: s.body, Details: s.details, Position: s.position}
}

func (h *hold) find(l label) (s stowed, at int, ok bool) {
	position, ok := h.at[l]
	if !ok {
		return s, 0, false
	}
	at, ok = slices.BinarySearchFunc(h.cargo, position, byPosition)
	if !ok {
		return s, 0, false
	}
	return h.cargo[at], at, true
}

func byPosition(s stowed, position uint64) int { return cmp.Compare(s.position, position) }

func (h *hold) copied(b []byte) []byte {
	if len(b) > cap(h.room)-len(h.room) {
		h.room = make([]byte, 0, max(stowBytes, len(b)))
	}
	at := len(h.room)
	h.room = append(h.room, b...)
	return h.room[at:len(h.room):len(h.room)]
}

// letGo drops what was written here up to the event that the cloud gave a receipt for. That
// event's own record may be on its way still: a page can end between the two.
func (h *hold) letGo(c replica.Chain) {
	last, i, ok := h.find(label{id: c.Replica, n: c.Receipted})
	if !ok || c.Receipted == 0 || last.position <= h.gone {
		return
	}
	h.gone = last.position
	kept := make([]stowed, 0, len(h.cargo)-i)
	for _, s := range h.cargo {
		if s.own && s.position < h.gone {
			delete(h.at, s.label)
			continue
		}
		kept = append(kept, s)
	}
	h.cargo = kept
	if len(kept) <= fewLeft { // their rooms, shared with what is gone, are free
		h.room = nil
		for i, s := range kept {
			kept[i].body, kept[i].details = slices.Clone(s.body), slices.Clone(s.details)
		}
	}
}

// Load implements replica.Store.
func (h *hold) Load(_ context.Context, _ record.ID, need replica.Need) (replica.Have, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.have(need)
}

func (h *hold) have(need replica.Need) (replica.Have, error) {
	have := replica.Have{State: h.state, Records: map[record.Key]replica.Stored{}, Chains: map[record.ReplicaID]replica.Chain{}, Events: map[record.Dot]record.Hash{}, Sums: map[record.Key]replica.SumRow{}}
	for _, key := range need.Keys {
		s, _, ok := h.find(label{id: key.ID, kind: key.Kind})
		if !ok {
			continue
		}
		r, err := record.Decode(s.body)
		if err != nil {
			return have, fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, key, err)
		}
		have.Records[key] = replica.Stored{Record: r, Body: s.body, Position: s.position}
	}
	for _, key := range need.Sums.Keys {
		if s, _, ok := h.find(label{id: key.ID, kind: key.Kind}); ok {
			have.Sums[key] = replica.SumRow{Sum: replica.SumRecord(need.Sums.Salt, key, s.body), Position: s.position}
		}
	}
	for _, dot := range need.Events {
		if s, _, ok := h.find(label{id: dot.Replica, n: dot.N}); ok {
			have.Events[dot] = s.hash
		}
	}
	for _, id := range need.Chains {
		for c, ok := h.chains[id]; ok; c, ok = h.chains[id] {
			have.Chains[id] = c
			if c.Card == nil {
				break
			}
			id = c.Card.Predecessor.Replica
		}
	}
	have.Cursor = h.peers[need.Peer].Cursor
	return have, nil
}

// Feed implements replica.Store.
func (h *hold) Feed(_ context.Context, _ record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page := replica.FeedPage{End: h.state.Position, State: h.state}
	i, found := slices.BinarySearchFunc(h.cargo, after, byPosition)
	if found {
		i++
	}
	if after < h.gone && slices.ContainsFunc(h.cargo[i:], func(s stowed) bool { return s.own }) {
		return page, h.fail(fmt.Errorf("%w: positions from %d, of %d", errLetGo, after, h.gone))
	}
	size := 0
	for _, s := range h.cargo[i:] {
		if len(page.Items) > 0 && (len(page.Items) >= limit || size >= bytesMax) {
			break
		}
		item := replica.FeedItem{Position: s.position, Key: record.Key{Building: h.state.Building, Kind: s.kind, ID: s.id}, Body: s.body}
		if s.n > 0 {
			item = replica.FeedItem{Position: s.position, Event: new(s.event())}
		}
		size += len(s.body) + len(s.details)
		page.Items = append(page.Items, item)
	}
	return page, nil
}

// Chains implements replica.Store, ordered by replica.
func (h *hold) Chains(context.Context, record.ID) ([]replica.Chain, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	chains := make([]replica.Chain, 0, len(h.chains))
	for _, c := range h.chains {
		chains = append(chains, c)
	}
	slices.SortFunc(chains, func(a, b replica.Chain) int { return a.Replica.Compare(b.Replica) })
	return chains, nil
}

// Events implements replica.Store.
func (h *hold) Events(_ context.Context, _ record.ID, id record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var rows []replica.EventRow
	for n := from; n <= min(to, h.chains[id].Held) && len(rows) < limit; n++ {
		s, _, ok := h.find(label{id: id, n: n})
		if !ok {
			return nil, h.fail(fmt.Errorf("%w: event %d of %s", errLetGo, n, id))
		}
		rows = append(rows, s.event())
	}
	return rows, nil
}

// Buildings implements replica.Store.
func (h *hold) Buildings(context.Context) ([]record.ID, error) {
	return []record.ID{h.state.Building}, nil
}

// Watch implements replica.Store.
func (h *hold) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return h.watchers.Add(building)
}
