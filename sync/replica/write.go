package replica

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// Intent is a local write: one transaction, one audit event.
type Intent struct {
	Actor  record.Actor
	Action string
	// EventTime is when it happened, in Unix milliseconds; zero for now.
	EventTime int64
	Writes    []RecordWrite
}

// RecordWrite changes fields of one record.
type RecordWrite struct {
	Key    record.Key
	Fields []FieldWrite
	// Seen is the context that the author was shown: only siblings that it covers are
	// replaced, others stand beside the new value. Nil means what is stored.
	Seen *record.Context
}

// FieldWrite sets a field, or adds and removes members of a set.
type FieldWrite struct {
	Field string
	// Value is the new value of a field; nil clears it. Sets use Add and Remove.
	Value  record.Value
	Add    []record.Value
	Remove []record.Value
}

// Written says what a write made.
type Written struct {
	// Dot is the transaction's; zero if nothing had to change.
	Dot record.Dot
	// Records are those that the intent names, as they are now, and Positions where they
	// stand in the feed.
	Records   map[record.Key]record.Record
	Positions map[record.Key]uint64
}

// Current is the state under the building's lock that a write decides on.
type Current struct {
	l *ledger
	// Now is the node's time for this building, in Unix milliseconds.
	Now int64
}

// Record returns a record that the write asked to read; zero if there is none.
func (c Current) Record(k record.Key) record.Record {
	if w := c.l.records[k]; w != nil {
		return w.record
	}
	return record.Record{}
}

// Position returns the feed position of a record that the write asked to read.
func (c Current) Position(k record.Key) uint64 {
	if w := c.l.records[k]; w != nil {
		return w.stored.Position
	}
	return 0
}

// Write runs one local transaction. reads names every record that build reads or writes;
// build decides under the building's lock, so rights and preconditions that it checks
// there still hold when the write commits. It must have no effect but its result and may
// run more than once. Errors of build are returned as they are; a Refusal says that the
// write breaks a rule of the kind; ErrBusy that the store cannot take it now.
func (n *Node) Write(ctx context.Context, building record.ID, reads []record.Key, build func(Current) (Intent, error)) (Written, error) {
	var out Written
	err := n.step(ctx, building, Need{Keys: reads}, nil, func(l *ledger) error {
		intent, err := build(Current{l: l, Now: l.now})
		if err != nil {
			return err
		}
		dot, err := l.write(intent)
		if err != nil {
			return err
		}
		out = Written{Dot: dot, Records: map[record.Key]record.Record{}, Positions: map[record.Key]uint64{}}
		for _, w := range intent.Writes {
			out.Records[w.Key] = record.Record{}
		}
		return nil
	}, func(l *ledger) { l.written(&out) })
	return out, err
}

// written reads the closed decision.
func (l *ledger) written(out *Written) {
	for k := range out.Records {
		w := l.work(k)
		out.Records[k], out.Positions[k] = w.record, w.stored.Position
	}
	for _, row := range l.out.Records {
		if _, named := out.Records[row.Key]; named {
			out.Positions[row.Key] = row.Position
		}
	}
}

// change is one field of a write, with what it replaces.
type change struct {
	key      record.Key
	field    string
	replaced []record.Sibling
	values   []record.Value
	secret   bool
}

// write turns an intent into an event and new states. A write that would change nothing
// makes no event.
func (l *ledger) write(in Intent) (record.Dot, error) {
	room := 0
	for _, w := range in.Writes {
		room += len(w.Fields) + 1
	}
	changes := make([]change, 0, room)
	for _, w := range in.Writes {
		var err error
		if changes, err = l.changes(changes, w, in.Actor.Class); err != nil {
			return record.Dot{}, err
		}
	}
	if len(changes) == 0 {
		return record.Dot{}, nil
	}
	more := oneElement(changes)
	dot, err := l.commit(in, changes)
	for _, c := range more {
		if err == nil {
			_, err = l.commit(in, []change{c})
		}
	}
	return dot, err
}

// oneElement leaves at most one new element of a set to a transaction and returns the
// others, one transaction each: a dot could not name one of two when a phone removes it
// (SPEC R4).
func oneElement(changes []change) (more []change) {
	for i, c := range changes {
		if len(c.values) <= 1 {
			continue
		}
		for _, v := range c.values[1:] {
			more = append(more, change{key: c.key, field: c.field, values: []record.Value{v}, secret: c.secret})
		}
		changes[i].values = c.values[:1]
	}
	return more
}

func (l *ledger) commit(in Intent, changes []change) (record.Dot, error) {
	if err := l.identity(); err != nil {
		return record.Dot{}, err
	}
	if l.foreseen(changes) {
		if err := l.mint(); err != nil {
			return record.Dot{}, err
		}
	}
	e := record.Event{Actor: in.Actor, Action: in.Action, EventTime: in.EventTime, Touches: make([]record.Touch, 0, len(changes))}
	if e.EventTime == 0 {
		e.EventTime = l.now
	}
	salts, err := l.node.salts(len(changes))
	if err != nil {
		return record.Dot{}, err
	}
	details := make(record.Details, 0, len(changes))
	for i, c := range changes {
		salt := salts[i*record.SaltBytes:][:record.SaltBytes:record.SaltBytes]
		t, d := touchOf(salt, c.key, c.field, c.replaced, c.values, c.secret)
		e.Touches, details = append(e.Touches, t), append(details, d)
	}
	if e, err = l.append(e, details); err != nil {
		return record.Dot{}, err
	}
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].key == changes[0].key && !slices.ContainsFunc(changes[:n], sameField(changes[n])) {
			n++
		}
		l.apply(&e, changes[:n])
		changes = changes[n:]
	}
	return e.Dot(), nil
}

func sameField(c change) func(change) bool {
	return func(o change) bool { return o.field == c.field }
}

// apply makes changes of one record part of it, each of a field of its own.
func (l *ledger) apply(e *record.Event, changes []change) {
	w := l.touch(changes[0].key)
	room := 0
	for i := range changes {
		room += len(w.record.Siblings(changes[i].field)) + len(changes[i].values)
	}
	siblings := make([]record.Sibling, 0, room) // of all fields, one after the other
	fields := make([]record.Field, 0, len(changes))
	for i := range changes {
		c, from := &changes[i], len(siblings)
		for _, s := range w.record.Siblings(c.field) {
			if !slices.ContainsFunc(c.replaced, identical(s)) {
				siblings = append(siblings, s)
			}
		}
		for _, v := range c.values {
			siblings = append(siblings, record.Sibling{Dot: e.Dot(), Stamp: e.Stamp, Class: e.Actor.Class, Value: v})
		}
		fields = append(fields, record.Field{Name: c.field, Siblings: siblings[from:len(siblings):len(siblings)]})
	}
	slices.SortFunc(fields, func(a, b record.Field) int { return strings.Compare(a.Name, b.Name) })
	w.record = w.record.WithAll(fields)
	w.record.Context = merge.JoinContexts(w.record.Context, record.Context{Vector: []record.Dot{e.Dot()}}, l)
}

// foreseen reports whether a record's context names the number that is about to be written.
// Only a forged context does: it would take the new value away unseen, so the write goes
// under a replica that nobody could know of.
func (l *ledger) foreseen(changes []change) bool {
	next := record.Dot{Replica: l.state.Replica, N: l.state.N + 1}
	return slices.ContainsFunc(changes, func(c change) bool {
		return merge.Covers(l.work(c.key).record.Context, c.field, next, l)
	})
}

func identical(s record.Sibling) func(record.Sibling) bool {
	return func(o record.Sibling) bool { return s.CompareIdentity(o) == 0 }
}

// changes appends to out what a write would change.
func (l *ledger) changes(out []change, w RecordWrite, class record.Class) ([]change, error) {
	kind, ok := l.node.Rules.Kind(w.Key.Kind)
	if !ok {
		return nil, refuse(wire.CodeKindUnknown, "%s", w.Key.Kind)
	}
	if w.Key.Building != l.building {
		return nil, refuse(wire.CodeWrongBuilding, "%s", w.Key)
	}
	if l.node.Tier == record.TierEdge && !kind.EdgeWrites {
		return nil, refuse(wire.CodeKindNotYours, "%s is written at the cloud", w.Key.Kind)
	}
	current, before := l.work(w.Key).record, len(out)
	for _, f := range w.Fields {
		c, need, err := l.change(w, f, current, kind, class)
		if err != nil {
			return nil, err
		}
		if need {
			out = append(out, c)
		}
	}
	if len(out) == before || !kind.Deletable || class != record.Person || slices.ContainsFunc(w.Fields, func(f FieldWrite) bool { return f.Field == "deleted" }) {
		return out, nil
	}
	// A person's edit says that the record is not deleted, even where that stands already:
	// so it wins over a deletion made without knowing of it (SPEC R6).
	return append(out, change{key: w.Key, field: "deleted", secret: kind.Secret,
		replaced: l.seen(w, "deleted", current), values: []record.Value{record.Bool(false)}}), nil
}

// seen lists the siblings of a field that the author was shown.
func (l *ledger) seen(w RecordWrite, field string, current record.Record) []record.Sibling {
	var out []record.Sibling
	for _, s := range current.Siblings(field) {
		if w.Seen == nil || merge.Covers(*w.Seen, field, s.Dot, l) {
			out = append(out, s)
		}
	}
	return out
}

func (l *ledger) change(w RecordWrite, f FieldWrite, current record.Record, kind KindRule, class record.Class) (change, bool, error) {
	rule, ok := l.node.Rules.Field(w.Key.Kind, f.Field)
	if !ok {
		return change{}, false, refuse(wire.CodeFieldUnknown, "%s.%s", w.Key.Kind, f.Field)
	}
	seen := l.seen(w, f.Field, current)
	c := change{key: w.Key, field: f.Field, secret: kind.Secret}
	if rule.Policy.Kind == merge.Set {
		c.setChange(f, seen)
	} else {
		c.replaced = seen
		if len(f.Value) > 0 {
			c.values = []record.Value{f.Value}
		}
		if len(seen) == 1 && len(c.values) == 1 && bytes.Equal(seen[0].Value, f.Value) && seen[0].Class == class {
			return c, false, nil
		}
		if kind.Immutable && len(seen) > 0 {
			return c, false, refuse(wire.CodeImmutable, "%s.%s is written once", w.Key.Kind, f.Field)
		}
	}
	for _, v := range c.values {
		if code := l.node.Rules.Validate(w.Key.Kind, f.Field, v); code != "" {
			return c, false, refuse(code, "%s.%s", w.Key.Kind, f.Field)
		}
	}
	return c, len(c.values)+len(c.replaced) > 0, nil
}

// setChange adds and removes members: adding replaces equal elements, removing replaces
// the one named, and nothing else is touched (SPEC R4).
func (c *change) setChange(f FieldWrite, seen []record.Sibling) {
	for _, v := range f.Add {
		if !slices.ContainsFunc(c.values, func(o record.Value) bool { return bytes.Equal(o, v) }) {
			c.values = append(c.values, v)
		}
	}
	for _, s := range seen {
		if slices.ContainsFunc(append(slices.Clone(f.Add), f.Remove...), func(v record.Value) bool { return bytes.Equal(v, s.Value) }) {
			c.replaced = append(c.replaced, s)
		}
	}
}
