package projection_test

import (
	"hash/maphash"
	"testing"

	"estate/internal/projection"
)

// TestLeads: what was added is never said to be free, and of 100,000 others nine of ten are.
func TestLeads(t *testing.T) {
	t.Parallel()
	const taken, tried = 100_000, 10_000
	leads, seed := projection.NewLeads(), maphash.MakeSeed()
	hash := func(n int) uint64 { return maphash.Comparable(seed, n) }
	if leads.Has(hash(1)) {
		t.Error("a value is taken in an empty one")
	}
	for n := range taken {
		leads.Add(hash(n))
	}
	for n := range taken {
		if !leads.Has(hash(n)) {
			t.Fatalf("value %d is said to be free", n)
		}
	}
	free := 0
	for n := range tried {
		if !leads.Has(hash(taken + n)) {
			free++
		}
	}
	if free < tried*85/100 {
		t.Errorf("%d of %d free values are known to be free", free, tried)
	}
}
