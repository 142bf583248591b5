package replica

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// View is what a reader of part of a building may see.
type View struct {
	// Hash identifies the view: a cursor of another view starts from zero.
	Hash record.Hash
	// Node is the reader's: receipts are for its own chains.
	Node record.ID
	// May decides on one record; parent is the record that Rules.Parent names.
	May func(key record.Key, r, parent record.Record) bool
	// Children lists the records whose rights follow these parents. Where it is set, they
	// come and go with their parent: one that moved into the view makes them visible, one
	// that left takes them along, though they did not move (SPEC R12, SPEC R29). Nil for a
	// reader who sees them anyway.
	Children func(ctx context.Context, parents []record.Key) ([]FeedItem, error)
}

// ReadView reads the next page of a phone's view: records that it may see, each under this
// node's seal, preceded by the cards that their contexts cite, and marks of those that it
// may not see. A cursor of another generation, view or history means from zero: the page is
// empty then, and the phone asks again from there, with the heads of all that it holds.
func (n *Node) ReadView(ctx context.Context, building record.ID, v View, pull wire.Pull) (wire.Page, error) {
	compared, err := n.hear(ctx, building, pull.Heads)
	if err != nil {
		return wire.Page{}, err
	}
	limit := wire.PageItemsMax
	if pull.Limit > 0 {
		limit = int(min(pull.Limit, wire.PageItemsMax))
	}
	feed, at, err := n.resume(ctx, building, v, pull.Cursor, limit)
	if err != nil {
		return wire.Page{}, fmt.Errorf("read feed: %w", err)
	}
	p := wire.Page{From: at.Position, To: at.Position, Anchor: at.Anchor, Generation: at.Generation, View: v.Hash, Issuer: n.PublicKey(), Heads: compared}
	if at.Position == 0 && pull.Cursor.Position > 0 {
		return p, nil
	}
	if len(feed.Items) > 0 {
		p.To = feed.Items[len(feed.Items)-1].Position
	}
	judged, err := n.judge(ctx, building, v, feed.Items)
	if err != nil {
		return wire.Page{}, err
	}
	families := family{node: n, building: building, view: v, leaving: pull.Holds && p.From > 0}
	seen, hidden, err := families.gather(ctx, judged, &p)
	if err != nil {
		return wire.Page{}, err
	}
	p.Last = p.To >= feed.End
	for _, item := range feed.Items {
		if item.Event != nil && item.Position <= p.To {
			p.Anchor = item.Position
		}
	}
	if err := n.settled(ctx, building, v.Node, pull.Replicas, &p); err != nil {
		return wire.Page{}, err
	}
	if pull.Holds {
		for _, k := range hidden {
			p.Forget = append(p.Forget, wire.Mark(n.tag(k), p.Generation, p.To))
		}
	}
	var replicas []record.ReplicaID
	for _, s := range seen {
		p.Records = append(p.Records, n.sealed(s.item.Key, s.item.Body))
		for _, d := range s.record.Context.Reaches() {
			replicas = append(replicas, d.Replica)
		}
	}
	return p, n.cards(ctx, building, replicas, &p)
}

// later takes out of a page what reaches numbers beyond a fork whose remedy is not done here: no
// head proves them any more, and the remedy gives these records new positions (SPEC R33).
func later(p *wire.Page, chains map[record.ReplicaID]Chain) {
	uncut := func(d record.Dot) bool {
		c := chains[d.Replica]
		return c.Fork != c.Cut && c.beyond(d.N)
	}
	for _, c := range chains {
		if c.Fork != c.Cut {
			p.Records = slices.DeleteFunc(p.Records, func(item wire.RecordItem) bool {
				r, err := record.Decode(item.Body)
				return err != nil || anyNumber(&r, uncut)
			})
			return
		}
	}
}

// settled brings a phone what the cloud last said about its chains: the cloud says it
// anew, an edge passes on what it was told (SPEC R13).
func (n *Node) settled(ctx context.Context, building, reader record.ID, chains []record.ReplicaID, p *wire.Page) error {
	if len(chains) > wire.PullChainsMax {
		return refuse(wire.CodeFrameTooLarge, "%d chains, limit %d", len(chains), wire.PullChainsMax)
	}
	if len(chains) == 0 {
		return nil
	}
	have, err := n.Store.Load(ctx, building, Need{Chains: chains})
	if err != nil {
		return fmt.Errorf("load receipts: %w", err)
	}
	for id, c := range have.Chains {
		if c.Card == nil || c.Card.Node != reader {
			delete(have.Chains, id)
		}
	}
	tellForks(p, have.Chains)
	chains = slices.DeleteFunc(slices.Clone(chains), func(id record.ReplicaID) bool { _, own := have.Chains[id]; return !own })
	if n.Tier != record.TierCloud {
		for _, id := range chains {
			if r := have.Chains[id].Receipt; r != nil {
				p.Receipts = append(p.Receipts, *r)
			}
		}
		return nil
	}
	if p.Receipts, err = n.receipts(ctx, building, chains); err != nil {
		return err
	}
	for _, r := range p.Receipts {
		b, err := n.beyond(ctx, building, r)
		if err != nil {
			return err
		}
		if b != nil {
			p.Beyond = append(p.Beyond, *b)
		}
	}
	return nil
}

// Limits of what a page of a restricted view brings: children come along with their
// parents, and all of it must fit a frame with the cards beside it.
const (
	familyBytesMax = wire.FrameBytesMax / 2
	sealBytes      = 192 // a seal, a tag and the item around the body
)

// family gathers a page of a restricted view: records with their children.
type family struct {
	node     *Node
	building record.ID
	view     View
	leaving  bool // the reader may hold children of what left the view
}

// gather splits what was judged into what the reader sees and what it does not, with the
// children of both where the view has any, and ends the page before the record whose
// children would not fit any more.
func (f family) gather(ctx context.Context, all []judged, p *wire.Page) (seen []judged, hidden []record.Key, err error) {
	there := map[record.Key]bool{}
	for _, j := range all {
		there[j.item.Key] = true
	}
	size := 0
	for i, j := range all {
		more := []judged{j}
		if f.view.Children != nil && (j.may || f.leaving) {
			items, err := f.view.Children(ctx, []record.Key{j.item.Key})
			if err != nil {
				return nil, nil, fmt.Errorf("list children of %s: %w", j.item.Key, err)
			}
			items = slices.DeleteFunc(items, func(c FeedItem) bool { return there[c.Key] })
			children, err := f.node.judge(ctx, f.building, f.view, items)
			if err != nil {
				return nil, nil, err
			}
			more = append(more, children...)
		}
		for _, m := range more {
			if size += wire.MarkBytes; m.may {
				size += len(m.item.Body) + sealBytes
			}
		}
		if i > 0 && size > familyBytesMax {
			p.To = all[i-1].item.Position
			break
		}
		for _, m := range more {
			if m.may {
				seen = append(seen, m)
			} else if kind, _ := f.node.Rules.Kind(m.item.Key.Kind); !kind.Secret {
				hidden = append(hidden, m.item.Key) // what is secret was never served to anybody
			}
		}
	}
	return seen, hidden, nil
}

// judged is a record of the feed with the decision on its reader.
type judged struct {
	item   FeedItem
	record record.Record
	may    bool
}

// judge decides which of these records a reader may see. Events and unknown kinds are left
// out: rights to them cannot be judged (SPEC R20).
func (n *Node) judge(ctx context.Context, building record.ID, v View, items []FeedItem) ([]judged, error) {
	var all []judged
	var need Need
	for _, item := range items {
		if item.Event != nil {
			continue
		}
		if _, known := n.Rules.Kind(item.Key.Kind); !known {
			continue
		}
		r, err := record.Decode(item.Body)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, item.Key, err)
		}
		all = append(all, judged{item: item, record: r})
		if parent, ok := n.Rules.Parent(item.Key, r); ok {
			need.Keys = append(need.Keys, parent)
		}
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	have, err := n.Store.Load(ctx, building, need)
	if err != nil {
		return nil, fmt.Errorf("load parents: %w", err)
	}
	for i, j := range all {
		var parent record.Record
		if k, ok := n.Rules.Parent(j.item.Key, j.record); ok {
			parent = have.Records[k].Record
		}
		all[i].may = v.May(j.item.Key, j.record, parent)
	}
	return all, nil
}

// cards adds event 1 of each replica and of its ancestors to a page, with heads: lineage
// decides canonical bytes, so cards precede whatever cites them. The heads reach every
// number that the records cite, and the node vouches for the cards: a phone that replaces
// such a number, or returns the record, proves it to servers that never saw it (SPEC R9).
func (n *Node) cards(ctx context.Context, building record.ID, replicas []record.ReplicaID, p *wire.Page) error {
	slices.SortFunc(replicas, record.ID.Compare)
	replicas = slices.Compact(replicas)
	if len(replicas) == 0 {
		return nil
	}
	have, err := n.Store.Load(ctx, building, Need{Chains: replicas})
	if err != nil {
		return fmt.Errorf("load cards: %w", err)
	}
	ids := make([]record.ReplicaID, 0, len(have.Chains))
	for id := range have.Chains {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, record.ID.Compare)
	later(p, have.Chains)
	tellForks(p, have.Chains)
	for _, id := range ids {
		rows, err := n.Store.Events(ctx, building, id, 1, 1, 1)
		if err != nil {
			return fmt.Errorf("read card: %w", err)
		}
		for _, r := range rows {
			p.Events = append(p.Events, wire.EventItem{Body: r.Body, Replica: r.Replica, N: r.N})
			p.Vouched = append(p.Vouched, record.SignReceipt(n.Key, building, record.Receipt{Replica: r.Replica, N: r.N, Hash: r.Hash}))
		}
		if h := n.head(building, have.Chains[id]); h != nil {
			p.Heads = append(p.Heads, *h)
		}
	}
	return nil
}

// tellForks adds to a page which of these chains have two branches, where this store is rid
// of what is beyond: what it had there comes under other names, on this page or before.
func tellForks(p *wire.Page, chains map[record.ReplicaID]Chain) {
	for id, c := range chains {
		if d := (record.Dot{Replica: id, N: c.Fork - 1}); c.Fork > 0 && c.Fork == c.Cut && !slices.Contains(p.Forks, d) {
			p.Forks = append(p.Forks, d)
		}
	}
	slices.SortFunc(p.Forks, record.Dot.Compare)
}
