package merge_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
)

func sibling(name string, n uint64, stamp hlc.Stamp, class record.Class, v record.Value) record.Sibling {
	return record.Sibling{Dot: dot(name, n), Stamp: stamp, Class: class, Value: v}
}

// TestPolicy: the name says the rule. Cites SPEC R3, SPEC R4, SPEC R6.
func TestPolicy(t *testing.T) {
	t.Parallel()
	states := []string{"new", "cancelled", "resolved"}
	text, p, a := record.Text, record.Person, record.Automation
	for name, c := range map[string]struct {
		policy   merge.Policy
		siblings []record.Sibling
		want     []record.Value
	}{
		"Empty":                 {merge.Policy{}, nil, nil},
		"ZeroIsLatest":          {merge.Policy{}, []record.Sibling{sibling("E", 1, 9, p, text("a")), sibling("C", 1, 8, p, text("b"))}, []record.Value{text("a")}},
		"LatestTieByReplica":    {merge.Policy{Kind: merge.Latest}, []record.Sibling{sibling("E", 1, 9, p, text("a")), sibling("C", 7, 9, p, text("b"))}, []record.Value{text("a")}},
		"LatestTieByNumber":     {merge.Policy{Kind: merge.Latest}, []record.Sibling{sibling("E", 1, 9, p, text("z")), sibling("E", 2, 9, p, text("b"))}, []record.Value{text("b")}},
		"LatestTieByValue":      {merge.Policy{Kind: merge.Latest}, []record.Sibling{sibling("E", 1, 9, p, text("a")), sibling("E", 1, 9, p, text("b"))}, []record.Value{text("b")}},
		"FirstIsEarliest":       {merge.Policy{Kind: merge.First}, []record.Sibling{sibling("E", 1, 9, p, text("a")), sibling("C", 1, 8, p, text("b"))}, []record.Value{text("b")}},
		"FurthestBeatsLater":    {merge.Policy{Kind: merge.Furthest, Order: states}, []record.Sibling{sibling("E", 1, 1, p, text("resolved")), sibling("C", 1, 8, p, text("cancelled"))}, []record.Value{text("resolved")}},
		"UnlistedRanksLast":     {merge.Policy{Kind: merge.Furthest, Order: states}, []record.Sibling{sibling("E", 1, 9, p, text("odd")), sibling("C", 1, 8, p, text("new"))}, []record.Value{text("new")}},
		"UndeletedBeatsDeleted": {merge.Policy{Kind: merge.Furthest, Order: []string{"true", "false"}}, []record.Sibling{sibling("E", 1, 9, p, record.Bool(true)), sibling("C", 1, 8, p, record.Bool(false))}, []record.Value{record.Bool(false)}},
		"NullIsNoState":         {merge.Policy{Kind: merge.Furthest, Order: []string{"true", "false"}}, []record.Sibling{sibling("E", 1, 9, p, record.Value{0xf6}), sibling("C", 1, 8, p, record.Bool(true))}, []record.Value{record.Bool(true)}},
		"MaxIntAndFloat":        {merge.Policy{Kind: merge.Max}, []record.Sibling{sibling("E", 1, 9, p, record.Int(2)), sibling("C", 1, 1, p, record.Float(2.5)), sibling("C", 2, 1, p, record.Int(-3))}, []record.Value{record.Float(2.5)}},
		"MaxNumberBeforeText":   {merge.Policy{Kind: merge.Max}, []record.Sibling{sibling("E", 1, 9, p, text("zzz")), sibling("C", 1, 1, p, record.Int(-3))}, []record.Value{record.Int(-3)}},
		"Min":                   {merge.Policy{Kind: merge.Min}, []record.Sibling{sibling("E", 1, 9, p, record.Int(2)), sibling("C", 2, 1, p, record.Int(-3))}, []record.Value{record.Int(-3)}},
		"SetShowsMembersOnce":   {merge.Policy{Kind: merge.Set}, []record.Sibling{sibling("E", 1, 9, p, text("b")), sibling("C", 2, 1, p, text("a")), sibling("C", 3, 1, p, text("b"))}, []record.Value{text("a"), text("b")}},
		"AutomationMayBeLatest": {merge.Policy{Kind: merge.Latest}, []record.Sibling{sibling("E", 1, 9, a, text("auto")), sibling("C", 1, 8, p, text("person"))}, []record.Value{text("auto")}},
		"PersonFirstBeatsLater": {merge.Policy{Kind: merge.Latest, PersonFirst: true}, []record.Sibling{sibling("E", 1, 9, a, text("auto")), sibling("C", 1, 8, p, text("person"))}, []record.Value{text("person")}},
		"PersonFirstBeatsDone":  {merge.Policy{Kind: merge.Furthest, Order: states, PersonFirst: true}, []record.Sibling{sibling("E", 1, 9, a, text("resolved")), sibling("C", 1, 8, p, text("new"))}, []record.Value{text("new")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []record.Value
			for _, s := range c.policy.Shown(c.siblings) {
				got = append(got, s.Value)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("shown %x, want %x", got, c.want)
			}
		})
	}
}

// TestConflict: only differing persons' siblings of latest and furthest fields. Cites SPEC R5.
func TestConflict(t *testing.T) {
	t.Parallel()
	text, p, a := record.Text, record.Person, record.Automation
	early, late := sibling("E", 1, 5, p, text("low")), sibling("C", 1, 9, p, text("high"))
	for name, c := range map[string]struct {
		policy   merge.Policy
		siblings []record.Sibling
		want     int
	}{
		"One":              {merge.Policy{}, []record.Sibling{early}, 0},
		"TwoPersons":       {merge.Policy{}, []record.Sibling{early, late}, 2},
		"Furthest":         {merge.Policy{Kind: merge.Furthest}, []record.Sibling{early, late}, 2},
		"EqualValues":      {merge.Policy{}, []record.Sibling{early, sibling("C", 1, 9, p, text("low"))}, 0},
		"PersonAutomation": {merge.Policy{}, []record.Sibling{early, sibling("C", 1, 9, a, text("high"))}, 0},
		"AutomationAside":  {merge.Policy{}, []record.Sibling{early, late, sibling("D", 1, 99, a, text("mid"))}, 2},
		"First":            {merge.Policy{Kind: merge.First}, []record.Sibling{early, late}, 0},
		"Max":              {merge.Policy{Kind: merge.Max}, []record.Sibling{early, late}, 0},
		"Set":              {merge.Policy{Kind: merge.Set}, []record.Sibling{early, late}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.policy.Conflict(c.siblings)
			if len(got) != c.want {
				t.Fatalf("conflict %v, want %d siblings", got, c.want)
			}
			if len(got) > 0 && string(got[0].Value) != string(late.Value) {
				t.Errorf("latest is not first: %v", got)
			}
		})
	}
}

// drawSiblings draws siblings of mixed types with many tied stamps and equal values.
func drawSiblings(t *rapid.T) []record.Sibling {
	odd := []record.Value{{0xf6}, {0xf9, 0x7e, 0x00}, {0x63, 0xff, 0xff, 0xff}, {0x18, 0x01}, {0x80}, {0x1b, 255, 255, 255, 255, 255, 255, 255, 255}}
	value := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"new", "done", "odd", "true"}), record.Text),
		rapid.Map(rapid.SampledFrom([]int64{-1, 0, 1, 1 << 53, 1<<53 + 1}), record.Int),
		rapid.Map(rapid.SampledFrom([]float64{0.5, 1, 1 << 53, -0.5}), record.Float),
		rapid.Map(rapid.Bool(), record.Bool), rapid.SampledFrom(odd))
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) record.Sibling {
		return sibling(rapid.SampledFrom([]string{"A", "B"}).Draw(t, "replica"), rapid.Uint64Range(1, 3).Draw(t, "n"),
			hlc.Stamp(rapid.IntRange(1, 2).Draw(t, "stamp")), rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class"), value.Draw(t, "value"))
	}), 0, 8, ident).Draw(t, "siblings")
}

// TestPoliciesAreOrderFree: what is shown, and the conflict, are the same on every node,
// whatever order the siblings come in and however clocks tie. Cites SPEC R3, SPEC R5.
func TestPoliciesAreOrderFree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		siblings := drawSiblings(t)
		again := rapid.Permutation(siblings).Draw(t, "order")
		before := slices.Clone(siblings)
		for _, p := range policies() {
			a, b := p.Shown(siblings), p.Shown(again)
			if fmt.Sprint(a) != fmt.Sprint(b) || (len(a) == 0) != (len(siblings) == 0) || p.Kind != merge.Set && len(a) > 1 {
				t.Fatalf("%s: shown %v and %v", p.Kind, a, b)
			}
			if x, y := p.Conflict(siblings), p.Conflict(again); fmt.Sprint(x) != fmt.Sprint(y) {
				t.Fatalf("%s: conflict %v and %v", p.Kind, x, y)
			}
		}
		if fmt.Sprint(before) != fmt.Sprint(siblings) {
			t.Fatalf("a policy changed what is stored")
		}
	})
}

// policies are all that a field can have, and one of a later release.
func policies() []merge.Policy {
	var out []merge.Policy
	for _, kind := range []merge.Kind{"", merge.Latest, merge.Furthest, merge.First, merge.Max, merge.Min, merge.Set, "later"} {
		for _, first := range []bool{false, true} {
			out = append(out, merge.Policy{Kind: kind, Order: []string{"new", "true", "done"}, PersonFirst: first})
		}
	}
	return out
}

// TestPoliciesAreTotal: of any two different siblings exactly one is shown, whatever ties;
// the order has no circle; and what a whole shows is what its parts show, so nodes that saw
// parts of a field agree with one that saw all. Cites SPEC R3.
func TestPoliciesAreTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		siblings := drawSiblings(t)
		for _, p := range policies() {
			if p.Kind == merge.Set {
				continue
			}
			best := p.Shown(siblings)
			for _, a := range siblings {
				for _, b := range siblings {
					two := p.Shown([]record.Sibling{a, b})
					if len(two) != 1 || ident(two[0]) != ident(a) && ident(two[0]) != ident(b) {
						t.Fatalf("%s: of %v and %v it shows %v", p.Kind, a, b, two)
					}
				}
				if p.Shown([]record.Sibling{best[0], a})[0].CompareIdentity(best[0]) != 0 {
					t.Fatalf("%s: %v is shown of all, yet %v before it", p.Kind, best[0], a)
				}
			}
			cut := rapid.IntRange(0, len(siblings)).Draw(t, "cut")
			parts := append(p.Shown(siblings[:cut]), p.Shown(siblings[cut:])...)
			if fmt.Sprint(p.Shown(parts)) != fmt.Sprint(best) {
				t.Fatalf("%s: the whole shows %v, its parts %v", p.Kind, best, parts)
			}
		}
	})
}

// TestSetIsAUnion: a set shows the union of what its parts show, ordered by value.
// Cites SPEC R4.
func TestSetIsAUnion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		siblings, p := drawSiblings(t), merge.Policy{Kind: merge.Set}
		all, want := p.Shown(siblings), map[string]bool{}
		for _, s := range siblings {
			want[string(s.Value)] = true
		}
		for i, s := range all {
			if !want[string(s.Value)] || i > 0 && string(all[i-1].Value) >= string(s.Value) {
				t.Fatalf("%v shows %v", siblings, all)
			}
		}
		cut := rapid.IntRange(0, len(siblings)).Draw(t, "cut")
		if parts := append(p.Shown(siblings[:cut]), p.Shown(siblings[cut:])...); len(all) != len(want) || fmt.Sprint(p.Shown(parts)) != fmt.Sprint(all) {
			t.Fatalf("the whole shows %v, its parts %v", all, parts)
		}
	})
}
