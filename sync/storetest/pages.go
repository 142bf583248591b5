package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	// pageRows is enough for whatever way a store keeps for many rows at once.
	pageRows = 200
	// pageIDs are so few that pages meet rows of earlier ones, and so many that they miss some.
	pageIDs = 600
)

// pagesLikeMemory is likeMemory with pages: new rows among known ones, of several kinds, at
// times two pages about the same records in one transaction, some of which fail.
func pagesLikeMemory(t *testing.T, s replica.Store) {
	const steps, seed = 14, 20260202
	ctx, twin := testContext(t), memstore.New()
	random := rand.New(rand.NewPCG(seed, seed))
	for step := range steps {
		choices, fails := random.Uint64(), random.IntN(5) == 0
		for _, store := range []replica.Store{twin, s} {
			if err := randomPage(ctx, store, choices, fails); (err != nil) != fails {
				t.Fatalf("step %d of seed %d: %v", step, seed, err)
			}
		}
		what := fmt.Sprintf(" at step %d of seed %d", step, seed)
		need := pageNeed(random)
		equal(t, "load"+what, found(mustLoad(t, s, building1, need)), found(mustLoad(t, twin, building1, need)))
		equal(t, "feed"+what, items(mustFeed(t, s, building1, 0)), items(mustFeed(t, twin, building1, 0)))
	}
}

// found tells what was loaded of records and events, in few words.
func found(h replica.Have) string {
	records := map[record.Key]string{}
	for k, r := range h.Records {
		records[k] = fmt.Sprintf("%d %x", r.Position, r.Body)
	}
	return fmt.Sprint(h.State, records, h.Events)
}

// items tells what is in a feed, in few words.
func items(p replica.FeedPage) string {
	var b strings.Builder
	for _, item := range p.Items {
		fmt.Fprintf(&b, "%d %v %x\n", item.Position, item.Key, item.Body)
	}
	return b.String()
}

func randomPage(ctx context.Context, s replica.Store, choices uint64, fails bool) error {
	return s.Update(ctx, building1, func(tx replica.Tx) error {
		random := rand.New(rand.NewPCG(choices, 0))
		for range 1 + random.IntN(2) {
			if err := savePage(ctx, tx, random); err != nil {
				return err
			}
		}
		if fails {
			return errInjected
		}
		return nil
	})
}

// savePage saves a page as the core does, which says of rows that they are new where it has
// looked; at times it has not, and what the transaction saved before is still on its way.
func savePage(ctx context.Context, tx replica.Tx, random *rand.Rand) error {
	var need replica.Need
	looks := random.IntN(3) > 0
	if looks {
		need = pageNeed(random)
	}
	have, err := tx.Load(ctx, need)
	if err != nil {
		return err
	}
	w := &writer{have: have, effects: replica.Effects{State: have.State}}
	from := random.IntN(pageIDs)
	for n := range random.IntN(pageRows) {
		key := w.record(pageKind(from+n), id("p", (from+n)%pageIDs), fmt.Sprint(random.IntN(1000)))
		_, held := have.Records[key]
		w.effects.Records[n].New = looks && !held && asks(need, key)
		w.event(author, w.effects.State.N, "e", w.position())
	}
	return tx.Save(ctx, w.effects)
}

func asks(need replica.Need, key record.Key) bool {
	for _, k := range need.Keys {
		if k == key {
			return true
		}
	}
	return false
}

func pageKind(n int) string { return []string{"ticket", "message", "of a later release"}[n%pageIDs%3] }

// pageNeed asks for records and events in no order, some of which were never written.
func pageNeed(random *rand.Rand) replica.Need {
	var need replica.Need
	from := random.IntN(pageIDs)
	for n := range 1 + random.IntN(2*pageRows) {
		n := (from + n) % (pageIDs + pageRows)
		need.Keys = append(need.Keys, record.Key{Building: building1, Kind: pageKind(n), ID: id("p", n)})
	}
	random.Shuffle(len(need.Keys), func(i, j int) { need.Keys[i], need.Keys[j] = need.Keys[j], need.Keys[i] })
	for range random.IntN(pageRows) {
		dot := record.Dot{Replica: author, N: random.Uint64N(2 * pageIDs)}
		need.Events = append(need.Events, dot, record.Dot{Replica: author, N: dot.N + 1})
	}
	return need
}
