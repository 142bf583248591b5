package crash

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

// honestTime holds that the wrong clock does not win: once the edge was corrected, a write
// at the cloud that is made later is the one that is shown, though the edge's clock still
// says hours more.
func (w *world) honestTime(ctx context.Context) error {
	s := w.sites[1]
	edge, cloud := s.account(s.servers[0], "manager"), s.account(s.servers[1], "manager")
	var id record.ID
	err := edge.do(ctx, func(c *apiclient.Client) error {
		made, err := c.CreateTicket(ctx, s.place.ID, "", apiclient.NewTicket{Title: "by the wrong clock"})
		id = made.Ticket.ID
		return err
	})
	if err != nil {
		return fmt.Errorf("write by the wrong clock: %w", err)
	}
	waiting, cancel := context.WithTimeout(ctx, healMax)
	defer cancel()
	await := func(what string, done func() bool) error {
		return stack.PollEvery(waiting, healEvery, what, func() (bool, error) { return done(), nil })
	}
	if err := await("the ticket at the cloud", func() bool { _, err := s.ticketAt(waiting, cloud, id); return err == nil }); err != nil {
		return err
	}
	state, err := s.statusOf(ctx, s.servers[0])
	if err != nil {
		return err
	}
	w.notes.add("clock", "the edge whose clock is %s ahead corrects it by %s", w.clock.offset, time.Duration(state.ClockOffset)*time.Millisecond)
	s.edge.Line.Cut()
	for _, step := range []struct {
		at    *account
		title string
	}{{edge, "first, by the wrong clock"}, {cloud, "second, by the right clock"}} {
		err := step.at.do(ctx, func(c *apiclient.Client) error {
			return c.Send(ctx, http.MethodPatch, s.path("/tickets/"+id.String()), nil, map[string]string{"title": step.title}, nil)
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", step.title, err)
		}
	}
	s.edge.Line.Restore()
	last := ""
	err = await("both sides to agree", func() bool {
		a, errA := s.ticketAt(waiting, edge, id)
		b, errB := s.ticketAt(waiting, cloud, id)
		last = fmt.Sprintf("%q at the edge, %q at the cloud", a.Title, b.Title)
		return errA == nil && errB == nil && a.Seen == b.Seen && len(b.Conflicts) > 0
	})
	if err != nil {
		w.findings.add("stuck", "after two people wrote at once: %s", last)
		return ctx.Err()
	}
	if t, err := s.ticketAt(ctx, cloud, id); err != nil || t.Title != "second, by the right clock" {
		w.findings.add("the wrong clock won", "%q is shown, %v", t.Title, err)
	}
	return nil
}
