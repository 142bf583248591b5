package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/sync/record"
)

// barEvery is how often a progress bar moves.
const barEvery = 200 * time.Millisecond

// timings are the answers to a load: how long each took, and the whole.
type timings struct {
	each []time.Duration
	took time.Duration
}

func (t timings) rate() float64 { return perSecond(len(t.each), t.took) }

// bar shows how far a long part is, until it is ended. It looks by itself: a bar that is
// told of every step costs more than the step.
func (b *bench) bar(total int, what string, done func() int64) (end func()) {
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(b.progress), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionClearOnFinish())
	stop := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		ticker := time.NewTicker(barEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = bar.Set64(min(done(), int64(total))) // a terminal that is gone shows nothing
			case <-stop:
				_ = bar.Finish() // likewise
				return
			}
		}
	})
	return func() { close(stop); ended.Wait() }
}

// drive does something count times with so many clients at once, and times each. The
// first error ends it: a refusal is a broken bench, not a slow one.
func (b *bench) drive(ctx context.Context, what string, clients, count int, do func(ctx context.Context, client, i int) error) (timings, error) {
	var next atomic.Int64
	var mu sync.Mutex
	var all []time.Duration
	defer b.bar(count, what, func() int64 { return min(next.Load(), int64(count)) })()
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for client := range clients {
		group.Go(func() error {
			var mine []time.Duration
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, mine...)
			}()
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := do(ctx, client, i); err != nil {
					return fmt.Errorf("%s, number %d: %w", what, i, err)
				}
				mine = append(mine, time.Since(start))
			}
			return nil
		})
	}
	err := group.Wait()
	return timings{all, time.Since(began)}, err
}

// create writes tickets through the API with so many clients at once, each with a
// connection of its own.
func (s *site) create(ctx context.Context, what string, people []*apiclient.Client, clients, count int) (timings, error) {
	made := make([]record.ID, count)
	from := s.next
	s.next += count
	at, err := dialAll(ctx, people, clients)
	defer closeAll(at)
	if err != nil {
		return timings{}, err
	}
	t, err := s.drive(ctx, what, clients, count, func(ctx context.Context, client, i int) (err error) {
		made[i], err = s.createOver(ctx, at[client], from+i)
		return err
	})
	if err != nil {
		return t, err
	}
	s.written = append(s.written, made...)
	return t, nil
}

// createOver creates the nth ticket and gives its id.
func (s *site) createOver(ctx context.Context, c *rawConn, n int) (record.ID, error) {
	text, err := json.Marshal(ticket(s.words, n))
	if err != nil {
		return record.ID{}, err
	}
	answer, err := c.post(ctx, "/buildings/"+s.edge.Place.ID.String()+"/tickets", text)
	if err != nil {
		return record.ID{}, err
	}
	return createdID(answer)
}

// createdID finds the ticket's id in the answer to its creation, which it begins with.
func createdID(answer []byte) (record.ID, error) {
	const before, length = `"ticket":{"id":"`, 36
	_, rest, found := bytes.Cut(answer, []byte(before))
	if !found || len(rest) < length {
		return record.ID{}, fmt.Errorf("no id in the answer %s", answer)
	}
	return record.ParseID(string(rest[:length]))
}

// dialAll connects so many clients in the names of people, each from the address that its
// person has.
func dialAll(ctx context.Context, people []*apiclient.Client, clients int) (out []*rawConn, err error) {
	for client := range clients {
		i := client % len(people)
		c, err := dialRaw(ctx, people[i].Base(), home(i), people[i].Token())
		if err != nil {
			return out, err
		}
		out = append(out, c)
	}
	return out, nil
}

func closeAll(all []*rawConn) {
	for _, c := range all {
		c.close()
	}
}
