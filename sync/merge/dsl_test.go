package merge_test

import (
	"slices"
	"testing"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

// rid names a replica by a readable text.
func rid(name string) record.ReplicaID {
	var id record.ReplicaID
	copy(id[:], name)
	return id
}

func dot(name string, n uint64) record.Dot { return record.Dot{Replica: rid(name), N: n} }

// values is what a transaction writes: new values by field.
type values map[string][]string

// shown is what a transaction replaces: siblings by field. Nil means all that stand.
type shown map[string][]record.Sibling

type txn struct {
	dot      record.Dot
	values   values
	replaced shown
	stamp    hlc.Stamp
	class    record.Class
}

// cards is a lineage held in memory.
type cards map[record.ReplicaID]record.Card

func (c cards) Card(r record.ReplicaID) (record.Card, bool) {
	card, ok := c[r]
	return card, ok
}

var alone = merge.NoLineage{}

// delta is the transaction as a phone pushes it: new siblings and, as single dots, what
// they replaced.
func (x txn) delta(r record.Record) record.Record {
	class := x.class
	if class == 0 {
		class = record.Person
	}
	var d record.Record
	for f, vs := range x.values {
		var siblings []record.Sibling
		for _, v := range vs {
			siblings = append(siblings, record.Sibling{Dot: x.dot, Stamp: x.stamp, Class: class, Value: record.Text(v)})
		}
		d = d.With(f, siblings)
		d.Context.Dots = append(d.Context.Dots, record.FieldDot{Field: f, Dot: x.dot})
		for _, s := range x.seen(r, f) {
			d.Context.Dots = append(d.Context.Dots, record.FieldDot{Field: f, Dot: s.Dot})
		}
	}
	slices.SortFunc(d.Context.Dots, record.FieldDot.Compare)
	d.Context.Dots = slices.Compact(d.Context.Dots)
	return d
}

func (x txn) seen(r record.Record, field string) []record.Sibling {
	if x.replaced == nil {
		return r.Siblings(field)
	}
	return x.replaced[field]
}

// local is the transaction as an edge or the cloud writes it: it takes away the siblings
// it names, not their dots, and raises its own entry.
func (x txn) local(r record.Record, lin merge.Lineage) record.Record {
	d := x.delta(r)
	for f := range x.values {
		gone := x.seen(r, f)
		kept := slices.DeleteFunc(slices.Clone(r.Siblings(f)), func(s record.Sibling) bool {
			return slices.ContainsFunc(gone, func(g record.Sibling) bool { return g.CompareIdentity(s) == 0 })
		})
		r = r.With(f, append(kept, d.Siblings(f)...))
	}
	r.Context = merge.JoinContexts(r.Context, record.Context{Vector: []record.Dot{x.dot}}, lin)
	return r
}

// write is a local write of an edge or the cloud that replaces all it finds.
func write(r record.Record, d record.Dot, v values) record.Record {
	return txn{dot: d, values: v}.local(r, alone)
}

// push is the same write as a phone's transaction.
func push(r record.Record, d record.Dot, v values) record.Record {
	return txn{dot: d, values: v}.delta(r)
}

func join(rs ...record.Record) record.Record {
	var out record.Record
	for _, r := range rs {
		out = merge.Merge(out, r, alone)
	}
	return out
}

func texts(siblings []record.Sibling) []string {
	out := []string{}
	for _, s := range siblings {
		v, _ := s.Value.AsText()
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// stands asserts which values a field holds.
func stands(t *testing.T, why string, r record.Record, field string, want ...string) {
	t.Helper()
	if got := texts(r.Siblings(field)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("%s: %s = %v, want %v", why, field, got, want)
	}
}

// without drops a field but keeps the context: a partial view.
func without(r record.Record, field string) record.Record { return r.With(field, nil) }

func vector(entries ...record.Dot) record.Context {
	slices.SortFunc(entries, record.Dot.Compare)
	return record.Context{Vector: entries}
}

// claiming is a record whose context says that it includes more.
func claiming(r record.Record, entries ...record.Dot) record.Record {
	r.Context = merge.JoinContexts(r.Context, vector(entries...), alone)
	return r
}

func bytesOf(t interface {
	Helper()
	Fatalf(string, ...any)
}, r record.Record) string {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	return string(b)
}
