package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"estate/internal/apiclient"
	"estate/sync/record"
)

const (
	writesFull, writesQuick = 2000, 30
	// paceFull finds out what the edge can take, paceQuick that it takes something.
	paceFull, paceQuick = 5000, 100
	goalSeen            = 50.0 // milliseconds
)

// arrivals are the moments at which tickets were first seen on a dashboard's WebSocket.
type arrivals struct {
	mu      sync.Mutex
	at      map[record.ID]time.Time
	waiting map[record.ID]chan time.Time
}

func newArrivals() *arrivals {
	return &arrivals{at: map[record.ID]time.Time{}, waiting: map[record.ID]chan time.Time{}}
}

// collect notes what comes until the channel ends.
func (a *arrivals) collect(events <-chan apiclient.Event) {
	for event := range events {
		if event.Kind == "ticket" {
			a.seen(event.ID, event.At)
		}
	}
}

// seen notes the first time.
func (a *arrivals) seen(id record.ID, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.at[id]; again {
		return
	}
	a.at[id] = at
	if waiting, ok := a.waiting[id]; ok {
		waiting <- at // has room for the one
		delete(a.waiting, id)
	}
}

// of waits until a ticket was seen and says when. It may have been before.
func (a *arrivals) of(ctx context.Context, id record.ID) (time.Time, error) {
	waiting := make(chan time.Time, 1)
	a.mu.Lock()
	at, seen := a.at[id]
	if !seen {
		a.waiting[id] = waiting
	}
	a.mu.Unlock()
	if seen {
		return at, nil
	}
	timer := time.NewTimer(ticketTimeout)
	defer timer.Stop()
	select {
	case at := <-waiting:
		return at, nil
	case <-timer.C:
		return at, fmt.Errorf("ticket %s: nothing on the WebSocket for %s", id, ticketTimeout)
	case <-ctx.Done():
		return at, ctx.Err()
	}
}

// writesSeen writes tickets at the edge, one after the other, and waits for each on a
// dashboard's WebSocket at the cloud: when nothing else goes on, and while others write
// half as many as the edge can take.
func writesSeen(ctx context.Context, s *site) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	events := apiclient.Follow(following, s.edge.Place.ID, s.atCloud[0])
	if _, err := await(ctx, events, func(e apiclient.Event) bool { return e.Type == apiclient.EventSubscribed }); err != nil {
		return err
	}
	seen := newArrivals()
	var collecting sync.WaitGroup
	collecting.Go(func() { seen.collect(events) })
	defer collecting.Wait()
	defer stop()
	count := s.how.size(writesFull, writesQuick)
	if err := s.probe(ctx, seen, "idle", count); err != nil {
		return err
	}
	pace, err := s.create(ctx, "finding the edge's pace", s.atEdge, clients, s.how.size(paceFull, paceQuick))
	if err != nil {
		return err
	}
	if err := s.drained(ctx); err != nil {
		return err
	}
	half := pace.rate() / 2
	s.add(plain("freshness: half load", half, "requests/s"))
	loading, ease := context.WithCancel(ctx)
	defer ease()
	var load errgroup.Group
	load.Go(func() error { return s.loaded(loading, half) })
	err = s.probe(ctx, seen, "half load", count)
	ease()
	if failed := load.Wait(); err == nil {
		err = failed
	}
	return err
}

// probe writes one ticket after the other.
func (s *site) probe(ctx context.Context, seen *arrivals, when string, count int) error {
	var fresh, stored []time.Duration
	from := s.next
	s.next += count
	for i := range count {
		began := time.Now()
		made, err := s.atEdge[0].CreateTicket(ctx, s.edge.Place.ID, "", ticket(s.words, from+i))
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		stored = append(stored, time.Since(began))
		at, err := seen.of(ctx, made.Ticket.ID)
		if err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		fresh = append(fresh, at.Sub(began))
	}
	for _, p := range []struct {
		name string
		rank float64
	}{{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}} {
		f := beside(fmt.Sprintf("freshness: write at the edge to a WebSocket of the cloud, %s, %s", when, p.name), percentile(fresh, p.rank), "ms",
			"the edge's durable answer, "+p.name, percentile(stored, p.rank))
		if p.name == "p99" {
			f = f.atMost(goalSeen)
		}
		s.add(f)
	}
	return nil
}

// loaded writes so many tickets a second until ctx ends. The first person is left to the
// probe.
func (s *site) loaded(ctx context.Context, requests float64) error {
	pace := rate.NewLimiter(rate.Limit(requests), 1)
	at, err := dialAll(ctx, s.atEdge[1:], clients)
	defer closeAll(at)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	from := s.next
	for client := range clients {
		group.Go(func() error {
			for i := from + client; pace.Wait(ctx) == nil; i += clients {
				if _, err := s.createOver(ctx, at[client], i); err != nil && ctx.Err() == nil {
					return fmt.Errorf("keep up half load: %w", err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}
