package audit_test

import (
	"context"
	"strings"
	"testing"

	"estate/sync/record"
)

// TestVerifyErased: an export without erased values verifies and says by whom and when they
// were erased; one that has them yet says so. Cites SPEC R32.
func TestVerifyErased(t *testing.T) {
	t.Parallel()
	edge, cloud := newNode(t, "edge", record.TierEdge), newNode(t, "cloud", record.TierCloud)
	cloud.write("from the cloud")
	send(t, cloud, edge)
	edge.write("a secret")
	send(t, edge, cloud)
	before := cloud.export()
	own := func(n *node) (dot record.Dot) {
		chains, err := n.Store.Chains(context.Background(), home)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chains {
			if c.Card.Node == n.ID() {
				dot = record.Dot{Replica: c.Replica, N: c.Held}
			}
		}
		return dot
	}
	dot, admin := own(edge), record.DerivedID("person", "admin")
	out, err := cloud.Erase(context.Background(), home, record.Actor{Class: record.Person, Person: admin}, "erase.request", []record.Dot{dot})
	if err != nil {
		t.Fatal(err)
	}
	send(t, cloud, edge)
	for _, n := range []*node{edge, cloud} {
		report, err := verify(n.export(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if report.Erased != 1 || report.Unerased != 0 || report.Withheld != 0 || len(report.Erasures) != 1 {
			t.Fatalf("report of the %s: %+v", n.Tier, report)
		}
		e := report.Erasures[0]
		if e.Event != out.Events[0] || e.By.Person != admin || e.Action != "erase.request" || e.Events != 1 || e.At.Sub(at) < 0 {
			t.Errorf("erasure: %+v", e)
		}
	}
	// A file that was put together from one of before has the values yet.
	whole := cloud.export()
	for i, l := range whole {
		for _, old := range before {
			if strings.Contains(l, dot.Replica.String()) && !strings.Contains(l, "details") && strings.HasPrefix(old, l[:len(l)-1]) {
				whole[i] = old
			}
		}
	}
	report, err := verify(whole, nil)
	if err != nil || report.Unerased != 1 || report.Erased != 0 {
		t.Errorf("with the values: %+v, %v", report, err)
	}
}
