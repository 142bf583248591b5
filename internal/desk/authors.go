package desk

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

// trail finds out who wrote values: from the events that their dots name.
type trail struct {
	desk     *Desk
	building record.ID
	dots     []record.Dot
	events   map[record.Dot]record.Event
	cards    map[record.ReplicaID]replica.Chain
	names    *refs
}

func (d *Desk) trail(building record.ID) *trail {
	return &trail{desk: d, building: building, events: map[record.Dot]record.Event{}, names: d.refs(building)}
}

func (t *trail) want(dot record.Dot) { t.dots = append(t.dots, dot) }

// read loads the events that are held; an event may come after its record.
func (t *trail) read(ctx context.Context) error {
	slices.SortFunc(t.dots, record.Dot.Compare)
	t.dots = slices.Compact(t.dots)
	var need replica.Need
	for _, dot := range t.dots {
		need.Chains = append(need.Chains, dot.Replica)
		rows, err := t.desk.node.Store.Events(ctx, t.building, dot.Replica, dot.N, dot.N, 1)
		if err != nil {
			return translate(fmt.Errorf("read event: %w", err))
		}
		for _, row := range rows {
			e, err := record.DecodeEvent(row.Body)
			if err != nil {
				return fmt.Errorf("event %d of %s: %w", row.N, row.Replica, err)
			}
			t.events[dot] = e
			t.names.wantPerson(e.Actor.Person)
		}
	}
	return t.readNames(ctx, need)
}

func (t *trail) readNames(ctx context.Context, need replica.Need) error {
	have, err := t.desk.node.Store.Load(ctx, t.building, need)
	if err != nil {
		return translate(fmt.Errorf("load cards: %w", err))
	}
	t.cards = have.Chains
	return t.names.read(ctx)
}

// tier names where a replica writes; empty while its card has not come.
func (t *trail) tier(r record.ReplicaID) string {
	if c, ok := t.cards[r]; ok && c.Card != nil {
		return c.Card.Tier.String()
	}
	return ""
}

// sibling describes a value's author and times.
func (t *trail) sibling(s record.Sibling) SiblingView {
	v := SiblingView{Stamp: shownTime(s.Stamp.Millis()), Where: t.tier(s.Dot.Replica)}
	if e, ok := t.events[s.Dot]; ok {
		at := shownTime(e.EventTime)
		v.EventTime, v.Author = &at, t.names.person(e.Actor.Person)
	}
	return v
}
