package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/internal/lab/stack"
)

const (
	// firstSyncLook is rare enough that counting costs the edge little.
	firstSyncLook = 200 * time.Millisecond
	stopTimeout   = 15 * time.Second
)

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
	err = stack.PollEvery(ctx, firstSyncLook, "the new edge to hold everything", func() (bool, error) {
		have, err := s.atEdge[0].CountTickets(ctx, s.edge.Place.ID)
		took = time.Since(began)
		return have >= count, err
	})
	return took, err
}
