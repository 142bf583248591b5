package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// likeMemory drives the store and its in-memory twin with the same random transactions,
// some of which fail, and compares what both answer.
func likeMemory(t *testing.T, s replica.Store) {
	const steps, seed = 120, 20260101
	ctx, twin := testContext(t), memstore.New()
	random := rand.New(rand.NewPCG(seed, seed))
	for step := range steps {
		building := []record.ID{building1, building2}[random.IntN(2)]
		choices, fails := random.Uint64(), random.IntN(5) == 0
		var seen [2]string
		for i, store := range []replica.Store{twin, s} {
			err := randomWrite(ctx, store, building, choices, fails, &seen[i])
			if (err != nil) != fails {
				t.Fatalf("step %d of seed %d: %v", step, seed, err)
			}
		}
		equal(t, fmt.Sprintf("loads within step %d of seed %d", step, seed), seen[1], seen[0])
		few := randomFew(random, building)
		equal(t, fmt.Sprintf("load of few at step %d of seed %d", step, seed), flat(mustLoad(t, s, building, few)), flat(mustLoad(t, twin, building, few)))
		need := randomNeed(random, building)
		equal(t, fmt.Sprintf("load at step %d of seed %d", step, seed), flat(mustLoad(t, s, building, need)), flat(mustLoad(t, twin, building, need)))
		after, limit := random.Uint64N(30), random.IntN(20)
		got, err := s.Feed(ctx, building, after, limit, 600)
		want, _ := twin.Feed(ctx, building, after, limit, 600)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("feed at step %d of seed %d", step, seed), flatPage(got), flatPage(want))
	}
}

// randomWrite is one transaction, with what it sees before and after it saved. No phone
// touches anything in the second building.
func randomWrite(ctx context.Context, s replica.Store, building record.ID, choices uint64, fails bool, seen *string) error {
	random := rand.New(rand.NewPCG(choices, 0))
	return s.Update(ctx, building, func(tx replica.Tx) error {
		random = rand.New(rand.NewPCG(choices, 0))
		have, err := tx.Load(ctx, replica.Need{})
		if err != nil {
			return err
		}
		few, looks := randomFew(random, building), random.IntN(3)
		if *seen, err = look(ctx, tx, few, looks > 0); err != nil {
			return err
		}
		w := &writer{have: have, effects: replica.Effects{State: have.State}}
		written := map[record.ID]bool{}
		for range random.IntN(4) {
			if i := id("t", random.IntN(8)); !written[i] {
				written[i] = true
				w.record([]string{"ticket", "message"}[i[0]%2], i, fmt.Sprint(random.IntN(1000)))
			}
		}
		from := id("replica", random.IntN(3))
		n := random.Uint64N(9) + 1
		position := uint64(0)
		if random.IntN(3) > 0 {
			position = w.position()
		}
		w.event(from, n, fmt.Sprint(choices), position)
		w.effects.Chains = []replica.Chain{{Replica: from, Card: sampleCard(id("replica", random.IntN(3))), Held: random.Uint64N(9), Receipt: sampleReceipt(from, random.Uint64N(3))}}
		touch := replica.PhoneTouch{Key: record.Key{Building: building, Kind: "ticket", ID: id("t", random.IntN(8))}, Field: fmt.Sprint(random.IntN(2)),
			Dot: record.Dot{Replica: from, N: n}, Covered: random.IntN(2) == 0, Refused: random.IntN(4) == 0}
		held := replica.QuarantineRow{Key: touch.Key, Peer: id("peer", random.IntN(2)), Theirs: random.IntN(2) == 0, Code: "c", Since: random.Int64N(4)}
		if random.IntN(3) > 0 {
			w.effects.Touches, w.effects.Quarantine = []replica.PhoneTouch{touch}, []replica.QuarantineRow{held}
		} else {
			w.effects.TouchesGone, w.effects.QuarantineOut = []replica.PhoneTouch{touch}, []replica.QuarantineRow{held}
		}
		if building == building2 {
			w.effects.Touches, w.effects.TouchesGone = nil, nil
		}
		if random.IntN(2) == 0 {
			w.effects.Cursor = &replica.PeerCursor{Peer: held.Peer, Cursor: wire.Cursor{Generation: from, Position: n}}
		}
		if err := tx.Save(ctx, w.effects); err != nil {
			return err
		}
		after, err := look(ctx, tx, few, looks > 1)
		if err != nil {
			return err
		}
		*seen += after
		if looks == 2 { // what else there is, and the few again
			if _, err := tx.Load(ctx, randomNeed(random, building)); err != nil {
				return err
			}
			if after, err = look(ctx, tx, few, true); err != nil {
				return err
			}
			*seen += after
		}
		if fails {
			return errInjected
		}
		return nil
	})
}

// look prints what a transaction sees.
func look(ctx context.Context, tx replica.Tx, need replica.Need, does bool) (string, error) {
	if !does {
		return "", nil
	}
	have, err := tx.Load(ctx, need)
	if err != nil {
		return "", err
	}
	return flat(have), nil
}

// randomFew is what a single write asks for: some records and chains.
func randomFew(random *rand.Rand, building record.ID) (need replica.Need) {
	for range random.IntN(4) {
		need.Keys = append(need.Keys, record.Key{Building: building, Kind: []string{"ticket", "message"}[random.IntN(2)], ID: id("t", random.IntN(8))})
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	for range random.IntN(3) {
		need.Chains = append(need.Chains, id("replica", random.IntN(3)))
	}
	return need
}

func randomNeed(random *rand.Rand, building record.ID) replica.Need {
	need := replica.Need{Peer: id("peer", random.IntN(2)), Quarantine: random.IntN(5)}
	for n := range 8 {
		for _, kind := range []string{"ticket", "message"} {
			if random.IntN(2) == 0 {
				need.Keys = append(need.Keys, record.Key{Building: building, Kind: kind, ID: id("t", n)})
			}
		}
	}
	for r := range 3 {
		for n := range uint64(10) {
			need.Events = append(need.Events, record.Dot{Replica: id("replica", r), N: n})
		}
		need.Waiting, need.Unsettled = append(need.Waiting, id("replica", r)), append(need.Unsettled, id("replica", r))
	}
	need.Chains = []record.ReplicaID{id("replica", random.IntN(3))}
	need.AllChains = random.IntN(4) == 0
	return need
}

// flat prints what was loaded with the content of what is pointed to.
func flat(h replica.Have) string {
	pointed := map[record.ReplicaID]string{}
	for k, c := range h.Chains {
		pointed[k] = fmt.Sprintf("%+v %+v", *c.Card, *c.Receipt)
		c.Card, c.Receipt = nil, nil
		h.Chains[k] = c
	}
	return fmt.Sprintf("%+v %+v", h, pointed)
}

func flatPage(p replica.FeedPage) string {
	text := fmt.Sprintf("%+v %d", p.State, p.End)
	for _, i := range p.Items {
		var e replica.EventRow
		if i.Event != nil {
			e, i.Event = *i.Event, nil
		}
		text += fmt.Sprintf("\n%+v %+v", i, e)
	}
	return text
}
