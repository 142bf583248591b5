package desk

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// Whoever asks for the conflicts of buildings that they may not see, or that are none, is
// refused before anything is read or remembered for them.
func TestConflictsOfStrangers(t *testing.T) {
	t.Parallel()
	now := func() time.Time { return time.UnixMilli(1_790_000_000_000) }
	node := &replica.Node{Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), Tier: record.TierCloud, Rules: schema.Default(), Store: memstore.New(),
		Boot: func() record.ID { return record.DerivedID("boot") }, Now: func() int64 { return now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version}
	d := New(Config{Node: node, Table: schema.Default(), Now: now, Random: rand.Reader})
	for i := range 100 {
		_, err := d.Conflicts(context.Background(), Caller{Person: record.DerivedID("stranger")}, record.DerivedID("building", fmt.Sprint(i)), Page{})
		if !problem.HasCode(err, problem.NotFound) {
			t.Fatal(err)
		}
	}
	if n := len(d.conflicts.buildings); n != 0 {
		t.Fatalf("%d buildings are remembered", n)
	}
}
