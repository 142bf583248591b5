package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// The pace of one author: together they keep two cores busy, and no more.
const (
	authorPauseMin = 60 * time.Millisecond
	authorPauseMax = 260 * time.Millisecond
	// againAfter is between attempts of one write whose answer did not come.
	againAfter = 80 * time.Millisecond
)

// author is a person who writes through the REST API of one server, and tells another one
// when the answer does not come.
type author struct {
	site   *site
	name   string
	home   *account
	others []*account
	count  int
}

func (a *author) work(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		a.count++
		text := fmt.Sprintf("%s writes %d", a.name, a.count)
		switch p := random.IntN(100); {
		case p < 35:
			a.create(ctx, random, text)
		case p < 65:
			a.change(ctx, random, text)
		case p < 85:
			a.message(ctx, random, text)
		default:
			a.move(ctx, random)
		}
		pause(ctx, between(random, authorPauseMin, authorPauseMax))
	}
}

// create reports something, with the same key at each attempt: at this server, or at
// another one if the answer did not come.
func (a *author) create(ctx context.Context, random *rand.Rand, text string) {
	w := a.site.world
	e := w.ledger.begin(&entry{kind: wroteTicket, site: a.site, where: a.home.server.name, field: "title", value: record.Text(text), once: true})
	at := a.home
	for ctx.Err() == nil {
		var made desk.TicketResult
		err := at.do(ctx, func(c *apiclient.Client) (err error) {
			made, err = c.CreateTicket(ctx, a.site.place.ID, keyOf(text), apiclient.NewTicket{Title: text, Category: "other"})
			return err
		})
		if err == nil {
			e.key = a.key("ticket", made.Ticket.ID)
			w.ledger.acknowledge(e, at.server.name)
			a.site.know(made.Ticket.ID)
			return
		}
		if decided(err) {
			w.findings.add("create refused", "%s at %s: %v", text, at.server.name, err)
			return
		}
		pause(ctx, againAfter)
		if random.IntN(3) == 0 {
			at = a.others[random.IntN(len(a.others))]
		}
	}
}

// keyOf is the idempotency key of a text that is written once.
func keyOf(text string) string { return strings.ReplaceAll("crash "+text, " ", "-") }

func (a *author) key(kind string, id record.ID) record.Key {
	return record.Key{Building: a.site.place.ID, Kind: kind, ID: id}
}

// look reads a ticket that this server has.
func (a *author) look(ctx context.Context, random *rand.Rand) (desk.Ticket, bool) {
	id, ok := a.site.pick(random)
	if !ok {
		return desk.Ticket{}, false
	}
	t, err := a.site.ticketAt(ctx, a.home, id)
	return t, err == nil
}

// change writes a text over what was shown. It is tried once: an answer that does not come
// leaves open whether it counts.
func (a *author) change(ctx context.Context, random *rand.Rand, text string) {
	t, ok := a.look(ctx, random)
	if !ok {
		return
	}
	field := []string{"title", "description", "resolution"}[random.IntN(3)]
	a.patch(ctx, &entry{kind: wroteField, field: field, value: record.Text(text)}, t, text)
}

// following is the life of a ticket here: always forward, so that the order of states is
// the order of what is shown. Closing is not for everybody.
func following(status string) string {
	return map[string]string{"new": "triaged", "triaged": "in_progress", "in_progress": "resolved"}[status]
}

func (a *author) move(ctx context.Context, random *rand.Rand) {
	t, ok := a.look(ctx, random)
	if !ok || following(t.Status) == "" {
		return
	}
	next := following(t.Status)
	a.patch(ctx, &entry{kind: wroteStatus, field: "status", value: record.Text(next)}, t, next)
}

func (a *author) patch(ctx context.Context, e *entry, t desk.Ticket, value string) {
	w := a.site.world
	e.site, e.where, e.key, e.seen = a.site, a.home.server.name, a.key("ticket", t.ID), t.Seen
	w.ledger.begin(e)
	err := a.home.do(ctx, func(c *apiclient.Client) error {
		header := http.Header{"If-Match": {`"` + t.Seen + `"`}}
		return c.Send(ctx, http.MethodPatch, a.site.path("/tickets/"+t.ID.String()), header, map[string]string{e.field: value}, nil)
	})
	switch {
	case err == nil:
		w.ledger.acknowledge(e, a.home.server.name)
	case decided(err):
		w.ledger.drop(e)
		if !apiclient.HasStatus(err, http.StatusConflict) {
			w.findings.add("change refused", "%s of %s at %s: %v", e.field, t.ID, a.home.server.name, err)
		}
	}
}

// message says something on a ticket, with the same key until an answer comes.
func (a *author) message(ctx context.Context, random *rand.Rand, text string) {
	t, ok := a.look(ctx, random)
	if !ok {
		return
	}
	w := a.site.world
	e := w.ledger.begin(&entry{kind: wroteMessage, site: a.site, where: a.home.server.name, field: "text", value: record.Text(text), once: true})
	for ctx.Err() == nil {
		var made desk.Message
		err := a.home.do(ctx, func(c *apiclient.Client) error {
			header := http.Header{"Idempotency-Key": {keyOf(text)}}
			return c.Send(ctx, http.MethodPost, a.site.path("/tickets/"+t.ID.String()+"/messages"), header, map[string]string{"text": text}, &made)
		})
		if err == nil {
			e.key = a.key("message", made.ID)
			w.ledger.acknowledge(e, a.home.server.name)
			return
		}
		if decided(err) {
			w.findings.add("message refused", "%s at %s: %v", text, a.home.server.name, err)
			return
		}
		pause(ctx, againAfter)
	}
}
