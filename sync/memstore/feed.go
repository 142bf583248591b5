package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

// entry is a place in the feed: an event where the dot is set, a record otherwise. It is
// live while what it names still has this position.
type entry struct {
	position uint64
	key      record.Key
	dot      record.Dot
}

func compareEntry(e entry, position uint64) int { return cmp.Compare(e.position, position) }

func (d *data) live(e entry) bool {
	if e.dot.N != 0 {
		row, ok := d.events[e.dot]
		return ok && row.Position == e.position
	}
	row, ok := d.records[e.key]
	return ok && row.Position == e.position
}

// place enters a position, which nothing else may hold.
func (d *data) place(e entry) error {
	if e.position == 0 {
		return fmt.Errorf("%w: %s without a position", replica.ErrCorrupt, e.key)
	}
	i, found := slices.BinarySearchFunc(d.feed, e.position, compareEntry)
	if !found {
		d.feed = slices.Insert(d.feed, i, e)
		return nil
	}
	if d.feed[i] != e && d.live(d.feed[i]) {
		return fmt.Errorf("%w: position %d is taken", replica.ErrCorrupt, e.position)
	}
	d.feed[i] = e
	return nil
}

// compact drops dead entries once they outnumber the living.
func (d *data) compact() {
	if len(d.feed) > 2*(len(d.records)+len(d.events))+16 {
		d.feed = slices.DeleteFunc(d.feed, func(e entry) bool { return !d.live(e) })
	}
}

// Feed implements replica.Store.
func (s *Store) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	if err := cancelled(ctx, "read feed"); err != nil {
		return replica.FeedPage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	d := s.building(building)
	page := replica.FeedPage{End: d.state.Position, State: d.state}
	start, found := slices.BinarySearchFunc(d.feed, after, compareEntry)
	if found {
		start++
	}
	size := 0
	for _, e := range d.feed[start:] {
		if len(page.Items) > 0 && (len(page.Items) >= limit || size >= bytesMax) {
			break
		}
		if !d.live(e) {
			continue
		}
		item := replica.FeedItem{Position: e.position, Key: e.key}
		if e.dot.N != 0 {
			row := d.events[e.dot]
			item.Event = &row
			size += len(row.Body) + len(row.Details)
		} else {
			item.Body = d.records[e.key].Body
			size += len(item.Body)
		}
		page.Items = append(page.Items, item)
	}
	return page, nil
}
