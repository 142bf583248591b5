package memstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// data is one building. Its values are never changed in place, so a shallow copy of the
// maps is a deep copy of the building.
type data struct {
	state      replica.State
	records    map[record.Key]replica.Stored
	events     map[record.Dot]replica.EventRow
	numbers    map[record.ReplicaID][]uint64 // of the events, ascending
	chains     map[record.ReplicaID]replica.Chain
	touches    map[touchKey]replica.PhoneTouch
	quarantine map[quarantineKey]replica.QuarantineRow
	cursors    map[record.ID]wire.Cursor
	branches   map[branchKey]replica.EventRow
	erased     map[record.Dot]record.Dot
	feed       []entry // by position; entries of what has moved on are left until compact
}

type touchKey struct {
	key   record.Key
	field string
	dot   record.Dot
}

type quarantineKey struct {
	key    record.Key
	peer   record.ID
	theirs bool
}

type branchKey struct {
	dot  record.Dot
	hash record.Hash
}

func newData(building record.ID) *data {
	return &data{
		state: replica.State{Building: building}, records: map[record.Key]replica.Stored{}, events: map[record.Dot]replica.EventRow{},
		numbers: map[record.ReplicaID][]uint64{}, chains: map[record.ReplicaID]replica.Chain{}, touches: map[touchKey]replica.PhoneTouch{},
		quarantine: map[quarantineKey]replica.QuarantineRow{}, cursors: map[record.ID]wire.Cursor{},
		branches: map[branchKey]replica.EventRow{}, erased: map[record.Dot]record.Dot{},
	}
}

func (d *data) clone() *data {
	numbers := maps.Clone(d.numbers)
	for id, list := range numbers {
		numbers[id] = slices.Clip(list) // the copy's appends are its own; this side's lie beyond its end
	}
	return &data{
		state: d.state, records: maps.Clone(d.records), events: maps.Clone(d.events), numbers: numbers, chains: maps.Clone(d.chains),
		touches: maps.Clone(d.touches), quarantine: maps.Clone(d.quarantine), cursors: maps.Clone(d.cursors), branches: maps.Clone(d.branches), erased: maps.Clone(d.erased), feed: slices.Clone(d.feed),
	}
}

func (d *data) load(need replica.Need) (replica.Have, error) {
	if err := need.Check(d.state.Building); err != nil {
		return replica.Have{}, err
	}
	have := replica.Have{
		State: d.state, Records: map[record.Key]replica.Stored{}, Touches: map[record.Key][]replica.PhoneTouch{},
		Chains: map[record.ReplicaID]replica.Chain{}, Events: map[record.Dot]record.Hash{},
		Waiting: map[record.ReplicaID][]replica.EventRow{}, Unsettled: map[record.ReplicaID]uint64{}, Sums: map[record.Key]replica.SumRow{},
		Erased: map[record.Dot]record.Dot{},
	}
	for _, k := range need.Keys {
		if stored, ok := d.records[k]; ok {
			have.Records[k] = stored
		}
	}
	for _, k := range need.Sums.Keys {
		if stored, ok := d.records[k]; ok {
			have.Sums[k] = replica.SumRow{Sum: replica.SumRecord(need.Sums.Salt, k, stored.Body), Position: stored.Position}
		}
	}
	for _, dot := range need.Events {
		if e, ok := d.events[dot]; ok {
			have.Events[dot] = e.Hash
		}
		if by, ok := d.erased[dot]; ok {
			have.Erased[dot] = by
		}
	}
	for _, id := range need.Chains {
		d.lineage(id, have.Chains)
	}
	if need.AllChains {
		maps.Copy(have.Chains, d.chains)
	}
	for _, id := range need.Waiting {
		if rows := d.eventsOf(id, d.chains[id].Held+1, ^uint64(0), math.MaxInt); len(rows) > 0 {
			have.Waiting[id] = rows
		}
	}
	d.loadTouches(need, have)
	if !need.Peer.IsZero() {
		have.Cursor = d.cursors[need.Peer]
		have.Quarantine = d.quarantined(need.Peer, need.Quarantine, need.HeldBack)
	}
	return have, nil
}

func (d *data) branchesAfter(after replica.EventRow, limit int) (out []replica.EventRow) {
	order := func(a, b replica.EventRow) int {
		return cmp.Or(a.Replica.Compare(b.Replica), cmp.Compare(a.N, b.N), bytes.Compare(a.Hash[:], b.Hash[:]))
	}
	for _, e := range d.branches {
		if order(e, after) > 0 {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, order)
	return out[:min(len(out), max(limit, 0))]
}

// lineage adds a chain and those of its ancestors.
func (d *data) lineage(id record.ReplicaID, into map[record.ReplicaID]replica.Chain) {
	for {
		c, ok := d.chains[id]
		if _, done := into[id]; done || !ok {
			return
		}
		into[id] = c
		if c.Card == nil {
			return
		}
		id = c.Card.Predecessor.Replica
	}
}

func (d *data) loadTouches(need replica.Need, have replica.Have) {
	if len(need.Keys)+len(need.Unsettled) == 0 {
		return
	}
	wanted := map[record.Key]bool{}
	for _, k := range need.Keys {
		wanted[k] = true
	}
	for _, t := range d.touches {
		if wanted[t.Key] {
			have.Touches[t.Key] = append(have.Touches[t.Key], t)
		}
		if t.Covered || t.Refused || !slices.Contains(need.Unsettled, t.Dot.Replica) {
			continue
		}
		if n, ok := have.Unsettled[t.Dot.Replica]; !ok || t.Dot.N < n {
			have.Unsettled[t.Dot.Replica] = t.Dot.N
		}
	}
	for _, touches := range have.Touches {
		slices.SortFunc(touches, func(a, b replica.PhoneTouch) int {
			return cmp.Or(cmp.Compare(a.Field, b.Field), a.Dot.Compare(b.Dot))
		})
	}
}

// quarantined lists what is held back of the peer, oldest first, then what it holds back
// of ours, and beyond the limit what is held back of these keys.
func (d *data) quarantined(peer record.ID, limit int, keys []record.Key) []replica.QuarantineRow {
	var rows []replica.QuarantineRow
	for k, q := range d.quarantine {
		if k.peer == peer {
			rows = append(rows, q)
		}
	}
	rank := func(q replica.QuarantineRow) int {
		if q.Theirs {
			return 1
		}
		return 0
	}
	slices.SortFunc(rows, func(a, b replica.QuarantineRow) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Since, b.Since), a.Key.Compare(b.Key))
	})
	limit = min(len(rows), max(limit, 0))
	beyond := slices.DeleteFunc(slices.Clone(rows[limit:]), func(q replica.QuarantineRow) bool { return q.Theirs || !slices.Contains(keys, q.Key) })
	return append(rows[:limit], beyond...)
}

// eventsOf lists at most limit events of a replica with numbers in [from, to], in order.
func (d *data) eventsOf(id record.ReplicaID, from, to uint64, limit int) []replica.EventRow {
	numbers := d.numbers[id]
	start, _ := slices.BinarySearch(numbers, from)
	var rows []replica.EventRow
	for _, n := range numbers[start:] {
		if n > to || len(rows) >= limit {
			break
		}
		rows = append(rows, d.events[record.Dot{Replica: id, N: n}])
	}
	return rows
}

// transaction is a Tx that writes into the building at once and remembers how to undo it.
type transaction struct {
	data  *data
	undo  []func()
	saved bool
	// broken is the first Save that failed: a caller that overlooks it keeps nothing.
	broken error
}

// Load implements replica.Tx.
func (t *transaction) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	if err := cancelled(ctx, "load"); err != nil {
		return replica.Have{}, err
	}
	return t.data.load(need)
}

// Save implements replica.Tx.
func (t *transaction) Save(ctx context.Context, e replica.Effects) error {
	err := t.save(ctx, e)
	t.broken = cmp.Or(t.broken, err)
	return err
}

func (t *transaction) save(ctx context.Context, e replica.Effects) error {
	if err := cancelled(ctx, "save"); err != nil {
		return err
	}
	if err := e.Check(t.data.state.Building); err != nil {
		return err
	}
	d := t.data
	before := d.state
	t.undo = append(t.undo, func() { d.state = before })
	d.state, t.saved = e.State, true
	for _, row := range e.Records {
		if err := t.saveRecord(row); err != nil {
			return err
		}
	}
	for _, row := range e.Events {
		if err := t.saveEvent(row); err != nil {
			return err
		}
	}
	for _, dot := range e.EventsGone {
		drop(t, d.events, dot)
		put(t, d.numbers, dot.Replica, slices.DeleteFunc(slices.Clone(d.numbers[dot.Replica]), func(n uint64) bool { return n == dot.N }))
	}
	for _, row := range e.Branches {
		row.Body, row.Details, row.Position = some(row.Body), some(row.Details), 0
		put(t, d.branches, branchKey{record.Dot{Replica: row.Replica, N: row.N}, row.Hash}, row)
	}
	t.erase(e.Erasures)
	for _, c := range e.Chains {
		put(t, d.chains, c.Replica, c)
	}
	for _, p := range e.TouchesGone {
		drop(t, d.touches, touchKey{p.Key, p.Field, p.Dot})
	}
	for _, p := range e.Touches {
		put(t, d.touches, touchKey{p.Key, p.Field, p.Dot}, p)
	}
	for _, q := range e.QuarantineOut {
		drop(t, d.quarantine, quarantineKey{q.Key, q.Peer, q.Theirs})
	}
	for _, q := range e.Quarantine {
		q.Body = some(q.Body)
		put(t, d.quarantine, quarantineKey{q.Key, q.Peer, q.Theirs}, q)
	}
	if e.Cursor != nil {
		put(t, d.cursors, e.Cursor.Peer, e.Cursor.Cursor)
	}
	return nil
}

// erase drops the details of events and of their branches, and remembers by what.
func (t *transaction) erase(list []replica.Erasure) {
	for _, x := range list {
		if _, done := t.data.erased[x.Dot]; !done {
			put(t, t.data.erased, x.Dot, x.By)
		}
		if row, ok := t.data.events[x.Dot]; ok {
			row.Details = nil
			put(t, t.data.events, x.Dot, row)
		}
		for k, row := range t.data.branches {
			if k.dot == x.Dot {
				row.Details = nil
				put(t, t.data.branches, k, row)
			}
		}
	}
}

func (t *transaction) saveRecord(row replica.RecordRow) error {
	// Decoding the bytes, as an SQL store does, shows a row whose halves disagree.
	r, err := record.Decode(row.Body)
	if err != nil {
		return fmt.Errorf("save %s: %w", row.Key, err)
	}
	if err := t.data.place(entry{position: row.Position, key: row.Key}); err != nil {
		return err
	}
	put(t, t.data.records, row.Key, replica.Stored{Record: r, Body: some(row.Body), Position: row.Position})
	return nil
}

func (t *transaction) saveEvent(row replica.EventRow) error {
	dot := record.Dot{Replica: row.Replica, N: row.N}
	if row.Position != 0 {
		if err := t.data.place(entry{position: row.Position, dot: dot}); err != nil {
			return err
		}
	}
	row.Body, row.Details = some(row.Body), some(row.Details)
	if _, known := t.data.events[dot]; !known {
		numbers := t.data.numbers[row.Replica]
		i, _ := slices.BinarySearch(numbers, row.N)
		if i == len(numbers) {
			put(t, t.data.numbers, row.Replica, append(numbers, row.N))
		} else {
			put(t, t.data.numbers, row.Replica, slices.Insert(slices.Clone(numbers), i, row.N))
		}
	}
	put(t, t.data.events, dot, row)
	return nil
}

func (t *transaction) rollback() {
	for _, undo := range slices.Backward(t.undo) {
		undo()
	}
}

// put and drop change a map and remember how to undo it.
func put[K comparable, V any](t *transaction, m map[K]V, k K, v V) {
	old, had := m[k]
	t.undo = append(t.undo, func() {
		if had {
			m[k] = old
		} else {
			delete(m, k)
		}
	})
	m[k] = v
}

func drop[K comparable, V any](t *transaction, m map[K]V, k K) {
	if old, had := m[k]; had {
		t.undo = append(t.undo, func() { m[k] = old })
		delete(m, k)
	}
}
