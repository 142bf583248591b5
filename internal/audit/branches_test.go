package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"estate/internal/audit"
	"estate/sync/memstore"
	"estate/sync/record"
)

// forkedStory is an edge that was copied while it ran, its copy, the cloud that heard of both
// and decided, and another edge that believes the cloud. claims are the cloud's word of what it
// held before it knew.
func forkedStory(t *testing.T) (edge, twin, cloud, other *node, fork record.Dot, claims []audit.Claim) {
	t.Helper()
	edge, cloud, other = newNode(t, "edge", record.TierEdge), newNode(t, "cloud", record.TierCloud), newNode(t, "other", record.TierEdge)
	edge.write("common")
	send(t, edge, cloud)
	twin = newNode(t, "edge", record.TierEdge)
	twin.Store, twin.clock = edge.Store.(*memstore.Store).Snapshot(), edge.clock
	twin.Random = rand.NewChaCha8(sha256.Sum256([]byte("twin")))
	for i := range 3 {
		edge.write(fmt.Sprint("ours ", i))
	}
	for i := range 2 {
		twin.write(fmt.Sprint("theirs ", i))
	}
	send(t, edge, cloud)
	send(t, cloud, other)
	claims, err := audit.ReadClaims(strings.NewReader(strings.Join(cloud.export(), "\n")))
	if err != nil {
		t.Fatal(err)
	}
	send(t, twin, cloud)
	send(t, cloud, other)
	chains, err := cloud.Store.Chains(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chains {
		if c.Fork > 0 {
			fork = record.Dot{Replica: c.Replica, N: c.Fork}
		}
	}
	if fork.N != 3 { // card, "common", and here the two part
		t.Fatalf("forked at %d: %+v", fork.N, chains)
	}
	return edge, twin, cloud, other, fork, claims
}

// TestVerifyForked: an export lists what a fork left beside its chain, branch by branch, and
// holds it to its hashes, its links and what was signed. Cites SPEC R33.
func TestVerifyForked(t *testing.T) {
	t.Parallel()
	edge, _, cloud, other, fork, claims := forkedStory(t)
	report, err := verify(cloud.export(), claims)
	if err != nil {
		t.Fatal(err)
	}
	if report.Beside != 5 || len(report.Forks) != 1 {
		t.Fatalf("report of the cloud: %+v", report)
	}
	got := report.Forks[0]
	slices.SortFunc(got.Branches, func(a, b audit.Branch) int { return int(b.To) - int(a.To) })
	for i := range got.Branches {
		got.Branches[i].Hash = record.Hash{}
	}
	want := audit.Fork{Replica: fork.Replica, Node: edge.ID(), First: 3, Branches: []audit.Branch{{From: 3, To: 5, Linked: true, Signed: 5}, {From: 3, To: 4, Linked: true}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("fork %+v, want %+v", got, want)
	}
	// The other edge has but one of the branches.
	report, err = verify(other.export(), claims)
	if err != nil || report.Beside != 3 || len(report.Forks) != 1 || len(report.Forks[0].Branches) != 1 || report.Forks[0].Branches[0].Events() != 3 {
		t.Errorf("report of the other edge: %+v, %v", report, err)
	}
}

func TestVerifyFindsTamperingBesideAChain(t *testing.T) {
	t.Parallel()
	_, _, cloud, _, _, claims := forkedStory(t)
	whole := cloud.export()
	at := func(n int) (out []int) {
		for i, l := range whole {
			if strings.Contains(l, `"type":"branch"`) && strings.Contains(l, fmt.Sprintf(`"n":%d,`, n)) {
				out = append(out, i)
			}
		}
		return out
	}
	last := at(5)[0] // of the longer branch
	beside := func(l []string, by int) []string {
		end := len(l) - 1
		l[end] = edit(t, l[end], func(f fields) { f["beside"] = f["beside"].(float64) + float64(by) })
		return l
	}
	fork := slices.IndexFunc(whole, func(l string) bool { return strings.Contains(l, `"type":"fork"`) })
	for name, c := range map[string]struct {
		forge func([]string) []string
		what  string
	}{
		"a byte of an event":       {func(l []string) []string { l[last] = flip(t, l[last], "body"); return l }, ""},
		"a byte of the values":     {func(l []string) []string { l[last] = flip(t, l[last], "details"); return l }, "values"},
		"an event made anew":       {func(l []string) []string { l[last] = forgeEvent(t, l[last]); return l }, "tail"},
		"a middle link is missing": {func(l []string) []string { return beside(without(l, at(4)...), -len(at(4))) }, "tail"},
		"the tail is missing":      {func(l []string) []string { return beside(without(l, last), -1) }, "tail"},
		"an event is missing":      {func(l []string) []string { return without(l, last) }, "beside"},
		"an event stands twice":    {func(l []string) []string { return slices.Insert(l, last, l[last]) }, "twice"},
		"it follows the chain":     {func(l []string) []string { end := len(l) - 1; return slices.Insert(without(l, last), end-1, l[last]) }, "follows"},
		"a fork that is none":      {func(l []string) []string { l[fork] = edit(t, l[fork], func(f fields) { f["n"] = 2 }); return l }, "beyond its fork"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			word := claims
			if c.what == "beside" || c.what == "follows" {
				word = nil // the cloud's earlier word would show it first
			}
			_, err := verify(c.forge(slices.Clone(whole)), word)
			var broken *audit.Broken
			if !errors.As(err, &broken) || !strings.Contains(broken.What, c.what) {
				t.Fatalf("found %v, want: %s", err, c.what)
			}
		})
	}
	// With nobody else's word, what is missing in the middle shows in the list.
	report, err := verify(beside(without(slices.Clone(whole), at(4)...), -len(at(4))), nil)
	if err != nil {
		t.Fatal(err)
	}
	f := report.Forks[0]
	if i := slices.IndexFunc(f.Branches, func(b audit.Branch) bool { return !b.Linked }); len(f.Branches) != 3 || i < 0 || f.Branches[i].From != 5 || f.Branches[i].Signed != 0 || f.Elsewhere != 5 {
		t.Errorf("without event 4: %+v", f)
	}
}
