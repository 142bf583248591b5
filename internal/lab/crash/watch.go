package crash

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"estate/internal/apiclient"
)

const (
	// watchEvery is how often somebody looks at the edge's sync state.
	watchEvery = 400 * time.Millisecond
	// watchedLately is how many of the last tickets are then looked for at the cloud.
	watchedLately = 3
)

// watchStatus holds that "synced" is the truth: whatever the edge acknowledged before it
// was asked, and says to be synced, is at the cloud.
func (s *site) watchStatus(ctx context.Context, random *rand.Rand) {
	said := 0
	for ctx.Err() == nil {
		pause(ctx, between(random, watchEvery/2, watchEvery))
		before := s.world.ledger.lately(s, s.servers[0].name, watchedLately)
		state, err := s.statusOf(ctx, s.servers[0])
		if err != nil || state.Link == nil || state.Link.State != "synced" || state.Outbox > 0 {
			continue
		}
		said++
		for _, e := range before {
			s.mustBeAtCloud(ctx, e, s.servers[0].name+" says synced")
		}
	}
	s.world.notes.add("status", "%s said synced %d times, each time looked up at the cloud", s.servers[0].name, said)
}

// mustBeAtCloud looks for a ticket until a cloud answers.
func (s *site) mustBeAtCloud(ctx context.Context, e *entry, why string) {
	for n := 0; ctx.Err() == nil; n++ {
		a := s.account(s.servers[1+n%2], "manager")
		_, err := s.ticketAt(ctx, a, e.key.ID)
		switch {
		case err == nil:
			return
		case apiclient.HasStatus(err, http.StatusNotFound):
			s.world.findings.add("dishonest status", "%s, but the cloud does not have %s %s", why, e.key.Kind, e.key.ID)
			return
		}
		pause(ctx, againAfter)
	}
}
