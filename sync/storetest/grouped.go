package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// arriving is a context that tells when a caller of Update waits for its turn.
type arriving struct {
	context.Context
	once    *sync.Once
	waiting chan struct{}
}

func (a arriving) Done() <-chan struct{} {
	a.once.Do(func() { close(a.waiting) })
	return a.Context.Done()
}

// RunGrouped is for stores whose writers share commits, and who leave when their context
// ends while they wait: random transactions, some of which fail, that were queued while
// another ran leave what they leave one after another in memory.
func RunGrouped(t *testing.T, s replica.Store) {
	const rounds, together, seed = 12, 9, 20261122
	ctx, twin := testContext(t), memstore.New()
	random := rand.New(rand.NewPCG(seed, seed))
	for round := range rounds {
		building := []record.ID{building1, building2}[round%2]
		run := make(chan struct{})
		var wg sync.WaitGroup
		errs := make([]error, together)
		lead := make(chan struct{})
		wg.Go(func() {
			errs[0] = s.Update(ctx, building, func(replica.Tx) error { close(lead); <-run; return nil })
		})
		<-lead
		var seen, expected [together]string
		for i := 1; i < together; i++ {
			choices, fails := random.Uint64(), random.IntN(6) == 0
			a := arriving{ctx, &sync.Once{}, make(chan struct{})}
			wg.Go(func() {
				if err := randomWrite(a, s, building, choices, fails, &seen[i]); (err != nil) != fails {
					errs[i] = fmt.Errorf("round %d of seed %d, call %d: %w", round, seed, i, err)
				}
			})
			<-a.waiting
			if err := randomWrite(ctx, twin, building, choices, fails, &expected[i]); (err != nil) != fails {
				t.Fatal(err)
			}
		}
		close(run)
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range seen {
			equal(t, fmt.Sprintf("loads within call %d of round %d of seed %d", i, round, seed), seen[i], expected[i])
		}
		for n := range 8 {
			need := randomNeed(random, building)
			if n%2 == 0 {
				need = randomFew(random, building)
			}
			equal(t, fmt.Sprintf("load after round %d of seed %d", round, seed), flat(mustLoad(t, s, building, need)), flat(mustLoad(t, twin, building, need)))
		}
		got, want := mustFeed(t, s, building, 0), mustFeed(t, twin, building, 0)
		equal(t, fmt.Sprintf("feed after round %d of seed %d", round, seed), flatPage(got), flatPage(want))
	}
}
