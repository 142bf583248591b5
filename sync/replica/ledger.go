package replica

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// ledger is one decision in progress: a Have being turned into Effects. It is plain data
// and lives for one transaction.
type ledger struct {
	node        *Node
	self        record.ID // the node's id, derived once: it is compared with every value's author
	building    record.ID
	run         record.ID // of the process
	boot        record.ID // the store's generation: the run, unless it was found copied
	now         int64     // wall clock with the building's offset
	state       State
	before      State
	chains      map[record.ReplicaID]*Chain
	dirty       []record.ReplicaID
	known       map[record.Dot]record.Hash
	erased      map[record.Dot]record.Dot
	waiting     map[record.ReplicaID][]EventRow
	cursor      wire.Cursor
	quarantined []QuarantineRow
	records     map[record.Key]*work
	named       map[record.ReplicaID]bool // see nameds
	// ownSigned are the heads that this node signed, by which a peer's page proves that
	// replicas are this node's; nil where the peer is of the tier above, which is trusted.
	ownSigned map[record.ReplicaID]record.Head
	// forks is what is learnt of forked chains, and forked whether any chain that was read is.
	forks  forks
	forked bool
	// asides are values to be kept beside their records, and brought says that a phone brings
	// back what servers showed it.
	asides  []aside
	brought bool
	// renewed: the generation is another than the one that this node's hello said.
	renewed bool
	// glancing: what is admitted now need not be stored now. These heads come later.
	glancing bool
	late     []record.Head
	unread   error // why the decision must fail: something was asked for that was not loaded
	order    []*work
	out      Effects
}

// work is one record of the decision.
type work struct {
	key     record.Key
	stored  Stored
	record  record.Record
	touches []PhoneTouch
	loaded  []PhoneTouch
	touched bool // its state or its touches may have changed
	// taken is a state that is the whole record, and body its canonical form.
	taken record.Record
	body  []byte
	row   int  // one more than its place among the rows to be stored; zero for none
	echo  bool // the row is what the peer sent
}

// lineageMax bounds a walk along cards: a phone that starts a hundred times a day needs
// years to reach it, and a node that signs cards in a circle gains nothing.
const lineageMax = 1 << 18

func newLedger(n *Node, building, boot record.ID, have Have, keys []record.Key) *ledger {
	l := &ledger{node: n, self: n.ID(), building: building, boot: boot, state: have.State, before: have.State,
		chains: map[record.ReplicaID]*Chain{}, known: have.Events, waiting: have.Waiting, records: make(map[record.Key]*work, len(keys)),
		cursor: have.Cursor, quarantined: have.Quarantine}
	l.erased = joined(have.Erased, nil)
	l.state.Building = building
	l.now = n.Now() + have.State.ClockOffset
	l.forks = forks{conflicts: map[record.ReplicaID]*conflict{}, proven: map[record.ReplicaID]bool{}, ahead: map[record.ReplicaID]bool{}}
	for id, c := range have.Chains {
		l.chains[id] = &c
		l.forked = l.forked || c.Fork > 0
	}
	works := make([]work, len(keys))
	for i, k := range keys {
		works[i].key = k
		l.records[k] = &works[i]
	}
	for k, s := range have.Records {
		w := l.records[k]
		if w == nil {
			w = &work{key: k}
			l.records[k] = w
		}
		w.stored, w.record = s, s.Record
	}
	for k, t := range have.Touches {
		w := l.work(k)
		w.touches, w.loaded = slices.Clone(t), t
	}
	if l.known == nil {
		l.known = map[record.Dot]record.Hash{}
	}
	if l.waiting == nil {
		l.waiting = map[record.ReplicaID][]EventRow{}
	}
	return l
}

// Card implements merge.Lineage. A card that names a number beyond a fork covers its
// predecessor to the last common one.
func (l *ledger) Card(r record.ReplicaID) (record.Card, bool) {
	c := l.chains[r]
	if c == nil || c.Card == nil {
		return record.Card{}, false
	}
	card := *c.Card
	if before := l.chains[card.Predecessor.Replica]; before.beyond(card.Predecessor.N) {
		card.Predecessor.N = before.Fork - 1
	}
	return card, true
}

func (l *ledger) work(k record.Key) *work {
	w := l.records[k]
	if w == nil {
		// What was not loaded looks empty, and saving it would take the place of what is
		// stored: the decision must fail.
		l.unread = fmt.Errorf("replica: decision on %s, which it did not read", k)
		w = &work{key: k}
		l.records[k] = w
	}
	return w
}

// touch marks a record for the final pass, once.
func (l *ledger) touch(k record.Key) *work {
	w := l.work(k)
	if !w.touched {
		w.touched = true
		l.order = append(l.order, w)
	}
	return w
}

// expect makes room for what becomes of so many records.
func (l *ledger) expect(records int) {
	l.order, l.out.Records = slices.Grow(l.order, records), slices.Grow(l.out.Records, records)
}

func (l *ledger) chain(r record.ReplicaID) *Chain {
	c := l.chains[r]
	if c == nil {
		c = &Chain{Replica: r}
		l.chains[r] = c
	}
	return c
}

func (l *ledger) changed(r record.ReplicaID) {
	if !slices.Contains(l.dirty, r) {
		l.dirty = append(l.dirty, r)
	}
}

// leapMax bounds how far the first position of a commit lies beyond the last one: on average
// half of it, so that 2^34 commits fit the numbers that every client can count to (2^53).
const leapMax = 1 << 20

// position gives out the next position, for something with this hash. Each commit leaps by a
// number that depends on when it is, on what it begins with and on where it begins: two
// copies of one store, which both go on from one state, are at other positions from their
// first commit on. So a position names the history that led to it (SPEC R11, R12).
func (l *ledger) position(hash []byte) uint64 {
	if l.state.Position == l.before.Position {
		h := fnv.New64a()
		from := binary.BigEndian.AppendUint64(nil, l.before.Position)
		_, _ = h.Write(binary.BigEndian.AppendUint64(from, uint64(l.now)))
		_, _ = h.Write(hash)
		l.state.Position += h.Sum64() % leapMax
	}
	l.state.Position++
	return l.state.Position
}

func (l *ledger) stamp() (hlc.Stamp, error) {
	s, err := hlc.Next(l.state.Stamp, l.now)
	if err != nil {
		return 0, err
	}
	l.state.Stamp = s
	return s, nil
}

// identity makes sure that the node writes under a replica of this run of its store. At
// the first write after a start it mints a fresh one, whose card names the last, so no dot
// is ever reused, whatever was restored or cloned (SPEC R1).
func (l *ledger) identity() error {
	if l.state.Boot == l.boot && !l.state.Replica.IsZero() {
		return nil
	}
	return l.mint()
}

// mint starts a new replica of this node.
func (l *ledger) mint() error {
	id, err := record.NewReplicaID(l.now, l.node.Random, l.self)
	if err != nil {
		return err
	}
	card := &record.Card{Node: l.self, Tier: l.node.Tier, PublicKey: l.node.PublicKey()}
	if l.state.N > 0 {
		card.Predecessor = record.Dot{Replica: l.state.Replica, N: l.state.N}
		card.PredecessorHash = l.state.Head
	}
	if l.boot != l.run {
		l.boot = copied(l.run, id)
	}
	l.state.Boot, l.state.Replica, l.state.N, l.state.Head = l.boot, id, 0, record.Hash{}
	_, err = l.append(record.Event{Actor: record.Actor{Class: record.Automation, Name: "replica"}, Action: "card", EventTime: l.now, Card: card}, nil)
	return err
}

// append adds an event to the node's own chain and returns its dot. The event's identity,
// number, previous hash and stamp are set here; Touches are final.
func (l *ledger) append(e record.Event, details record.Details) (record.Event, error) {
	if e.Stamp == 0 {
		s, err := l.stamp()
		if err != nil {
			return e, err
		}
		e.Stamp = s
	}
	e.Building, e.Replica, e.N, e.Prev = l.building, l.state.Replica, l.state.N+1, l.state.Head
	body, err := e.Encode()
	if err != nil {
		return e, err
	}
	var encoded []byte
	if len(details) > 0 {
		if encoded, err = details.Encode(); err != nil {
			return e, err
		}
	}
	l.state.N, l.state.Head = e.N, record.HashEvent(body)
	l.out.Events = append(l.out.Events, EventRow{Replica: e.Replica, N: e.N, Hash: l.state.Head, Body: body, Details: encoded, Position: l.position(l.state.Head[:])})
	c := l.chain(e.Replica)
	c.Held, c.Hash = e.N, l.state.Head
	if e.Card != nil {
		c.Card = e.Card
		l.nameds()[c.Card.Predecessor.Replica] = true
	}
	l.changed(e.Replica)
	l.erase(c, &e)
	return e, nil
}

// salts are so many random salts, one after the other.
func (n *Node) salts(count int) ([]byte, error) {
	salts := make([]byte, count*record.SaltBytes)
	if _, err := io.ReadFull(n.Random, salts); err != nil {
		return nil, fmt.Errorf("salts: %w", err)
	}
	return salts, nil
}

// touchOf builds the touch and detail of one field: salted hashes of old and new values.
// A secret's values stay out of the details. The detail keeps salt and values.
func touchOf(salt []byte, k record.Key, field string, replaced []record.Sibling, values []record.Value, secret bool) (record.Touch, record.Detail) {
	t := record.Touch{Kind: k.Kind, ID: k.ID, Field: field, Replaced: []record.Dot{}}
	d := record.Detail{Salt: salt, Old: []record.Value{}, New: values}
	if d.New == nil {
		d.New = []record.Value{}
	}
	for _, s := range replaced {
		t.Replaced = append(t.Replaced, s.Dot)
		d.Old = append(d.Old, s.Value)
	}
	t.Old, t.New = record.HashValues(salt, record.LabelOld, d.Old), record.HashValues(salt, record.LabelNew, d.New)
	if secret {
		d = record.Detail{Salt: []byte{}, Old: []record.Value{}, New: []record.Value{}}
	}
	return t, d
}

// join merges a state into a record of the decision. body is its canonical form, where that
// is at hand.
func (l *ledger) join(k record.Key, r record.Record, body []byte) {
	w := l.touch(k)
	first, before := w.record.IsZero(), w.record
	w.record = merge.Merge(w.record, r, l)
	if !first {
		l.guard(w, &before, &r)
	}
	w.taken, w.body = record.Record{}, nil
	if first && len(r.Context.Dots) == 0 && slices.Equal(w.record.Context.Vector, r.Context.Vector) {
		w.taken, w.body = w.record, body
	}
}

// encode writes the record in its canonical form, or takes the form in which it came: most
// records of a first sync are stored as they were sent.
func (w *work) encode() ([]byte, error) {
	if w.body != nil && sameMemory(w.taken.Fields, w.record.Fields) && sameMemory(w.taken.Context.Vector, w.record.Context.Vector) && len(w.record.Context.Dots) == 0 {
		return w.body, nil
	}
	return w.record.Encode()
}

// sameMemory reports whether two slices are one: what they hold is never changed in place.
func sameMemory[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// observe moves the clock past stamps that were seen.
func (l *ledger) observe(r *record.Record) {
	for _, f := range r.Fields {
		for i := range f.Siblings {
			s := &f.Siblings[i]
			if s.Stamp <= l.state.Stamp {
				continue
			}
			l.state.Stamp = hlc.Observe(l.state.Stamp, s.Stamp, l.now)
		}
	}
}

// effects closes the decision: it raises phones' entries by the exact rule, gives each
// changed record one new position, after the events that it cites, and lists what is to be
// stored. changed is false if the store already holds all of it.
func (l *ledger) effects() (out Effects, changed bool, err error) {
	if l.unread != nil {
		return out, false, l.unread
	}
	for _, w := range l.order {
		if err := l.settle(w); err != nil {
			return out, false, err
		}
	}
	for _, r := range l.dirty {
		l.out.Chains = append(l.out.Chains, *l.chains[r])
	}
	l.dropErased()
	l.out.State = l.state
	return l.out, !l.out.IsZero() || l.state != l.before, nil
}

func (l *ledger) settle(w *work) error {
	w.record.Context = l.raise(w)
	for _, t := range w.touches {
		if n := merge.Covered(w.record.Context, t.Dot.Replica, l); t.Dot.N <= n {
			if slices.ContainsFunc(w.loaded, t.same) {
				l.out.TouchesGone = append(l.out.TouchesGone, t)
			}
			continue
		}
		t.Covered = merge.Covers(w.record.Context, t.Field, t.Dot, l)
		if !slices.Contains(w.loaded, t) {
			l.out.Touches = append(l.out.Touches, t)
		}
	}
	if w.record.IsZero() {
		return nil
	}
	body, err := w.encode()
	if err != nil {
		return fmt.Errorf("record %s: %w", w.key, err)
	}
	if bytes.Equal(body, w.stored.Body) {
		return nil // no byte changed: no position (SPEC R11)
	}
	l.out.Records = append(l.out.Records, RecordRow{Key: w.key, Record: w.record, Body: body, Position: l.position(body), New: w.stored.Position == 0})
	w.row = len(l.out.Records)
	return nil
}

// same reports whether two touches name the same field of the same transaction.
func (t PhoneTouch) same(o PhoneTouch) bool {
	return t.Key == o.Key && t.Field == o.Field && t.Dot == o.Dot
}

// raise applies the exact rule: a phone's vector entry passes n in this record only where
// the events up to n, and the predecessors' to their named ends, are held and every dot
// that they name in this record is in its context (SPEC R8).
func (l *ledger) raise(w *work) record.Context {
	c := w.record.Context
	if len(c.Dots) == 0 {
		return c
	}
	dots := slices.Clone(c.Dots)
	slices.SortFunc(dots, func(a, b record.FieldDot) int { return a.Dot.Compare(b.Dot) })
	for _, d := range dots {
		card, ok := l.Card(d.Dot.Replica)
		if !ok || card.Tier != record.TierPhone || !l.complete(d.Dot, w, c) {
			continue
		}
		c = merge.JoinContexts(c, record.Context{Vector: []record.Dot{d.Dot}}, l)
	}
	return c
}

func (l *ledger) complete(d record.Dot, w *work, c record.Context) bool {
	for range lineageMax {
		chain := l.chains[d.Replica]
		if chain == nil || chain.Card == nil || chain.Held < d.N {
			return false
		}
		for _, t := range w.touches {
			if t.Dot.Replica == d.Replica && t.Dot.N <= d.N && !merge.Covers(c, t.Field, t.Dot, l) {
				return false
			}
		}
		card, _ := l.Card(d.Replica)
		if d = card.Predecessor; d.N == 0 {
			return true
		}
	}
	return false
}
