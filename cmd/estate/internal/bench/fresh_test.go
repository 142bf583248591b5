package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/sync/record"
)

// TestArrivals: the first time counts, whether somebody waited for it or asks later.
func TestArrivals(t *testing.T) {
	t.Parallel()
	a, one, other := newArrivals(), record.ID{1}, record.ID{2}
	first := time.UnixMilli(1000)
	events := make(chan apiclient.Event)
	go func() {
		defer close(events)
		events <- apiclient.Event{Kind: "message", ID: other, At: first}
		events <- apiclient.Event{Kind: "ticket", ID: one, At: first}
		events <- apiclient.Event{Kind: "ticket", ID: one, At: first.Add(time.Second)}
	}()
	collected := make(chan struct{})
	go func() {
		a.collect(events)
		close(collected)
	}()
	for _, when := range []string{"waiting", "later"} {
		if at, err := a.of(t.Context(), one); err != nil || !at.Equal(first) {
			t.Errorf("%s: got %s, %v", when, at, err)
		}
		<-collected
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.of(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("a ticket that never came: %v", err)
	}
}
