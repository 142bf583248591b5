package groupcommit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

var errDisk = errors.New("disk full")

// A slow commit collects the writers that arrive meanwhile, up to the limit.
func TestCallersShareCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		gate := make(chan struct{})
		q := &Queue[int]{Max: 4, Run: func(batch []*Call[int]) error {
			<-gate
			sizes = append(sizes, len(batch))
			for _, c := range batch {
				_ = c.Try(len(sizes))
			}
			return nil
		}}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := q.Do(t.Context(), func(int) error { return nil }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		if !slices.Equal(sizes, []int{1, 4, 4, 1}) {
			t.Fatalf("batches of %v", sizes)
		}
	})
}

// Who comes between two batches is in the next one; after a batch of one nobody is waited for.
func TestComesBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		var wg sync.WaitGroup
		between := 0
		gate, q := make(chan struct{}), &Queue[int]{Max: 4}
		come := func() {
			wg.Go(func() {
				if err := q.Do(t.Context(), func(int) error { return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		q.Run = func(batch []*Call[int]) error {
			<-gate
			sizes = append(sizes, len(batch))
			for _, c := range batch {
				_ = c.Try(0)
			}
			return nil
		}
		q.Between = func() {
			between++
			come()
			synctest.Wait()
		}
		for range 6 { // one alone, four together, and one who waits
			come()
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		if want := []int{1, 4, 2, 1}; !slices.Equal(sizes, want) || between != 2 {
			t.Errorf("batches of %v and %d times between, want %v and 2", sizes, between, want)
		}
	})
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	for name, c := range map[string]struct{ fn, commit, want error }{
		"kept":                  {nil, nil, nil},
		"failed by itself":      {own, nil, own},
		"failed commit":         {nil, errDisk, errDisk},
		"own error comes first": {own, errDisk, own},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &Queue[int]{Run: func(batch []*Call[int]) error {
				if err := batch[0].Try(0); (err != nil) != batch[0].Failed() {
					t.Error("Failed does not tell")
				}
				return c.commit
			}}
			if err := q.Do(context.Background(), func(int) error { return c.fn }); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

// One who gives up while waiting does not run; the others are not disturbed.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		q := &Queue[int]{Max: 8, Run: func(batch []*Call[int]) error {
			<-gate
			for _, c := range batch {
				_ = c.Try(0)
			}
			return nil
		}}
		var wg sync.WaitGroup
		ran := make([]bool, 3)
		errs := make([]error, 3)
		ctx, cancel := context.WithCancel(t.Context())
		for i, ctx := range []context.Context{t.Context(), ctx, t.Context()} {
			wg.Go(func() { errs[i] = q.Do(ctx, func(int) error { ran[i] = true; return nil }) })
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		close(gate)
		wg.Wait()
		if !slices.Equal(ran, []bool{true, false, true}) || errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
			t.Fatalf("ran %v, errors %v", ran, errs)
		}
	})
}

// A panic reaches its own caller only.
func TestPanicStaysWithItsCaller(t *testing.T) {
	t.Parallel()
	q := &Queue[int]{Run: func(batch []*Call[int]) error {
		if err := batch[0].Try(0); err == nil {
			t.Error("the batch was not told")
		}
		return nil
	}}
	defer func() {
		if p := recover(); p != "boom" {
			t.Fatalf("recovered %v", p)
		}
	}()
	_ = q.Do(context.Background(), func(int) error { panic("boom") })
}

// A batch that hands on lets the next one begin beside it, led by who waits or by who comes
// next; one that does not ends first.
func TestBatchesOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var began []int
		writing := make(chan struct{})
		q := &Queue[int]{Max: 4, Overlap: func(batch []*Call[int], handOn func()) error {
			mu.Lock()
			began = append(began, len(batch))
			n := len(began)
			mu.Unlock()
			for _, c := range batch {
				_ = c.Try(n)
			}
			if n != 3 {
				handOn()
			}
			<-writing
			return nil
		}}
		var wg sync.WaitGroup
		for want := range 5 {
			wg.Go(func() {
				if err := q.Do(t.Context(), func(int) error { return nil }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			if got := len(began); got != min(want+1, 3) {
				t.Errorf("%d batches began after %d calls", got, want+1)
			}
		}
		close(writing)
		wg.Wait()
		if !slices.Equal(began, []int{1, 1, 1, 2}) {
			t.Errorf("batches of %v", began)
		}
	})
}
