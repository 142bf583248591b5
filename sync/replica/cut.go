package replica

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// Portions of the remedy: a transaction rewrites so many records, or moves so many events,
// and the building's lock is free in between.
const (
	cutPortion      = 64
	evidencePortion = 256
)

// cut rids the store of the numbers beyond forks that were marked: the values that stand
// under them are written again as this node's own, contexts end at the last common number,
// and the events go beside their chain. It may stop anywhere and begins anew: what is done
// already is not done twice (SPEC R33).
func (n *Node) cut(ctx context.Context, building record.ID) error {
	chains, err := n.Store.Chains(ctx, building)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	open := map[record.ReplicaID]uint64{}
	for _, c := range chains {
		if c.Fork != c.Cut {
			open[c.Replica] = c.Fork
		}
	}
	if len(open) == 0 {
		return nil
	}
	if err := n.cutRecords(ctx, building, open); err != nil {
		return fmt.Errorf("cut records at a fork: %w", err)
	}
	ids := slices.SortedFunc(maps.Keys(open), record.ID.Compare)
	for _, r := range ids {
		if err := n.cutEvents(ctx, building, record.Dot{Replica: r, N: open[r]}); err != nil {
			return fmt.Errorf("keep the branches of %s: %w", r, err)
		}
	}
	if err := n.settleAsides(ctx, building); err != nil {
		return err
	}
	if err := n.reclaimKnown(ctx, building, ids); err != nil {
		return err
	}
	return n.step(ctx, building, Need{Chains: ids}, nil, func(l *ledger) error {
		for _, r := range ids {
			l.chain(r).Cut = open[r]
			l.changed(r)
		}
		return nil
	})
}

// cutRecords walks the feed: a record that is written again comes up again, clean.
func (n *Node) cutRecords(ctx context.Context, building record.ID, open map[record.ReplicaID]uint64) error {
	for after, end := uint64(0), uint64(1); after < end; {
		feed, err := n.Store.Feed(ctx, building, after, wire.PageItemsMax, wire.PageBytesGoal)
		if err != nil {
			return fmt.Errorf("read feed: %w", err)
		}
		if len(feed.Items) == 0 {
			return nil
		}
		after, end = feed.Items[len(feed.Items)-1].Position, feed.End
		var keys []record.Key
		for _, item := range feed.Items {
			if item.Event != nil {
				continue
			}
			r, err := record.Decode(item.Body)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", ErrCorrupt, item.Key, err)
			}
			if slices.ContainsFunc(numbers(r), func(d record.Dot) bool { return open[d.Replica] > 0 && d.N >= open[d.Replica] }) {
				keys = append(keys, item.Key)
			}
		}
		for part := range slices.Chunk(keys, cutPortion) {
			if err := n.cutSome(ctx, building, part, open); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) cutSome(ctx context.Context, building record.ID, keys []record.Key, open map[record.ReplicaID]uint64) error {
	have, err := n.Store.Load(ctx, building, Need{Keys: keys})
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	var dots []record.Dot
	for _, s := range have.Records {
		for _, f := range s.Record.Fields {
			for _, s := range f.Siblings {
				if first := open[s.Dot.Replica]; first > 0 && s.Dot.N >= first {
					dots = append(dots, s.Dot)
				}
			}
		}
	}
	authors, err := n.authors(ctx, building, dots)
	if err != nil {
		return err
	}
	return n.step(ctx, building, Need{Keys: keys}, slices.Collect(maps.Keys(open)), func(l *ledger) error {
		tangled := map[record.Key]record.Record{}
		for _, k := range keys {
			tangled[k] = l.work(k).record
		}
		return l.untangle(tangled, authors)
	})
}

// authors finds who wrote the transactions of this node's branch.
func (n *Node) authors(ctx context.Context, building record.ID, dots []record.Dot) (map[record.Dot]record.Event, error) {
	slices.SortFunc(dots, record.Dot.Compare)
	out := map[record.Dot]record.Event{}
	for _, d := range slices.Compact(dots) {
		rows, err := n.Store.Events(ctx, building, d.Replica, d.N, d.N, 1)
		if err != nil {
			return nil, fmt.Errorf("read event %d of %s: %w", d.N, d.Replica, err)
		}
		for _, row := range rows {
			if e, err := record.DecodeEvent(row.Body); err == nil {
				out[d] = e
			}
		}
	}
	return out, nil
}

// untangle takes the numbers beyond forks out of records: what stands under them is
// written again, in one transaction for each of the original ones, author and event time
// kept.
func (l *ledger) untangle(tangled map[record.Key]record.Record, authors map[record.Dot]record.Event) error {
	keys := slices.SortedFunc(maps.Keys(tangled), record.Key.Compare)
	changes := map[record.Dot][]change{}
	classes := map[record.Dot]record.Class{}
	for _, k := range keys {
		kind, known := l.node.Rules.Kind(k.Kind)
		if known && !kind.EdgeWrites && l.node.Tier == record.TierEdge {
			l.setAside(k, tangled[k])
			continue
		}
		for _, f := range tangled[k].Fields {
			for _, s := range f.Siblings {
				if l.chains[s.Dot.Replica].beyond(s.Dot.N) {
					classes[s.Dot] = s.Class
					changes[s.Dot] = append(changes[s.Dot], change{key: k, field: f.Name, secret: kind.Secret,
						replaced: []record.Sibling{s}, values: []record.Value{s.Value}})
				}
			}
		}
	}
	for _, d := range slices.SortedFunc(maps.Keys(changes), record.Dot.Compare) {
		e, ok := authors[d]
		if !ok {
			e = record.Event{Actor: record.Actor{Class: classes[d], Name: actionFork}, EventTime: l.now}
		}
		if _, err := l.commit(Intent{Actor: e.Actor, Action: "reissue", EventTime: e.EventTime}, joinChanges(changes[d])); err != nil {
			return err
		}
	}
	for _, k := range keys {
		w := l.touch(k)
		w.record.Context = l.cutContext(w.record.Context)
		w.touches = slices.DeleteFunc(w.touches, func(t PhoneTouch) bool {
			gone := l.chains[t.Dot.Replica].beyond(t.Dot.N)
			if gone && slices.ContainsFunc(w.loaded, t.same) {
				l.out.TouchesGone = append(l.out.TouchesGone, t)
			}
			return gone
		})
	}
	return nil
}

// joinChanges makes one change of those of one field of a transaction.
func joinChanges(changes []change) []change {
	var out []change
	for _, c := range changes {
		if n := len(out); n > 0 && out[n-1].key == c.key && out[n-1].field == c.field {
			out[n-1].replaced, out[n-1].values = append(out[n-1].replaced, c.replaced...), append(out[n-1].values, c.values...)
			continue
		}
		out = append(out, c)
	}
	return out
}

// setAside keeps what this tier may not write again where an operator finds it: the tier
// that may has its own copy, or gets it back from there.
func (l *ledger) setAside(k record.Key, r record.Record) {
	w := l.touch(k)
	body, err := r.Encode()
	if err != nil {
		l.fail(fmt.Errorf("set aside %s: %w", k, err))
		return
	}
	aside := false
	for _, f := range r.Fields {
		kept := slices.DeleteFunc(slices.Clone(f.Siblings), func(s record.Sibling) bool { return l.chains[s.Dot.Replica].beyond(s.Dot.N) })
		aside = aside || len(kept) < len(f.Siblings)
		w.record = w.record.With(f.Name, kept)
	}
	if aside {
		l.out.Quarantine = append(l.out.Quarantine, QuarantineRow{Key: k, Peer: l.node.ID(), Code: wire.CodeChainFork, Since: l.now, Body: body})
	}
}

// cutContext ends a context at the last common numbers.
func (l *ledger) cutContext(c record.Context) record.Context {
	c = record.Context{Vector: slices.Clone(c.Vector), Dots: slices.Clone(c.Dots)}
	for i, e := range c.Vector {
		if chain := l.chains[e.Replica]; chain.beyond(e.N) {
			c.Vector[i].N = chain.Fork - 1
		}
	}
	c.Dots = slices.DeleteFunc(c.Dots, func(d record.FieldDot) bool { return l.chains[d.Dot.Replica].beyond(d.Dot.N) })
	return merge.Normalise(c, l)
}

// cutEvents moves the events from a number on beside their chain.
func (n *Node) cutEvents(ctx context.Context, building record.ID, from record.Dot) error {
	for {
		rows, err := n.Store.Events(ctx, building, from.Replica, from.N, ^uint64(0), evidencePortion)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		err = n.step(ctx, building, Need{}, []record.ReplicaID{from.Replica}, func(l *ledger) error {
			for _, row := range rows {
				l.beside(row)
				l.out.EventsGone = append(l.out.EventsGone, record.Dot{Replica: row.Replica, N: row.N})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// disentangle ends a quarantine that a fork was the reason of, now that the sender's own
// remedy is here: what it wrote again stands; what does not, this node writes again, for a
// sender that was rewound in between has it no more.
func (a *application) disentangle(l *ledger, h *candidate) bool {
	kind, known := l.node.Rules.Kind(h.key.Kind)
	for _, d := range numbers(h.record) {
		if a.suspects[d.Replica] {
			return false
		}
	}
	if known && !kind.EdgeWrites && l.node.Tier == record.TierEdge {
		return false
	}
	clean, lost := *h, record.Record{}
	for _, f := range h.record.Fields {
		var kept, gone []record.Sibling
		for _, s := range f.Siblings {
			switch {
			case !l.chains[s.Dot.Replica].beyond(s.Dot.N):
				kept = append(kept, s)
			case !slices.ContainsFunc(l.work(h.key).record.Siblings(f.Name), func(o record.Sibling) bool { return slices.Equal(o.Value, s.Value) }):
				gone = append(gone, s)
			}
		}
		clean.record, lost = clean.record.With(f.Name, kept), lost.With(f.Name, gone)
	}
	clean.record.Context = l.cutContext(h.record.Context)
	for _, f := range lost.Fields {
		for _, s := range f.Siblings {
			if known && l.node.Rules.Validate(h.key.Kind, f.Name, s.Value) != "" {
				return false
			}
		}
	}
	if a.check(l, &clean) != "" {
		return false
	}
	a.take(l, &clean)
	if len(lost.Fields) > 0 {
		if err := l.untangle(map[record.Key]record.Record{h.key: lost}, nil); err != nil {
			l.fail(err)
		}
	}
	return true
}
