package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

var errGivenUp = errors.New("storetest: given up after saving")

// foreseen: many calls change the same few records at once, some give up after they saved.
// Each must see exactly what those before it left of records, chains and touches, whether the
// store read for all of them together or not.
func foreseen(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	keys := []record.Key{{Building: building1, Kind: "ticket", ID: id("shared", 0)}, {Building: building1, Kind: "message", ID: id("shared", 1)}}
	errs := make(chan error, writers)
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for m := range writesOfEach {
				err := raise(ctx, s, keys, m%5 == 3)
				if m%5 == 3 && errors.Is(err, errGivenUp) {
					err = nil
				}
				if err != nil {
					errs <- fmt.Errorf("writer %d: %w", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	const kept = writers * writesOfEach * 4 / 5
	have := mustLoad(t, s, building1, replica.Need{Keys: keys, Chains: []record.ReplicaID{author}})
	equal(t, "state", have.State.N, uint64(kept))
	equal(t, "chain", have.Chains[author].Held, uint64(kept))
	for _, k := range keys {
		equal(t, "record", have.Records[k].Record.Context.Entry(author), uint64(kept))
		equal(t, "touches", len(have.Touches[k]), kept)
	}
}

// raise is one call: it counts state, chain, records and touches up by one, if they agree.
func raise(ctx context.Context, s replica.Store, keys []record.Key, giveUp bool) error {
	need := replica.Need{Keys: keys}
	fn := func(tx replica.Tx) error {
		have, err := tx.Load(ctx, need)
		if err != nil {
			return err
		}
		chains, err := tx.Load(ctx, replica.Need{Chains: []record.ReplicaID{author}})
		if err != nil {
			return err
		}
		e := replica.Effects{State: have.State}
		e.State.N, e.State.Replica = have.State.N+1, author
		e.Chains = []replica.Chain{{Replica: author, Held: have.State.N + 1}}
		if held := chains.Chains[author].Held; held != have.State.N {
			return fmt.Errorf("chain at %d, state at %d", held, have.State.N)
		}
		for i, k := range keys {
			if at := have.Records[k].Record.Context.Entry(author); at != have.State.N || len(have.Touches[k]) != int(have.State.N) {
				return fmt.Errorf("%s at %d with %d touches, state at %d", k, at, len(have.Touches[k]), have.State.N)
			}
			e.State.Position++
			row := Row(k, e.State.Position, MakeRecord(author, e.State.N, "x"))
			row.New = have.Records[k].Position == 0
			e.Records = append(e.Records, row)
			e.Touches = append(e.Touches, replica.PhoneTouch{Key: keys[i], Field: "title", Dot: record.Dot{Replica: author, N: e.State.N}})
		}
		if err := tx.Save(ctx, e); err != nil {
			return err
		}
		if giveUp {
			return errGivenUp
		}
		return nil
	}
	if f, ok := s.(replica.Foreseer); ok {
		return f.UpdateFor(ctx, building1, need, fn)
	}
	return s.Update(ctx, building1, fn)
}
