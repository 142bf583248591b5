package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

// healEvery is how often it is looked whether anything waits still.
const healEvery = 200 * time.Millisecond

// heal waits until every queue is empty, on both sides and on the phones, and says how long
// that took. What never empties is a finding, with the state it stopped in.
func (w *world) heal(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := w.clock.set(wrongBy); err != nil {
		return 0, err
	}
	for _, s := range w.sites {
		s.edge.Line.Restore()
		if err := s.heal(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

func (s *site) heal(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, healMax)
	defer cancel()
	last := "it was not looked at"
	err := stack.PollEvery(waiting, healEvery, "everything to be in step", func() (bool, error) {
		what := s.waits(waiting)
		if waiting.Err() == nil {
			last = what
		}
		return what == "", nil
	})
	if err != nil && ctx.Err() == nil {
		s.world.findings.add("stuck", "%s after %s: %s", s.place.Code, healMax, last)
	}
	return ctx.Err()
}

// waits says what still waits in a building; empty for nothing.
func (s *site) waits(ctx context.Context) string {
	for _, h := range s.phones {
		if what := h.waits(ctx); what != "" {
			return what
		}
	}
	edge, err := s.statusOf(ctx, s.servers[0])
	if err != nil {
		return fmt.Sprintf("the edge does not answer: %v", err)
	}
	cloud, err := s.statusOf(ctx, s.servers[1])
	if err != nil {
		return fmt.Sprintf("the cloud does not answer: %v", err)
	}
	switch {
	case edge.Link == nil || edge.Link.State != "synced":
		return "the link is not synced: " + text(edge.Link)
	case edge.Outbox > 0:
		return fmt.Sprintf("%d events wait for a receipt: %s", edge.Outbox, text(slices.DeleteFunc(edge.Chains, func(c desk.Chain) bool { return c.Held <= c.Receipted || c.Tier == "cloud" })))
	case len(edge.Quarantine) > 0:
		return "held back at the edge: " + text(edge.Quarantine)
	case len(cloud.Quarantine) > 0:
		return "held back at the cloud: " + text(cloud.Quarantine)
	}
	return differing(edge.Chains, cloud.Chains)
}

func (h *handset) waits(ctx context.Context) string {
	// Twice: what one server hears first, the other must be told of.
	for _, a := range []*account{h.servers[0], h.servers[1]} {
		if err := h.exchange(ctx, a); err != nil {
			return fmt.Sprintf("%s at %s: %v", h.name, a.server.name, err)
		}
	}
	if n := h.unsettled(); n > 0 {
		return fmt.Sprintf("%s keeps %d unsettled transactions", h.name, n)
	}
	return ""
}

// differing names a chain that one side holds and the other does not, or not as far.
func differing(edge, cloud []desk.Chain) string {
	at := map[record.ID]desk.Chain{}
	for _, c := range cloud {
		at[c.Replica] = c
	}
	for _, c := range edge {
		if other := at[c.Replica]; other.Held != c.Held || other.Hash != c.Hash {
			return fmt.Sprintf("chain %s (%s): %d events at the edge, %d at the cloud", c.Replica, c.Tier, c.Held, other.Held)
		}
		delete(at, c.Replica)
	}
	for _, c := range at {
		if c.Held > 0 {
			return fmt.Sprintf("chain %s (%s): none at the edge, %d events at the cloud", c.Replica, c.Tier, c.Held)
		}
	}
	return ""
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	const most = 1000
	return string(b[:min(len(b), most)])
}
