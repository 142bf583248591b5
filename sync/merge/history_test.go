package merge_test

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"estate/sync/merge"
	"estate/sync/record"
)

// The oracle. A state is a function of the set of writes that it includes: a value stands
// exactly if its write is included and no included write replaced it. saw is that set,
// carried beside each state and joined by union, never read by the code under test.
type op struct {
	field string
	dot   record.Dot
}

type written struct {
	added    []string        // values under this dot
	replaced map[string]bool // identities (see ident) that its author saw and replaced
	covers   map[op]bool     // dots that it names, its own included
	phone    bool
}

func ident(s record.Sibling) string {
	return fmt.Sprintf("%x:%d:%s", s.Dot.Replica, s.Dot.N, s.Value)
}

type ghost struct {
	rec record.Record
	saw map[op]bool
}

func (g ghost) clone() ghost { return ghost{rec: g.rec, saw: maps.Clone(g.saw)} }

// node is an edge, the cloud or a phone. A phone sends only transactions; the others send
// whole records.
type node struct {
	name  string
	phone bool
	id    record.ReplicaID // zero until the first write after a start
	n     uint64
	prev  record.Dot
	recs  map[string]ghost
}

func (x *node) clone() *node {
	c := *x
	c.recs = map[string]ghost{}
	for k, g := range x.recs {
		c.recs[k] = g.clone()
	}
	return &c
}

// start is a process start: the next write mints a replica that names the last one.
func (x *node) start() {
	if x.n > 0 {
		x.prev = record.Dot{Replica: x.id, N: x.n}
	}
	x.id, x.n = record.ReplicaID{}, 0
}

// history is a random reachable world: writes, restarts, restores, clones, old messages
// replayed in any order.
type history struct {
	t      *rapid.T
	lin    cards
	nodes  []*node
	disks  []*node // snapshots of nodes
	wire   map[string][]ghost
	ops    map[string]map[op]*written // by record
	minted int
	fresh  int
}

var historyRecords = []string{"r1", "r2", "r3"}

func newHistory(t *rapid.T) *history {
	h := &history{t: t, lin: cards{}, wire: map[string][]ghost{}, ops: map[string]map[op]*written{}}
	for _, r := range historyRecords {
		h.ops[r] = map[op]*written{}
	}
	for i, phone := range []bool{false, false, true, true} {
		h.nodes = append(h.nodes, &node{name: fmt.Sprint("node", i), phone: phone, recs: map[string]ghost{}})
	}
	return h
}

func (h *history) pick(label string, n int) int { return rapid.IntRange(0, n-1).Draw(h.t, label) }

func (h *history) nextDot(x *node) record.Dot {
	if x.id.IsZero() {
		h.minted++
		x.id = rid(fmt.Sprintf("%c-%s-%d", 'a'+h.pick("replica order", 26), x.name, h.minted))
		h.lin[x.id] = record.Card{Node: rid(x.name), Predecessor: x.prev}
		x.n = 1 // event 1 is the card and touches nothing
	}
	x.n++
	return record.Dot{Replica: x.id, N: x.n}
}

// write is one transaction of a node over one or two records and some fields: "w" is a set
// that gains or loses one element, the others are replaced whole.
func (h *history) write(x *node) {
	d := h.nextDot(x)
	first := h.pick("record", len(historyRecords))
	for i := range 1 + h.pick("records more", 2) {
		key := historyRecords[(first+i)%len(historyRecords)]
		g := x.recs[key].clone()
		v, seen := values{}, shown{}
		for _, f := range []string{"f", "g", "w"} {
			if f != "f" && h.pick("touch "+f, 2) == 0 {
				continue
			}
			h.fresh++
			v[f], seen[f] = []string{fmt.Sprint("v", h.fresh)}, g.rec.Siblings(f)
			if f == "w" {
				element := []string{"ann", "bob", "cy"}[h.pick("element", 3)]
				v[f], seen[f] = []string{element}, named(g.rec, f, element)[f]
				if len(seen[f]) > 0 && h.pick("remove", 2) == 0 {
					v[f] = nil
				}
			}
		}
		h.apply(x, key, g, txn{dot: d, values: v, replaced: seen, stamp: 7})
	}
}

func (h *history) apply(x *node, key string, g ghost, w txn) {
	delta := ghost{rec: w.delta(g.rec), saw: map[op]bool{}}
	for f, vs := range w.values {
		o := op{f, w.dot}
		fact := &written{added: vs, replaced: map[string]bool{}, covers: map[op]bool{o: true}, phone: x.phone}
		for _, s := range w.replaced[f] {
			fact.replaced[ident(s)] = true
			fact.covers[op{f, s.Dot}] = true
		}
		h.ops[key][o] = fact
		delta.saw[o] = true
	}
	if x.phone {
		h.wire[key] = append(h.wire[key], delta)
		x.recs[key] = h.merge(g, delta)
		return
	}
	g.rec = w.local(g.rec, h.lin)
	g.saw = union(g.saw, delta.saw)
	x.recs[key] = g
}

func union(a, b map[op]bool) map[op]bool {
	out := map[op]bool{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

func (h *history) merge(a, b ghost) ghost {
	return ghost{rec: merge.Merge(a.rec, b.rec, h.lin), saw: union(a.saw, b.saw)}
}

// refuse takes only some fields of a phone's transaction, as an authority does.
func (h *history) refuse(g ghost) ghost {
	out := ghost{saw: map[op]bool{}}
	for _, f := range g.rec.Fields {
		if h.pick("admit "+f.Name, 3) > 0 {
			out.rec = out.rec.With(f.Name, f.Siblings)
		}
	}
	for _, d := range g.rec.Context.Dots {
		if len(out.rec.Siblings(d.Field)) > 0 {
			out.rec.Context.Dots = append(out.rec.Context.Dots, d)
			if o := (op{d.Field, d.Dot}); g.saw[o] {
				out.saw[o] = true
			}
		}
	}
	return out
}

// raise applies the exact rule at a server that holds every event: a phone's entry rises
// to n in a record where each dot up to n that names the record, and the predecessors' up
// to their named ends, is in its context.
func (h *history) raise(key string, g ghost) ghost {
	for _, d := range slices.Clone(g.rec.Context.Dots) {
		if h.complete(key, g.rec.Context, d.Dot) {
			g.rec.Context = merge.JoinContexts(g.rec.Context, vector(d.Dot), h.lin)
		}
	}
	return g
}

func (h *history) complete(key string, c record.Context, d record.Dot) bool {
	for o, fact := range h.ops[key] {
		if o.dot.Replica == d.Replica && o.dot.N <= d.N && (!fact.phone || !merge.Covers(c, o.field, o.dot, h.lin)) {
			return false
		}
	}
	p := h.lin[d.Replica].Predecessor
	return p.N == 0 || h.complete(key, c, p)
}

func (h *history) step() {
	x := h.nodes[h.pick("node", len(h.nodes))]
	key := historyRecords[h.pick("record", len(historyRecords))]
	switch h.pick("step", 12) {
	case 0, 1, 2:
		h.write(x)
	case 3, 4:
		if g, ok := x.recs[key]; ok && !x.phone {
			h.wire[key] = append(h.wire[key], g.clone())
		}
	case 5:
		x.start()
	case 6:
		h.disks = append(h.disks, x.clone())
	case 7:
		if len(h.disks) > 0 {
			h.restore(h.disks[h.pick("disk", len(h.disks))].clone())
		}
	case 8:
		if g, ok := x.recs[key]; ok && !x.phone {
			x.recs[key] = h.raise(key, g.clone())
		}
	default:
		if n := len(h.wire[key]); n > 0 {
			m := h.wire[key][h.pick("message", n)]
			if len(m.rec.Context.Vector) == 0 && h.pick("refuse", 4) == 0 {
				m = h.refuse(m)
			}
			x.recs[key] = h.merge(x.recs[key], m)
		}
	}
}

// restore boots an old disk, in place of the node or, as a clone, beside it.
func (h *history) restore(old *node) {
	old.start()
	if h.pick("clone", 4) == 0 && len(h.nodes) < 6 {
		h.nodes = append(h.nodes, old)
		return
	}
	i := slices.IndexFunc(h.nodes, func(x *node) bool { return x.name == old.name })
	h.nodes[i] = old
}

// states lists every state of a record that exists anywhere, messages included.
func (h *history) states(key string) []ghost {
	all := slices.Clone(h.wire[key])
	for _, x := range append(slices.Clone(h.nodes), h.disks...) {
		if g, ok := x.recs[key]; ok {
			all = append(all, g)
		}
	}
	return all
}

// check holds a state against the oracle: exactly the values that should stand do, and the
// context covers exactly what is included.
func (h *history) check(key string, g ghost) {
	gone, covered := map[string]bool{}, map[op]bool{}
	for o := range g.saw {
		maps.Copy(gone, h.ops[key][o].replaced)
		maps.Copy(covered, h.ops[key][o].covers)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for o := range g.saw {
		for _, v := range h.ops[key][o].added {
			if s := (record.Sibling{Dot: o.dot, Value: record.Text(v)}); !gone[ident(s)] {
				want[o.field+" "+ident(s)] = true
			}
		}
	}
	for _, f := range g.rec.Fields {
		for _, s := range f.Siblings {
			got[f.Name+" "+ident(s)] = true
		}
	}
	if !maps.Equal(want, got) {
		h.t.Fatalf("%s: stands %v, want %v", key, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	for o := range h.ops[key] {
		if merge.Covers(g.rec.Context, o.field, o.dot, h.lin) != covered[o] {
			h.t.Fatalf("%s: context covers %s of %v: want %v", key, o.field, o.dot, covered[o])
		}
	}
}
