package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// Who asks at once for one key shares one queue, and nothing is kept of a key that nobody
// waits for: after answers, failures, panics and callers who left.
func TestKeyed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var mu sync.Mutex
		var batches []string
		k := &Keyed[string, *Queue[int]]{New: func(key string) *Queue[int] {
			return &Queue[int]{Max: 8, Run: func(batch []*Call[int]) error {
				<-gate
				mu.Lock()
				batches = append(batches, fmt.Sprint(key, len(batch)))
				mu.Unlock()
				for _, c := range batch {
					_ = c.Try(0)
				}
				return nil
			}}
		}}
		left, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		start := func(ctx context.Context, key string, fn func(int) error) {
			wg.Go(func() {
				defer func() { _ = recover() }()
				k.With(key, func(q *Queue[int]) { _ = q.Do(ctx, fn) })
			})
			synctest.Wait()
		}
		good := func(int) error { return nil }
		for range 3 {
			start(t.Context(), "a", good)
		}
		start(t.Context(), "b", func(int) error { return errDisk })
		start(t.Context(), "b", func(int) error { panic("boom") })
		start(left, "b", good)
		leave()
		synctest.Wait()
		if k.Len() != 2 {
			t.Errorf("%d keys in use, want 2", k.Len())
		}
		close(gate)
		wg.Wait()
		slices.Sort(batches)
		if want := []string{"a1", "a2", "b1", "b1"}; !slices.Equal(batches, want) {
			t.Errorf("batches %q, want %q", batches, want)
		}
		if k.Len() != 0 {
			t.Errorf("%d keys are kept that nobody uses", k.Len())
		}
		k.With("a", func(q *Queue[int]) {
			if err := q.Do(t.Context(), func(int) error { return errDisk }); !errors.Is(err, errDisk) {
				t.Errorf("used again: %v", err)
			}
		})
	})
}
