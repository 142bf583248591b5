package desk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Reading a feed to find conflicts: pages large enough to be fast and small enough for an
// edge box.
const (
	scanItemsMax = 1000
	scanBytesMax = 1 << 20
)

// conflictIndex knows which records are in conflict, as far as it has read each building's
// feed. It only ever holds what the feed says, from zero after a restart: what it lost is
// read again.
type conflictIndex struct {
	mu        sync.Mutex
	buildings map[record.ID]*conflicted
}

type conflicted struct {
	mu       sync.Mutex
	boot     record.ID
	position uint64
	keys     map[record.Key]bool
}

// of brings the index of a building up to the end of its feed and lists it in order.
func (i *conflictIndex) of(ctx context.Context, d *Desk, building record.ID) ([]record.Key, error) {
	i.mu.Lock()
	if i.buildings == nil {
		i.buildings = map[record.ID]*conflicted{}
	}
	c := i.buildings[building]
	if c == nil {
		c = &conflicted{}
		i.buildings[building] = c
	}
	i.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.advance(ctx, d, building); err != nil {
		return nil, err
	}
	keys := make([]record.Key, 0, len(c.keys))
	for k := range c.keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, record.Key.Compare)
	return keys, nil
}

func (c *conflicted) advance(ctx context.Context, d *Desk, building record.ID) error {
	for {
		// Another run of the store may have another feed: it was restored or cloned.
		if boot := d.node.Boot(); c.keys == nil || c.boot != boot {
			c.boot, c.position, c.keys = boot, 0, map[record.Key]bool{}
		}
		page, err := d.node.Store.Feed(ctx, building, c.position, scanItemsMax, scanBytesMax)
		if err != nil {
			return translate(fmt.Errorf("read feed: %w", err))
		}
		if page.End < c.position {
			c.keys = nil
			continue
		}
		for _, it := range page.Items {
			c.position = it.Position
			if it.Event != nil {
				continue
			}
			r, err := record.Decode(it.Body)
			if err != nil {
				return fmt.Errorf("record %s: %w", it.Key, err)
			}
			if len((fields{table: d.table, kind: it.Key.Kind, r: r}).conflicts()) > 0 {
				c.keys[it.Key] = true
			} else {
				delete(c.keys, it.Key)
			}
		}
		if len(page.Items) == 0 || c.position >= page.End {
			return nil
		}
	}
}

// Conflicts lists the fields in conflict among the records that the caller may see, with
// every value that stands, its author and its time.
func (d *Desk) Conflicts(ctx context.Context, c Caller, building record.ID, p Page) (List[Conflict], error) {
	p, err := p.normalise()
	if err != nil {
		return List[Conflict]{}, err
	}
	if _, err := d.Viewer(ctx, c, building); err != nil {
		return List[Conflict]{}, err // before anything is read or remembered for a stranger
	}
	keys, err := d.conflicts.of(ctx, d, building)
	if err != nil {
		return List[Conflict]{}, err
	}
	v, found, err := d.open(ctx, c, building, slices.Clone(keys)...)
	if err != nil {
		return List[Conflict]{}, err
	}
	open, err := d.openFields(ctx, v, found, keys)
	if err != nil {
		return List[Conflict]{}, err
	}
	out := List[Conflict]{Items: []Conflict{}, Page: p.Page, PerPage: p.PerPage, Total: len(open)}
	from := p.skip()
	if p.Cursor != "" {
		if from, err = strconv.Atoi(p.Cursor); err != nil || from < 0 {
			return out, invalid("cursor", "is not a cursor of this list")
		}
	}
	open = open[min(from, len(open)):]
	if len(open) > p.PerPage {
		open, out.Next = open[:p.PerPage], strconv.Itoa(from+p.PerPage)
	}
	out.Items, err = d.conflictViews(ctx, building, open)
	return out, err
}

// openField is one field in conflict.
type openField struct {
	item  item
	field string
}

// openFields lists the fields in conflict that a viewer may see.
func (d *Desk) openFields(ctx context.Context, v schema.Viewer, found found, keys []record.Key) ([]openField, error) {
	var parents []record.Key
	for _, k := range keys {
		if parent, ok := d.table.Parent(k, found[k].Record); ok {
			parents = append(parents, parent)
		}
	}
	tickets, err := d.load(ctx, v.Building, parents...)
	if err != nil {
		return nil, err
	}
	var out []openField
	for _, k := range keys {
		it := found.item(k)
		parent, _ := d.table.Parent(k, it.record)
		if !d.table.MayRead(v, k, it.record, tickets[parent].Record) || d.fields(it).bool("deleted") {
			continue
		}
		for _, name := range d.fields(it).conflicts() {
			out = append(out, openField{it, name})
		}
	}
	return out, nil
}

// ConflictsOf lists the fields of one record that are in conflict.
func (d *Desk) ConflictsOf(ctx context.Context, c Caller, building record.ID, kind string, id record.ID) ([]Conflict, error) {
	k := key(building, kind, id)
	v, found, err := d.open(ctx, c, building, k)
	if err != nil {
		return nil, err
	}
	open, err := d.openFields(ctx, v, found, []record.Key{k})
	if err != nil {
		return nil, err
	}
	return d.conflictViews(ctx, building, open)
}

func (d *Desk) conflictViews(ctx context.Context, building record.ID, open []openField) ([]Conflict, error) {
	trail := d.trail(building)
	for _, o := range open {
		for _, s := range replica.Conflicts(d.table, o.item.key.Kind, o.item.record)[o.field] {
			trail.want(s.Dot)
		}
	}
	if err := trail.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Conflict, 0, len(open))
	for _, o := range open {
		f := d.fields(o.item)
		kind, _ := d.table.Lookup(o.item.key.Kind)
		field, _ := kind.Field(o.field)
		c := Conflict{Kind: o.item.key.Kind, ID: o.item.key.ID, Field: o.field, Ticket: f.id("ticket"), Shown: jsonValue(field.Type, f.value(o.field)), Seen: seen(o.item.record),
			Label: cmp.Or(f.text("code"), f.text("name"))}
		if c.Kind == "ticket" {
			c.Ticket = c.ID
		}
		for _, s := range replica.Conflicts(d.table, c.Kind, o.item.record)[o.field] {
			v := trail.sibling(s)
			v.Value, v.Shown = jsonValue(field.Type, s.Value), bytes.Equal(s.Value, f.value(o.field))
			c.Siblings = append(c.Siblings, v)
		}
		out = append(out, c)
	}
	return out, nil
}

// ResolveConflict writes what somebody decided: an ordinary write that has seen every value
// that stood. A value that came later stands beside it, as a new conflict.
func (d *Desk) ResolveConflict(ctx context.Context, c Caller, building record.ID, in Resolution) error {
	if in.Seen == "" {
		return invalid("seen", "is required: what was decided counts for what was shown")
	}
	shown, err := d.shown(ctx, building, in.Seen)
	if err != nil {
		return err
	}
	kind, ok := d.table.Lookup(in.Kind)
	if !ok || kind.Secret || kind.Chain {
		return notFound("kind")
	}
	field, ok := kind.Field(in.Field)
	if !ok {
		return notFound("field")
	}
	value, err := parseValue(field, in.Value)
	if err != nil {
		return err
	}
	k := key(building, in.Kind, in.ID)
	found, err := d.load(ctx, building, k)
	if err != nil {
		return err
	}
	parent, child := d.table.Parent(k, found[k].Record)
	reads := []record.Key{k}
	if child {
		reads = append(reads, parent)
	}
	return d.write(ctx, c, building, "conflict.resolve", reads, func(x *draft) error {
		if child {
			x.parents[k] = parent
		}
		x.seen[k] = shown
		if _, err := x.readable(k); err != nil {
			return err
		}
		standing := x.current.Record(k).Siblings(in.Field)
		if !slices.ContainsFunc(standing, func(s record.Sibling) bool { return bytes.Equal(s.Value, value) }) {
			return problem.New(problem.Conflict, "this value no longer stands; read the record and decide again")
		}
		return x.set(k, in.Field, value)
	})
}
