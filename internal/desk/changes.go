package desk

import (
	"context"
	"fmt"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Limits of one answer of Changes.
const (
	changesMax      = 200
	changesBytesMax = 1 << 20
)

// Position is the end of a building's feed now: where a subscriber starts.
func (d *Desk) Position(ctx context.Context, building record.ID) (uint64, error) {
	have, err := d.node.Store.Load(ctx, building, replica.Need{})
	if err != nil {
		return 0, translate(fmt.Errorf("load state: %w", err))
	}
	return have.State.Position, nil
}

// Watch tells of movements of a building's feed, by any process: see replica.Store.
func (d *Desk) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return d.node.Store.Watch(building)
}

// Changes reads what moved in a building's feed behind a position, as far as the caller
// may see it now. A record appears once, as it is now. Positions beyond the feed's end
// (the store was restored) start again at its end.
func (d *Desk) Changes(ctx context.Context, c Caller, building record.ID, after uint64) (Changes, error) {
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return Changes{}, err
	}
	page, err := d.node.Store.Feed(ctx, building, after, changesMax, changesBytesMax)
	if err != nil {
		return Changes{}, translate(fmt.Errorf("read feed: %w", err))
	}
	out := Changes{Position: min(after, page.End)}
	var items []item
	var parents []record.Key
	for _, f := range page.Items {
		out.Position = f.Position
		if kind, ok := d.table.Lookup(f.Key.Kind); f.Event != nil || !ok || kind.Secret {
			continue
		}
		r, err := record.Decode(f.Body)
		if err != nil {
			return Changes{}, fmt.Errorf("record %s: %w", f.Key, err)
		}
		items = append(items, item{key: f.Key, record: r, position: f.Position})
		if parent, ok := d.table.Parent(f.Key, r); ok {
			parents = append(parents, parent)
		}
	}
	out.More = out.Position < page.End
	tickets, err := d.load(ctx, building, parents...)
	if err != nil {
		return Changes{}, err
	}
	for _, it := range items {
		parent, _ := d.table.Parent(it.key, it.record)
		if !d.table.MayRead(v, it.key, it.record, tickets[parent].Record) {
			continue
		}
		change, err := d.changeView(ctx, v, it)
		if err != nil {
			return Changes{}, err
		}
		out.Items = append(out.Items, change)
	}
	return out, nil
}

// changeView gives a record the form of its list. A deleted record has none.
func (d *Desk) changeView(ctx context.Context, v schema.Viewer, it item) (Change, error) {
	f := d.fields(it)
	c := Change{Kind: it.key.Kind, ID: it.key.ID, Ticket: f.id("ticket"), Position: it.position}
	if c.Kind == "ticket" {
		c.Ticket = c.ID
	}
	if f.bool("deleted") {
		return c, nil
	}
	var err error
	one := []item{it}
	switch c.Kind {
	case "building":
		c.Item = d.buildingView(it, v)
	case "ticket":
		c.Item, err = anyFirst(d.ticketViews(ctx, one))
	case "message", "note":
		c.Item, err = anyFirst(d.messageViews(ctx, one))
	case "media":
		c.Item, err = anyFirst(d.mediaViews(ctx, one))
	case "unit":
		c.Item, err = anyFirst(d.unitViews(ctx, one))
	case "asset":
		c.Item, err = anyFirst(d.assetViews(ctx, one))
	case "device":
		c.Item, err = anyFirst(d.deviceViews(ctx, one))
	case "control":
		c.Item, err = anyFirst(d.controlViews(ctx, one))
	case "action":
		c.Item, err = anyFirst(d.actionViews(ctx, one))
	case "alarm":
		c.Item, err = anyFirst(d.alarmViews(ctx, one))
	case "membership":
		c.Item, err = anyFirst(d.memberViews(ctx, one))
	}
	return c, err
}

func anyFirst[T any](views []T, err error) (any, error) {
	if err != nil || len(views) == 0 {
		return nil, err
	}
	return views[0], nil
}
