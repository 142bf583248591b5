package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/sync/record"
)

// audience keeps what a WebSocket client was told.
type audience struct {
	events <-chan apiclient.Event
	seen   map[record.ID]apiclient.Event
	resets int
	last   string // the server that it last heard from
}

func listen(t *testing.T, building record.ID, clients ...*apiclient.Client) *audience {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	a := &audience{events: apiclient.Follow(ctx, building, clients...), seen: map[record.ID]apiclient.Event{}}
	t.Cleanup(func() {
		stop()
		for range a.events { // until the follower has ended
		}
	})
	a.await(t, "the subscription", func(e apiclient.Event) bool { return e.Type == apiclient.EventSubscribed })
	return a
}

// await takes events until one matches.
func (a *audience) await(t *testing.T, what string, match func(apiclient.Event) bool) apiclient.Event {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case event := <-a.events:
			a.last = event.Server
			if event.Reset {
				a.resets++
			}
			if event.Type == apiclient.EventChange {
				a.seen[event.ID] = event
			}
			if match(event) {
				return event
			}
		case <-timer.C:
			t.Fatalf("%s did not come within %s", what, patience)
		}
	}
}

func shows(id record.ID) func(apiclient.Event) bool {
	return func(e apiclient.Event) bool { return e.Type == apiclient.EventChange && e.ID == id }
}

// TestTwoClouds: a write at one process reaches a WebSocket at the other within a second,
// and a subscriber whose process is killed goes on at the other and misses nothing.
func TestTwoClouds(t *testing.T) {
	t.Parallel()
	// Were the first process not told, it would look after ten seconds. On a busy machine
	// some writes wait for a processor, never all.
	const freshMax, lateMax, writes = time.Second, 8 * time.Second, 20
	w, first := begin(t, oak(), true)
	second, err := w.StartCloud(t.Context(), "cloud-2")
	if err != nil {
		t.Fatal(err)
	}
	building := w.State.Building("OAK").ID
	atFirst, atSecond := w.as(first.Base(), "manager"), w.as(second.Base(), "manager")
	a := listen(t, building, atFirst, atSecond)
	var took []time.Duration
	write := func(n int) {
		t.Helper()
		made, err := atSecond.CreateTicket(t.Context(), building, "", apiclient.NewTicket{Title: fmt.Sprintf("Lamp %d", n), Category: "electrical"})
		if err != nil {
			t.Fatal(err)
		}
		written := time.Now() // a disk that others keep busy is no delay between the two
		event := a.await(t, "the ticket", shows(made.Ticket.ID))
		if event.Server == first.Base() {
			took = append(took, event.At.Sub(written))
		}
	}
	for n := range writes {
		write(n)
	}
	slices.Sort(took)
	if len(took) != writes || took[len(took)/4] > freshMax || took[len(took)-1] > lateMax {
		t.Errorf("%d writes at the second process reached the first after %v", len(took), took)
	}
	t.Logf("from a write at one process to a WebSocket at the other: median %s, slowest %s", took[len(took)/2], took[len(took)-1])

	if err := first.Kill9(); err != nil {
		t.Fatal(err)
	}
	var missed []record.ID
	for n := range writes {
		made, err := atSecond.CreateTicket(t.Context(), building, "", apiclient.NewTicket{Title: fmt.Sprintf("Door %d", n), Category: "security"})
		if err != nil {
			t.Fatal(err)
		}
		missed = append(missed, made.Ticket.ID)
	}
	// A ticket that was written again meanwhile is told after the last.
	unseen := func(id record.ID) bool { _, seen := a.seen[id]; return !seen }
	if slices.ContainsFunc(missed, unseen) {
		a.await(t, "each write after the kill", func(apiclient.Event) bool { return !slices.ContainsFunc(missed, unseen) })
	}
	if a.last != second.Base() || a.resets != 0 {
		t.Errorf("it went on at %s with %d resets, want %s and none", a.last, a.resets, second.Base())
	}
}
