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

// Questions that come while one is under way are asked together, each gets its own answer,
// and none is answered by what was asked before it came.
func TestQuestionsAreGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked [][]int
		version, gate := 0, make(chan struct{})
		g := NewGatherer(4, func(qs []int) ([]string, error) {
			asked = append(asked, qs)
			seen := version
			<-gate
			answers := make([]string, len(qs))
			for i, q := range qs {
				answers[i] = fmt.Sprintf("%d of %d", q, seen)
			}
			return answers, nil
		})
		var wg sync.WaitGroup
		answers := make([]string, 6)
		for i := range answers {
			if i == 1 {
				version = 1 // after the first question was asked, before the others
			}
			wg.Go(func() {
				var err error
				if answers[i], err = g.Ask(t.Context(), i); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(gate)
		wg.Wait()
		if want := []string{"0 of 0", "1 of 1", "2 of 1", "3 of 1", "4 of 1", "5 of 1"}; !slices.Equal(answers, want) {
			t.Errorf("answers %q, want %q", answers, want)
		}
		if want := "[[0] [1 2 3 4] [5]]"; fmt.Sprint(asked) != want {
			t.Errorf("asked %v, want %s", asked, want)
		}
	})
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	g := NewGatherer(4, func([]int) ([]int, error) { return nil, errDisk })
	if _, err := g.Ask(t.Context(), 1); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want %v", err, errDisk)
	}
	left, leave := context.WithCancel(t.Context())
	leave()
	g = NewGatherer(4, func(qs []int) ([]int, error) { return qs, nil })
	if _, err := g.Ask(left, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
