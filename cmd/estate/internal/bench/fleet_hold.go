package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	own    cargo // written here
	others cargo
	room   []byte        // what is left of the last one
	gone   uint64        // up to this position nothing of this edge's own is left
	freed  chan struct{} // holds one when something was let go

	// broken is what could not be simulated: the edge would try again for ever.
	broken atomic.Pointer[error]
}

// cargo is some of what a hold keeps.
type cargo struct {
	list []stowed // by position
	at   map[label]uint64
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
}

var _ replica.Store = (*hold)(nil)

func newHold(building record.ID) *hold {
	return &hold{freed: make(chan struct{}, 1), state: replica.State{Building: building}, own: cargo{at: map[label]uint64{}}, others: cargo{at: map[label]uint64{}}, chains: map[record.ReplicaID]replica.Chain{}, peers: map[record.ID]replica.PeerCursor{}}
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
	to := &h.others
	if slices.ContainsFunc(e.Events, func(row replica.EventRow) bool { return row.Replica == e.State.Replica }) {
		to = &h.own
	}
	for _, row := range e.Events {
		h.stow(to, stowed{label: label{id: row.Replica, n: row.N}, position: row.Position, hash: row.Hash, body: row.Body, details: row.Details})
	}
	for _, row := range e.Records {
		h.stow(to, stowed{label: label{id: row.Key.ID, kind: row.Key.Kind}, position: row.Position, body: row.Body})
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

// stow keeps a copy in place of what had its label.
func (h *hold) stow(to *cargo, s stowed) {
	h.own.drop(s.label)
	h.others.drop(s.label)
	s.body, s.details = h.copied(s.body), h.copied(s.details)
	to.add(s)
}

// add keeps the order of positions, in which things nearly always come.
func (c *cargo) add(s stowed) {
	c.list = slices.Insert(c.list, c.index(s.position), s)
	c.at[s.label] = s.position
}

// index is where a position is, or would be.
func (c *cargo) index(position uint64) int {
	i, _ := slices.BinarySearchFunc(c.list, position, func(s stowed, position uint64) int { return cmp.Compare(s.position, position) })
	return i
}

func (c *cargo) find(l label) (at int, ok bool) {
	position, ok := c.at[l]
	return c.index(position), ok
}

func (c *cargo) drop(l label) {
	if i, ok := c.find(l); ok {
		c.list = slices.Delete(c.list, i, i+1)
		delete(c.at, l)
	}
}

// find gives what is kept under a label.
func (h *hold) find(l label) (s stowed, ok bool) {
	for _, c := range []*cargo{&h.own, &h.others} {
		if i, ok := c.find(l); ok {
			return c.list[i], true
		}
	}
	return s, false
}

func (s stowed) event() replica.EventRow {
	return replica.EventRow{Replica: s.id, N: s.n, Hash: s.hash, Body: s.body, Details: s.details, Position: s.position}
}

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
	i, ok := h.own.find(label{id: c.Replica, n: c.Receipted})
	if !ok || c.Receipted == 0 || i == 0 {
		return
	}
	for _, s := range h.own.list[:i] {
		delete(h.own.at, s.label)
	}
	clear(h.own.list[:i]) // or the array holds on to what they had
	h.own.list = h.own.list[i:]
	h.gone = h.own.list[0].position
	select {
	case h.freed <- struct{}{}:
	default:
	}
	if left := len(h.own.list); left <= fewLeft { // nothing of a room, shared with what is gone, stays
		h.room, h.own.list = nil, append(make([]stowed, 0, left), h.own.list...)
		for i, s := range h.own.list {
			h.own.list[i].body, h.own.list[i].details = slices.Clone(s.body), slices.Clone(s.details)
		}
	}
}

// roomy waits until the hold has no more than so many things that the cloud does not have.
func (h *hold) roomy(ctx context.Context, most int) error {
	for {
		h.mu.Lock()
		n := len(h.own.list)
		h.mu.Unlock()
		if n <= most {
			return nil
		}
		if err := h.broken.Load(); err != nil {
			return *err
		}
		timer := time.NewTimer(countEvery)
		select {
		case <-h.freed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait for the cloud: %w", err)
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
		s, ok := h.find(label{id: key.ID, kind: key.Kind})
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
		if s, ok := h.find(label{id: key.ID, kind: key.Kind}); ok {
			have.Sums[key] = replica.SumRow{Sum: replica.SumRecord(need.Sums.Salt, key, s.body), Position: s.position}
		}
	}
	for _, dot := range need.Events {
		if s, ok := h.find(label{id: dot.Replica, n: dot.N}); ok {
			have.Events[dot] = s.hash
		}
	}
	if need.AllChains {
		maps.Copy(have.Chains, h.chains)
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
	own, others := h.own.list[h.own.index(after+1):], h.others.list[h.others.index(after+1):]
	if after+1 < h.gone {
		return page, h.fail(fmt.Errorf("%w: positions from %d, of %d", errLetGo, after, h.gone))
	}
	size := 0
	for len(own)+len(others) > 0 {
		if len(page.Items) > 0 && (len(page.Items) >= limit || size >= bytesMax) {
			break
		}
		from := &own
		if len(own) == 0 || len(others) > 0 && others[0].position < own[0].position {
			from = &others
		}
		s := (*from)[0]
		*from = (*from)[1:]
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
		s, ok := h.find(label{id: id, n: n})
		if !ok {
			return nil, h.fail(fmt.Errorf("%w: event %d of %s", errLetGo, n, id))
		}
		rows = append(rows, s.event())
	}
	return rows, nil
}

// Branches implements replica.Store: what lies beside a chain ends the simulation.
func (h *hold) Branches(context.Context, record.ID, replica.EventRow, int) ([]replica.EventRow, error) {
	return nil, nil
}

// Buildings implements replica.Store.
func (h *hold) Buildings(context.Context) ([]record.ID, error) {
	return []record.ID{h.state.Building}, nil
}

// Watch implements replica.Store.
func (h *hold) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return h.watchers.Add(building)
}
