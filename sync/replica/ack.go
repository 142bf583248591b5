package replica

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/wire"
)

// ApplyAck takes what a peer said of a page: receipts, records that it holds back, records
// that it merged after all. A lower tier whose stamps the upper one refused corrects its
// clock and re-issues the values (SPEC R16).
func (n *Node) ApplyAck(ctx context.Context, building record.ID, peer Peer, a wire.Ack) error {
	need := Need{Peer: peer.Node}
	var chains []record.ReplicaID
	for _, r := range a.Receipts {
		chains = append(chains, r.Replica)
		need.Events = append(need.Events, record.Dot{Replica: r.Replica, N: r.N})
	}
	var late []record.Key
	for _, q := range a.Quarantined {
		k := record.Key{Building: building, Kind: q.Kind, ID: q.ID}
		if q.Code == wire.CodeClockAhead && peer.Tier < n.Tier {
			late = append(late, k)
		}
	}
	if len(a.Receipts)+len(a.Quarantined)+len(a.Released) == 0 {
		return nil
	}
	err := n.step(ctx, building, need, chains, func(l *ledger) error {
		for _, r := range a.Receipts {
			l.admitReceipt(r, peer)
		}
		for _, q := range a.Quarantined {
			l.out.Quarantine = append(l.out.Quarantine, QuarantineRow{Key: record.Key{Building: building, Kind: q.Kind, ID: q.ID}, Peer: peer.Node, Theirs: true, Code: q.Code, Since: l.now})
		}
		for _, q := range a.Released {
			l.out.QuarantineOut = append(l.out.QuarantineOut, QuarantineRow{Key: record.Key{Building: building, Kind: q.Kind, ID: q.ID}, Peer: peer.Node, Theirs: true})
		}
		return nil
	})
	if err != nil || len(late) == 0 {
		return err
	}
	return n.CorrectClock(ctx, building, peer, a.Time, late)
}

// lateMax bounds what one greeting corrects; the next one goes on.
const lateMax = 1000

// correctLate makes good what an upper peer refused for its stamps before this node was
// stopped in between, or before the answer that it was merged was lost.
func (n *Node) correctLate(ctx context.Context, building record.ID, peer Peer, upperMillis int64) error {
	have, err := n.Store.Load(ctx, building, Need{Peer: peer.Node, Quarantine: lateMax})
	if err != nil {
		return fmt.Errorf("load what the peer holds back: %w", err)
	}
	var late []record.Key
	for _, q := range have.Quarantine {
		if q.Theirs && q.Code == wire.CodeClockAhead {
			late = append(late, q.Key)
		}
	}
	if len(late) == 0 {
		return nil
	}
	return n.CorrectClock(ctx, building, peer, upperMillis, late)
}

// CorrectClock sets the building's clock to the upper tier's time, restarts its hybrid
// clock there, and re-issues values of these records that are stamped too far ahead: as
// new transactions in place of the old ones, author and event time kept. Nothing is
// restamped (traces t09, t15). What the peer held back is then no longer what counts.
func (n *Node) CorrectClock(ctx context.Context, building record.ID, peer Peer, upperMillis int64, keys []record.Key) error {
	slices.SortFunc(keys, record.Key.Compare)
	keys = slices.Compact(keys)
	have, err := n.Store.Load(ctx, building, Need{Keys: keys})
	if err != nil {
		return fmt.Errorf("load records to re-issue: %w", err)
	}
	authors := map[record.Dot]record.Event{}
	for _, s := range have.Records {
		for _, f := range s.Record.Fields {
			for _, sib := range f.Siblings {
				if _, ok := authors[sib.Dot]; ok || !hlc.Ahead(sib.Stamp, upperMillis) {
					continue
				}
				rows, err := n.Store.Events(ctx, building, sib.Dot.Replica, sib.Dot.N, sib.Dot.N, 1)
				if err != nil {
					return fmt.Errorf("read event %d: %w", sib.Dot.N, err)
				}
				authors[sib.Dot] = record.Event{Actor: record.Actor{Class: sib.Class, Name: "clock"}, EventTime: upperMillis}
				if len(rows) == 1 {
					if e, err := record.DecodeEvent(rows[0].Body); err == nil {
						authors[sib.Dot] = e
					}
				}
			}
		}
	}
	return n.step(ctx, building, Need{Keys: keys}, nil, func(l *ledger) error {
		l.setClock(upperMillis)
		for _, k := range keys {
			l.out.QuarantineOut = append(l.out.QuarantineOut, QuarantineRow{Key: k, Peer: peer.Node, Theirs: true})
		}
		return l.reissue(authors, upperMillis)
	})
}

// reissue writes, per original transaction, the values that stand with a stamp too far
// ahead again as values of a new one.
func (l *ledger) reissue(authors map[record.Dot]record.Event, upperMillis int64) error {
	dots := make([]record.Dot, 0, len(authors))
	for d := range authors {
		dots = append(dots, d)
	}
	slices.SortFunc(dots, record.Dot.Compare)
	keys := make([]record.Key, 0, len(l.records))
	for k := range l.records {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, record.Key.Compare)
	for _, d := range dots {
		var changes []change
		for _, k := range keys {
			kind, _ := l.node.Rules.Kind(k.Kind)
			for _, f := range l.records[k].record.Fields {
				c := change{key: k, field: f.Name, secret: kind.Secret}
				for _, s := range f.Siblings {
					if s.Dot == d && hlc.Ahead(s.Stamp, upperMillis) {
						c.replaced, c.values = append(c.replaced, s), append(c.values, s.Value)
					}
				}
				if len(c.values) > 0 {
					changes = append(changes, c)
				}
			}
		}
		if len(changes) == 0 {
			continue
		}
		e := authors[d]
		if _, err := l.commit(Intent{Actor: e.Actor, Action: "reissue", EventTime: e.EventTime}, changes); err != nil {
			return err
		}
	}
	return nil
}

// Conflicts lists the fields of a record that show a conflict, with the siblings that a
// screen offers, the shown one among them.
func Conflicts(rules Rules, kind string, r record.Record) map[string][]record.Sibling {
	out := map[string][]record.Sibling{}
	for _, f := range r.Fields {
		rule, ok := rules.Field(kind, f.Name)
		if !ok {
			continue
		}
		if s := rule.Policy.Conflict(f.Siblings); len(s) > 0 {
			out[f.Name] = s
		}
	}
	return out
}

// Seen is the token that a reader sends back with a write: the context of what it was
// shown.
func Seen(r record.Record) *record.Context {
	c := r.Context
	return &c
}
