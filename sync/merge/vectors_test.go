package merge_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/merges.json anew")

// A vector is a merge of two encoded records under some cards, with the bytes that it must
// give in either order, and what each policy shows of each field of the result. Values are
// in hex. The client in TypeScript reads the same file.
type mergeVector struct {
	Name   string                              `json:"name"`
	A      string                              `json:"a"`
	B      string                              `json:"b"`
	Cards  []cardVector                        `json:"cards"`
	Merged string                              `json:"merged"`
	Fields map[string]map[string]policyOutcome `json:"fields"` // by field, then by policy
}

type cardVector struct {
	Replica     record.ReplicaID `json:"replica"`
	Node        record.ID        `json:"node"`
	Predecessor record.ReplicaID `json:"predecessor"`
	UpTo        uint64           `json:"up_to"`
}

type policyOutcome struct {
	Shown    []string `json:"shown"`
	Conflict []string `json:"conflict"`
}

// vectorPolicies are the policies by the names that the file gives them.
func vectorPolicies() map[string]merge.Policy {
	states := []string{"new", "assigned", "done"}
	return map[string]merge.Policy{
		"latest": {Kind: merge.Latest}, "latest person first": {Kind: merge.Latest, PersonFirst: true}, "first": {Kind: merge.First},
		"furthest new assigned done": {Kind: merge.Furthest, Order: states}, "max": {Kind: merge.Max}, "min": {Kind: merge.Min}, "set": {Kind: merge.Set},
	}
}

func stamped(name string, n uint64, stamp hlc.Stamp, class record.Class, v record.Value) record.Record {
	d := record.Dot{Replica: rid(name), N: n}
	r := record.Record{Context: vector(d)}
	return r.With("f", []record.Sibling{{Dot: d, Stamp: stamp, Class: class, Value: v}})
}

func mergeVectors(t *testing.T) []mergeVector {
	t.Helper()
	person, auto, text := record.Person, record.Automation, record.Text
	base := write(record.Record{}, dot("E", 2), values{"f": {"v0"}, "w": {"ann"}})
	removed := record.Record{Context: vector(dot("E", 2), dot("C", 3))}.With("w", base.Siblings("w"))
	lineage := cards{rid("A1"): {Node: rid("a")}, rid("A2"): {Node: rid("a"), Predecessor: dot("A1", 3)}, rid("A3"): {Node: rid("a"), Predecessor: dot("A2", 2)}, rid("B1"): {Node: rid("b")}}
	lied := stamped("E", 2, 9, person, text("x"))
	var out []mergeVector
	for _, c := range []struct {
		name  string
		a, b  record.Record
		cards cards
	}{
		{"empty", record.Record{}, record.Record{}, nil},
		{"with nothing", base, record.Record{}, nil},
		{"equal", base, base, nil},
		{"concurrent persons", stamped("E", 2, 5, person, text("new")), stamped("C", 7, 9, person, text("done")), nil},
		{"tied stamps", stamped("E", 2, 5, person, text("b")), stamped("C", 2, 5, person, text("a")), nil},
		{"person and automation", stamped("E", 2, 5, person, text("new")), stamped("C", 7, 9, auto, text("assigned")), nil},
		{"numbers of both forms", stamped("E", 2, 5, person, record.Int(3)), stamped("C", 7, 5, person, record.Float(2.5)), nil},
		{"same value twice", stamped("E", 2, 5, person, text("x")), stamped("C", 7, 6, person, text("x")), nil},
		{"overwritten by who had seen it", base, write(base, dot("C", 3), values{"f": {"v1"}}), nil},
		{"overwritten beside an unseen value", write(base, dot("E", 3), values{"f": {"mine"}}), write(base, dot("C", 3), values{"f": {"theirs"}}), nil},
		{"removed by who had seen it", base, removed, nil},
		{"set: add beside remove", push(base, dot("P", 2), values{"w": {"bob"}}), write(base, dot("E", 3), values{"w": nil}), nil},
		{"a phone's transaction", base, push(base, dot("P", 2), values{"f": {"phone"}}), nil},
		{"a phone's transaction that came before", write(join(base, push(base, dot("P", 2), values{"f": {"phone"}})), dot("E", 3), values{"f": {"after"}}), push(base, dot("P", 2), values{"f": {"phone"}}), nil},
		{"lineage covers the earlier run", stamped("A1", 3, 5, person, text("old")), record.Record{Context: vector(dot("A3", 1))}, lineage},
		{"lineage ends at its named number", stamped("A1", 4, 5, person, text("late")), record.Record{Context: vector(dot("A3", 1))}, lineage},
		{"lineage stays within a node", stamped("B1", 1, 5, person, text("other")), record.Record{Context: vector(dot("A3", 9))}, lineage},
		{"one sibling, two stamps", lied, stamped("E", 2, 8, auto, text("x")), nil},
	} {
		lin := merge.Lineage(c.cards)
		merged := merge.Merge(c.a, c.b, lin)
		if bytesOf(t, merged) != bytesOf(t, merge.Merge(c.b, c.a, lin)) {
			t.Fatalf("%s: the order matters", c.name)
		}
		v := mergeVector{Name: c.name, A: hex.EncodeToString([]byte(bytesOf(t, c.a))), B: hex.EncodeToString([]byte(bytesOf(t, c.b))),
			Merged: hex.EncodeToString([]byte(bytesOf(t, merged))), Cards: []cardVector{}, Fields: map[string]map[string]policyOutcome{}}
		for id, card := range c.cards {
			v.Cards = append(v.Cards, cardVector{Replica: id, Node: card.Node, Predecessor: card.Predecessor.Replica, UpTo: card.Predecessor.N})
		}
		slices.SortFunc(v.Cards, func(a, b cardVector) int { return a.Replica.Compare(b.Replica) })
		for _, f := range merged.Fields {
			v.Fields[f.Name] = map[string]policyOutcome{}
			for name, p := range vectorPolicies() {
				v.Fields[f.Name][name] = policyOutcome{Shown: hexValues(p.Shown(f.Siblings)), Conflict: hexValues(p.Conflict(f.Siblings))}
			}
		}
		out = append(out, v)
	}
	return out
}

func hexValues(siblings []record.Sibling) []string {
	out := []string{}
	for _, s := range siblings {
		out = append(out, hex.EncodeToString(s.Value))
	}
	return out
}

// TestVectors: the golden merges are what this code gives. Cites SPEC R2, SPEC R3, SPEC R5,
// SPEC R19.
func TestVectors(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "merges.json")
	want, err := json.MarshalIndent(mergeVectors(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what the code gives; explain the difference, then run with -rewrite", file)
	}
}
