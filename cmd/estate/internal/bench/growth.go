package bench

import (
	"context"
	"fmt"
	"time"
)

const (
	growthFull, growthQuick = 1_000_000, 2_000
	growthTimeout           = 30 * time.Minute
	goalOfEmpty             = 0.8
	// boxCodeChars is the length of a ticket's code at which a million of them rarely clash.
	boxCodeChars = 8
)

// growth fills the building until the cloud and the edge hold a million records, and then
// measures the same backlog as when both were empty.
func growth(ctx context.Context, s *site) error {
	if s.empty == 0 {
		if err := reconcile(ctx, s); err != nil {
			return err
		}
	}
	total := s.how.size(growthFull, growthQuick)
	if s.how.growth > 0 {
		total = s.how.growth
	}
	if missing := total - len(s.written); missing > 0 {
		b, err := s.newBox(ctx)
		if err != nil {
			return err
		}
		filled, err := s.fill(ctx, b, missing)
		if err != nil {
			return fmt.Errorf("fill the building: %w", err)
		}
		s.add(plain(fmt.Sprintf("growth: %d tickets from a box without a disk to the cloud", missing), filled, "records/s"))
	}
	count := s.how.backlog()
	s.edge.Line.Cut()
	if _, err := s.create(ctx, "writing tickets at the edge", s.atEdge, writers, count); err != nil {
		return err
	}
	m, err := s.reconciled(ctx, count, count)
	if err != nil {
		return err
	}
	s.add(beside(fmt.Sprintf("growth: %d tickets where %d are already", count, total), perSecond(count, m.took), "records/s", "when empty", s.empty).ratioAtLeast(goalOfEmpty))
	s.add(usage("growth", count, m.spent)...)
	return nil
}
