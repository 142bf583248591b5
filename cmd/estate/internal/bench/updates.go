package bench

import (
	"context"
	"fmt"
	"strconv"

	"estate/internal/apiclient"
)

const (
	goalOfUpsert = 0.5
	// hotTickets are changed over and over where only the events count.
	hotTickets = 64
)

// holding sees to it that so many tickets are at both ends.
func (s *site) holding(ctx context.Context, count int) error {
	if missing := count - len(s.written); missing > 0 {
		s.edge.Line.Cut()
		if _, err := s.create(ctx, "writing tickets at the edge", s.atEdge, writers, missing); err != nil {
			return err
		}
		_, err := s.reconciled(ctx, missing, missing)
		return err
	}
	return nil
}

// change edits the titles of some tickets at the edge, so many times in all.
func (s *site) change(ctx context.Context, what string, tickets, count int) error {
	round := s.next
	s.next++
	_, err := s.drive(ctx, what, writers, count, func(ctx context.Context, client, i int) error {
		title := "changed " + strconv.Itoa(round) + " " + strconv.Itoa(i)
		_, err := s.atEdge[client%len(s.atEdge)].UpdateTicket(ctx, s.edge.Place.ID, s.written[i%tickets], apiclient.TicketChange{Title: &title})
		return err
	})
	return err
}

// updates changes tickets at an edge that is cut off, and measures how fast the changes
// reach the cloud, beside an upsert of the rows that they became.
func updates(ctx context.Context, s *site) error {
	count := s.how.size(updatesFull, updatesQuick)
	if s.how.records > 0 {
		count = min(count, s.how.records)
	}
	if err := s.holding(ctx, max(count, s.how.backlog())); err != nil {
		return err
	}
	s.edge.Line.Cut()
	if err := s.change(ctx, "changing tickets at the edge", count, count); err != nil {
		return err
	}
	m, err := s.reconciled(ctx, count, count)
	if err != nil {
		return err
	}
	rows, err := s.rows(ctx, m.before.position)
	if err != nil {
		return err
	}
	both, err := s.upsertRate(ctx, rows, true)
	if err != nil {
		return err
	}
	alone, err := s.upsertRate(ctx, rows, false)
	if err != nil {
		return err
	}
	s.updated = perSecond(count, m.took)
	s.add(
		beside(fmt.Sprintf("updates: %d changed tickets and their events, edge to cloud", count), s.updated, "records/s", "unnest upsert of the same records and events", both).ratioAtLeast(goalOfUpsert),
		beside("updates: the same", s.updated, "records/s", "unnest upsert of the records alone", alone),
		plain("updates: bytes to the cloud for each", float64(m.sent)/float64(count), "B"),
	)
	s.add(usage("updates", count, m.spent)...)
	return nil
}

// events changes few tickets many times at an edge that is cut off: what moves are audit
// events, almost alone.
func events(ctx context.Context, s *site) error {
	count := s.how.size(eventsFull, eventsQuick)
	if err := s.holding(ctx, hotTickets); err != nil {
		return err
	}
	s.edge.Line.Cut()
	if err := s.change(ctx, "changing a few tickets often", hotTickets, count); err != nil {
		return err
	}
	m, err := s.reconciled(ctx, count, hotTickets)
	if err != nil {
		return err
	}
	rows, err := s.rows(ctx, m.before.position)
	if err != nil {
		return err
	}
	copied, err := s.copyRate(ctx, []table{rows.events}, count)
	if err != nil {
		return err
	}
	s.add(
		beside(fmt.Sprintf("events: %d about %d tickets, edge to cloud", count, hotTickets), perSecond(count, m.took), "events/s", "COPY of the same events", copied),
		plain("events: stored event", rows.eventBytes, "B"),
		plain("events: stored details of an event", rows.detailBytes, "B"),
		plain("events: bytes to the cloud for each", float64(m.sent)/float64(count), "B"),
	)
	return nil
}
