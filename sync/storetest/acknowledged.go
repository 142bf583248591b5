package storetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// crashWriters share commits, as in service.
const crashWriters = 4

// WriteUntilKilled writes to the store without end and prints a line for each write that
// was acknowledged. It returns the first error.
func WriteUntilKilled(ctx context.Context, s replica.Store, acks io.Writer) error {
	return writeWithoutEnd(ctx, s, acks, func(err error) error { return err })
}

// Lines that WriteThroughFaults prints beside the acknowledged writes.
const (
	LineBusy    = "# busy: "
	LineResumed = "# resumed"
)

// WriteThroughFaults is WriteUntilKilled of callers who try again what the store could not
// take, or whose outcome it does not know: it says so once, and once when writing goes on. It
// returns the first error that is neither ErrBusy nor ErrUnsure, and ends with ctx.
func WriteThroughFaults(ctx context.Context, s replica.Store, acks io.Writer) error {
	var failed, resumed bool
	say := func(line string) error {
		_, err := fmt.Fprintln(acks, line)
		return err
	}
	return writeWithoutEnd(ctx, s, acks, func(err error) error {
		refused := errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && failed && !resumed:
			resumed = true
			return say(LineResumed)
		case err == nil || failed && refused:
			return nil
		case !refused:
			return err
		}
		failed = true
		return say(LineBusy + strings.ReplaceAll(err.Error(), "\n", " "))
	})
}

// writeWithoutEnd asks judge about each outcome, one at a time, and ends with its first
// error.
func writeWithoutEnd(ctx context.Context, s replica.Store, acks io.Writer, judge func(error) error) error {
	var mu sync.Mutex
	failed, run := make(chan error, crashWriters), rand.Text()
	for w := range crashWriters {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%s-%d-%d", run, w, n)
				err := update(ctx, s, building1, func(t *writer) {
					t.record("ticket", record.DerivedID(name), strings.Repeat("x", 900))
					t.event(author, t.effects.State.N, name, t.position())
				})
				mu.Lock()
				if err == nil {
					_, err = fmt.Fprintln(acks, name)
				}
				err = judge(err)
				mu.Unlock()
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// CheckAcknowledged reads the lines that WriteUntilKilled printed and fails the test unless
// every write they name is in the store, with its event and in the feed.
func CheckAcknowledged(t *testing.T, s replica.Store, acks io.Reader) (count int) {
	t.Helper()
	page := mustFeed(t, s, building1, 0)
	records, events := shown(t, page), map[string]bool{}
	for _, i := range page.Items {
		if i.Event != nil {
			events[string(i.Event.Body)] = true
		}
	}
	lines := bufio.NewScanner(acks)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		count++
		if _, ok := records[record.DerivedID(lines.Text())]; !ok || !events[lines.Text()] {
			t.Fatalf("acknowledged write %s is gone", lines.Text())
		}
	}
	if len(records) != len(events) || uint64(len(records)) != page.State.N || page.End != 2*page.State.N {
		t.Fatalf("half a transaction: %d records, %d events, state %+v", len(records), len(events), page.State)
	}
	return count
}

// BenchPages is one benchmark: it writes and reads pages of this many records and events.
func BenchPages(b *testing.B, s replica.Store, rows int) {
	ctx := context.Background()
	title := strings.Repeat("x", 850) // about 1 KB with event and context
	for _, mode := range []string{"new", "existing"} {
		b.Run(mode, func(b *testing.B) {
			round := 0
			for b.Loop() {
				round++
				err := s.Update(ctx, building1, func(tx replica.Tx) error {
					need := replica.Need{}
					for n := range rows {
						name := fmt.Sprint(n)
						if mode == "new" {
							name = fmt.Sprint(b.N, round, n)
						}
						need.Keys = append(need.Keys, record.Key{Building: building1, Kind: "ticket", ID: record.DerivedID(mode, name)})
					}
					have, err := tx.Load(ctx, need)
					if err != nil {
						return err
					}
					w := &writer{have: have, effects: replica.Effects{State: have.State}}
					for _, k := range need.Keys {
						w.record(k.Kind, k.ID, title)
						w.event(author, w.effects.State.N, title[:200], w.position())
					}
					return tx.Save(ctx, w.effects)
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	b.Run("feed", func(b *testing.B) {
		items, after := 0, uint64(0)
		for b.Loop() {
			page, err := s.Feed(ctx, building1, after, rows, 64<<20)
			if err != nil {
				b.Fatal(err)
			}
			items += len(page.Items)
			after = 0
			if len(page.Items) == rows {
				after = page.Items[rows-1].Position
			}
		}
		b.ReportMetric(float64(items)/b.Elapsed().Seconds(), "items/s")
	})
}

// BenchSingles writes one record a transaction from this many writers.
func BenchSingles(b *testing.B, s replica.Store, writers int) {
	ctx := context.Background()
	title := strings.Repeat("x", 850)
	work := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for n := range work {
				key := record.Key{Building: building1, Kind: "ticket", ID: record.DerivedID("single", fmt.Sprint(b.N, n))}
				err := s.Update(ctx, building1, func(tx replica.Tx) error {
					have, err := tx.Load(ctx, replica.Need{Keys: []record.Key{key}})
					if err != nil {
						return err
					}
					w := &writer{have: have, effects: replica.Effects{State: have.State}}
					w.record(key.Kind, key.ID, title)
					w.event(author, w.effects.State.N, title[:200], w.position())
					return tx.Save(ctx, w.effects)
				})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	n := 0
	for b.Loop() {
		n++
		work <- n
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "transactions/s")
}
