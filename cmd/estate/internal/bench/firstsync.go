package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/internal/desk"
	"estate/internal/lab/stack"
)

const stopTimeout = time.Minute

// firstSync replaces the box: a new edge of the building takes everything from the cloud.
func firstSync(ctx context.Context, s *site) error {
	if err := s.holding(ctx, s.how.backlog()); err != nil {
		return err
	}
	if err := errors.Join(s.edge.Process().Terminate(stopTimeout), s.edge.Line.Close(), os.RemoveAll(s.edge.Dir())); err != nil {
		return fmt.Errorf("take the old box away: %w", err)
	}
	s.edge.Place.Enrolled = false
	var err error
	if s.edge, err = s.AddEdge(ctx, buildingCode, s.cloud); err != nil {
		return err
	}
	took, err := s.filled(ctx, len(s.written))
	if err != nil {
		return err
	}
	sent, answered := s.edge.Line.Carried()
	count := len(s.written)
	what := fmt.Sprintf("first sync: %d tickets and their history, cloud to a new edge", count)
	if s.empty > 0 {
		s.add(beside(what, perSecond(count, took), "records/s", "edge to cloud", s.empty))
	} else {
		s.add(plain(what, perSecond(count, took), "records/s"))
	}
	_, edgeMemory := tree(s.edge.Process().PID())
	_, cloudMemory := tree(s.cloud.Process().PID())
	s.add(
		plain("first sync: bytes to the edge for each", float64(answered)/float64(count), "B"),
		plain("first sync: bytes to the cloud for each", float64(sent)/float64(count), "B"),
		plain("first sync: RSS of edge at the end", float64(edgeMemory)/mega, "MB").atMost(edgeMemoryMax),
		plain("first sync: RSS of cloud at the end", float64(cloudMemory)/mega, "MB").atMost(cloudMemoryMax),
	)
	return nil
}

// filled starts the new edge and waits until it lists all tickets: from the first
// page's bytes on the line.
func (s *site) filled(ctx context.Context, count int) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	var began time.Time
	var both errgroup.Group
	both.Go(func() error {
		err := stack.PollEvery(ctx, lookEvery, "the new edge to call the cloud", func() (bool, error) {
			_, answered := s.edge.Line.Carried()
			return answered > smallTalk, nil
		})
		began = time.Now()
		return err
	})
	both.Go(func() error { return s.edge.Start(ctx) })
	if err := both.Wait(); err != nil {
		return 0, err
	}
	if err := s.knownAtEdge(ctx); err != nil {
		return 0, err
	}
	if err := s.drained(ctx); err != nil {
		return 0, err
	}
	// Events come before their tickets: those of the last page may be missing.
	err = stack.PollEvery(ctx, countEvery, "the new edge to list every ticket", func() (bool, error) {
		took = time.Since(began)
		have, err := s.atEdge[0].CountTickets(ctx, s.edge.Place.ID)
		return have >= count, err
	})
	return took, err
}

// drained waits until the edge and the cloud hold the same events. It asks for their
// numbers, not for lists: a list costs the edge more than the tickets that it waits for.
func (s *site) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, growthTimeout)
	defer cancel()
	return stack.PollEvery(ctx, countEvery, "both ends to hold the same", func() (bool, error) {
		at, err := s.stored(ctx)
		if err != nil {
			return false, err
		}
		var edge desk.SyncState
		if err := s.atEdge[0].Get(ctx, "/buildings/"+s.edge.Place.ID.String()+"/sync", &edge); err != nil {
			return false, err
		}
		var held int64
		for _, chain := range edge.Chains {
			held += int64(chain.Held)
		}
		return held == at.events, nil
	})
}
