package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

// scribe writes tickets until told to stop and keeps what was acknowledged.
type scribe struct {
	t        *testing.T
	name     string
	client   *apiclient.Client
	building record.ID

	mu    sync.Mutex
	acked map[record.ID]string // title by id
}

// write goes on through failures: a write without an answer is sent again with the same
// key until it has one.
func (s *scribe) write(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		title := fmt.Sprintf("%s-%d", s.name, n)
		for ctx.Err() == nil {
			result, err := s.client.CreateTicket(ctx, s.building, title, apiclient.NewTicket{Title: title, Category: "other", Priority: "normal"})
			if err == nil {
				s.mu.Lock()
				s.acked[result.Ticket.ID] = title
				s.mu.Unlock()
				break
			}
			if apiclient.HasStatus(err, http.StatusBadRequest) || apiclient.HasStatus(err, http.StatusConflict) {
				s.t.Errorf("%s: %v", title, err)
				return
			}
			timer := time.NewTimer(50 * time.Millisecond)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
	}
}

func (s *scribe) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.acked)
}

// victims are the programs that are killed in mid-sync, and how each comes back.
func victims() map[string]func(ctx context.Context, s *stack.Stack, e *stack.Edge) error {
	return map[string]func(context.Context, *stack.Stack, *stack.Edge) error{
		"Edge": func(ctx context.Context, _ *stack.Stack, e *stack.Edge) error {
			if err := e.Kill9(); err != nil {
				return err
			}
			return e.Start(ctx)
		},
		"Cloud": func(ctx context.Context, s *stack.Stack, _ *stack.Edge) error {
			if err := s.Cloud("cloud-1").Kill9(); err != nil {
				return err
			}
			_, err := s.StartCloud(ctx, "cloud-1")
			return err
		},
		"PostgreSQL": func(ctx context.Context, s *stack.Stack, _ *stack.Edge) error {
			if err := s.Cluster.Kill(); err != nil {
				return err
			}
			return s.Cluster.Restart(ctx)
		},
	}
}

// TestKilledInMidSync: writers at both sides go on while a program is killed twice; every
// acknowledged write is found on both sides in the end.
func TestKilledInMidSync(t *testing.T) {
	t.Parallel()
	const writersEach, before, after = 2, 40, 40
	for name, kill := range victims() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, cloud := begin(t, oak(), true)
			e := w.edge(cloud, "OAK")
			atEdge, atCloud := w.as(e.Base(), "technician"), w.as(cloud.Base(), "manager")
			writing, stop := context.WithCancel(t.Context())
			defer stop()
			var scribes []*scribe
			var running sync.WaitGroup
			for n := range writersEach {
				for where, client := range map[string]*apiclient.Client{"edge": atEdge, "cloud": atCloud} {
					s := &scribe{t: t, name: fmt.Sprintf("%s-%d", where, n), client: client, building: e.Place.ID, acked: map[record.ID]string{}}
					scribes = append(scribes, s)
					running.Go(func() { s.write(writing) })
				}
			}
			reach := func(each int) {
				until(t, fmt.Sprintf("%d acknowledged writes of each writer", each), every, func() error {
					for _, s := range scribes {
						if s.count() < each {
							return fmt.Errorf("%s has %d", s.name, s.count())
						}
					}
					return nil
				})
			}
			reach(before / 2)
			for round := range 2 {
				if err := kill(t.Context(), w.Stack, e); err != nil {
					t.Fatal(err)
				}
				reach(before + round*after)
			}
			stop()
			running.Wait()
			held := converged(t, atEdge, atCloud, e.Place.ID)
			acked := 0
			for _, s := range scribes {
				for id, title := range s.acked {
					acked++
					if got, ok := held[id]; !ok || got.Title != title {
						t.Errorf("acknowledged ticket %s %q is %q on both sides", id, title, got.Title)
					}
				}
			}
			// One write of each writer may have been stored without its answer arriving.
			if len(held) < acked || len(held) > acked+len(scribes) {
				t.Errorf("%d tickets, %d were acknowledged", len(held), acked)
			}
			t.Logf("%d acknowledged writes, all of them on both sides", acked)
		})
	}
}
