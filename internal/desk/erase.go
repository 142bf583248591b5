package desk

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Limits of one request for erasure. What is beyond them is asked for with the answer's
// cursor: a record of many years takes several requests, none of which runs for long.
const (
	erasuresMax      = 2 * record.ErasuresMax
	erasureRowsMax   = 20_000 // events looked at
	erasureRowsStep  = 500    // of them read at once
	erasureEventsMax = 500    // transactions named one by one
)

// eraseAction begins the action of an event that erases; the reason follows.
const eraseAction = "erase."

// EraseReasons lists why values are erased. There is no free text: an event stays for ever,
// and what somebody writes about a person would stay with it.
func EraseReasons() []string { return []string{"request", "order", "retention", "mistake"} }

// NewErasure asks that values be erased from the audit: of all transactions that touch a
// record (Kind and ID), or of those that Events names.
type NewErasure struct {
	Kind   string
	ID     record.ID
	Events []record.Dot
	Reason string
	// Cursor continues behind an answer that was not the last.
	Cursor string
}

// Erasure is what a request for erasure did. What records show now is not touched by it:
// that is an ordinary change.
type Erasure struct {
	// Erased counts the transactions whose values this request erased.
	Erased int `json:"erased"`
	// Events are the events that say so, by whom and why.
	Events []EventRef `json:"events"`
	// Next is set where more transactions are to be looked at: send the request again with it.
	Next string `json:"next,omitempty"`
}

// EventRef names a transaction.
type EventRef struct {
	Replica record.ID `json:"replica"`
	N       uint64    `json:"n"`
}

// AuditErasure says who erased a transaction's values, and when.
type AuditErasure struct {
	EventRef
	By     *Person   `json:"by,omitempty"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// EraseAudit erases values and salts of transactions on every node that holds them: at once
// here, elsewhere with the next exchange. Admins only, and at the cloud only; the same
// request again finds nothing left to do. A transaction is erased whole, with what it wrote
// to other records.
func (d *Desk) EraseAudit(ctx context.Context, c Caller, building record.ID, in NewErasure) (Erasure, error) {
	out := Erasure{Events: []EventRef{}}
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return out, err
	}
	if d.node.Tier != record.TierCloud {
		return out, problem.New(problem.CloudOnly, "values are erased at the cloud, and here with the next exchange")
	}
	if v.Role != schema.Admin {
		return out, problem.New(problem.Forbidden, "only admins of the operator erase values")
	}
	if err := in.check(); err != nil {
		return out, err
	}
	dots := slices.Clone(in.Events)
	if len(dots) > 0 {
		err = d.holdsEvents(ctx, building, dots)
	} else {
		dots, out.Next, err = d.touching(ctx, building, in)
	}
	if err != nil {
		return out, err
	}
	actor := record.Actor{Class: record.Person, Person: c.Person}
	for part := range slices.Chunk(dots, record.ErasuresMax) {
		erased, err := d.node.Erase(ctx, building, actor, eraseAction+in.Reason, part)
		if err != nil {
			return out, translate(fmt.Errorf("erase: %w", err))
		}
		out.Erased += len(erased.Dots)
		for _, dot := range erased.Events {
			out.Events = append(out.Events, EventRef{dot.Replica, dot.N})
		}
	}
	return out, nil
}

func (in NewErasure) check() error {
	record := in.Kind != "" || !in.ID.IsZero()
	switch {
	case !slices.Contains(EraseReasons(), in.Reason):
		return invalid("reason", "must be one of %s", strings.Join(EraseReasons(), ", "))
	case record == (len(in.Events) > 0):
		return invalid("events", "name either a record or events")
	case record && (in.Kind == "" || in.ID.IsZero()):
		return invalid("kind", "kind and id go together")
	case len(in.Events) > erasureEventsMax:
		return invalid("events", "at most %d at once", erasureEventsMax)
	case in.Cursor != "" && !record:
		return invalid("cursor", "events named one by one have none")
	}
	for _, dot := range in.Events {
		if dot.N == 0 || dot.Replica.IsZero() {
			return invalid("events", "a transaction has a replica and a number from 1")
		}
	}
	return nil
}

// holdsEvents refuses transactions that this node does not hold: a typing error must not
// erase what comes under that number later.
func (d *Desk) holdsEvents(ctx context.Context, building record.ID, dots []record.Dot) error {
	have, err := d.node.Store.Load(ctx, building, replica.Need{Events: dots})
	if err != nil {
		return translate(fmt.Errorf("look events up: %w", err))
	}
	for _, dot := range dots {
		if _, ok := have.Events[dot]; !ok {
			return problem.New(problem.NotFound, "event %d of replica %s", dot.N, dot.Replica)
		}
	}
	return nil
}

// touching lists the transactions that touch a record and have values yet, the latest
// first, and where to go on.
func (d *Desk) touching(ctx context.Context, building record.ID, in NewErasure) (dots []record.Dot, next string, err error) {
	s := EventSelection{Building: building, Mentions: []record.ID{in.ID}, Limit: erasureRowsStep}
	if in.Cursor != "" {
		if s.Before, err = strconv.ParseUint(in.Cursor, 10, 63); err != nil || s.Before == 0 {
			return nil, "", invalid("cursor", "is not a cursor of an erasure")
		}
	}
	filter := AuditFilter{Kind: in.Kind, ID: in.ID}
	for looked := 0; ; {
		rows, _, err := d.query.Events(ctx, s)
		if err != nil {
			return nil, "", translate(fmt.Errorf("list events: %w", err))
		}
		for _, row := range rows {
			if len(row.Details) == 0 {
				continue
			}
			e, err := record.DecodeEvent(row.Body)
			if err != nil {
				return nil, "", fmt.Errorf("event %d of %s: %w", row.N, row.Replica, err)
			}
			if filter.matches(e) {
				dots = append(dots, e.Dot())
			}
		}
		if len(rows) < s.Limit {
			return dots, "", nil
		}
		s.Before = rows[len(rows)-1].Position
		if looked += len(rows); looked >= erasureRowsMax || len(dots)+erasureRowsStep > erasuresMax {
			return dots, strconv.FormatUint(s.Before, 10), nil
		}
	}
}

// erasures finds out what erased these transactions, of those that lack their values here.
type erasures struct {
	by     map[record.Dot]record.Dot
	events map[record.Dot]record.Event
}

func (d *Desk) erasures(ctx context.Context, building record.ID, dots []record.Dot) (erasures, error) {
	x := erasures{events: map[record.Dot]record.Event{}}
	if len(dots) == 0 {
		return x, nil
	}
	have, err := d.node.Store.Load(ctx, building, replica.Need{Events: dots})
	if err != nil {
		return x, translate(fmt.Errorf("look erasures up: %w", err))
	}
	x.by = have.Erased
	for _, by := range x.by {
		if _, read := x.events[by]; read {
			continue
		}
		rows, err := d.node.Store.Events(ctx, building, by.Replica, by.N, by.N, 1)
		if err != nil {
			return x, translate(fmt.Errorf("read event: %w", err))
		}
		for _, row := range rows {
			e, err := record.DecodeEvent(row.Body)
			if err != nil {
				return x, fmt.Errorf("event %d of %s: %w", row.N, row.Replica, err)
			}
			x.events[by] = e
		}
	}
	return x, nil
}

// of describes the erasure of one transaction; nil where it was not erased.
func (x erasures) of(dot record.Dot, names *refs) *AuditErasure {
	by, ok := x.by[dot]
	if !ok {
		return nil
	}
	v := &AuditErasure{EventRef: EventRef{by.Replica, by.N}}
	if e, ok := x.events[by]; ok {
		v.At, v.By = shownTime(e.EventTime), names.person(e.Actor.Person)
		v.Reason = strings.TrimPrefix(e.Action, eraseAction)
	}
	return v
}
