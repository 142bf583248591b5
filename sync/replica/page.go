package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// quarantineRetry is how many held-back records a page tries again: what they waited for
// may have come with it. It is far beyond any quarantine that an operator leaves alone:
// what lies beyond it waits for its turn, and a newer state of it is not joined to it.
const quarantineRetry = 1024

// Applied says what became of a page. Everything in it is durable.
type Applied struct {
	// Ack is to be sent to the peer.
	Ack wire.Ack
	// Echoes are positions of this node's feed that hold exactly what the peer sent: they
	// need not go back to it in this session.
	Echoes []uint64
	// Since and Until are the positions (Since, Until] of this node's feed that this page
	// took, where they hold nothing that the peer did not send; else both are zero.
	Since, Until uint64
	// Wants are events to ask the peer for.
	Wants []wire.Want
	// Held is how far the peer holds the chains of the page's events. This node may hold
	// more of them, by another way.
	Held map[record.ReplicaID]uint64
	// Alarms are codes that an operator must see, such as chain_fork.
	Alarms []string
	// Forked says that this node decided on a fork and did its part of the remedy, or that it
	// found one that its peer must decide on: a new hello tells.
	Forked bool
}

// Event is the end of the effect that had a page applied.
func (a Applied) Event() PageApplied {
	return PageApplied{Ack: a.Ack, Echoes: a.Echoes, Since: a.Since, Until: a.Until, Wants: a.Wants, Held: a.Held, Forked: a.Forked}
}

// candidate is a record of a page or of the quarantine, decoded before the lock is taken.
type candidate struct {
	key     record.Key
	body    []byte
	record  record.Record
	code    string // why it cannot even be looked at
	retried bool
	claims  bool // it was held back for a number that nobody was known to have signed
}

// ApplyPage merges a peer's page in one transaction. A page that fails is split until the
// bad record is alone; that one is quarantined with its bytes, and the rest goes on
// (SPEC R14). It returns ErrBusy when the store cannot take anything now, and a Refusal
// when the page as a whole does not fit.
func (n *Node) ApplyPage(ctx context.Context, building record.ID, peer Peer, p wire.Page) (Applied, error) {
	return n.ApplyContent(ctx, building, peer, p, nil, nil)
}

// ApplyContent is ApplyPage for a page whose content was read ahead; nil to read it now.
// decided, where given, is called once, in the transaction and while nothing of it is durable,
// when all of the page is decided and only to be written: whoever applies the next page from
// then on comes behind this one. It must not wait for anything.
func (n *Node) ApplyContent(ctx context.Context, building record.ID, peer Peer, p wire.Page, content *Content, decided func()) (Applied, error) {
	if len(p.Events) > 2*wire.PageItemsMax || len(p.Records) > 2*wire.PageItemsMax || len(p.Heads) > wire.HeldMax || len(p.Receipts) > wire.HeldMax {
		return Applied{}, refuse(wire.CodeFrameTooLarge, "page of %d events and %d records", len(p.Events), len(p.Records))
	}
	if !content.of(building, p) {
		content = ReadContent(building, p)
	}
	events, distrusted, err := n.trustCards(ctx, building, peer, content.events)
	if err != nil {
		return Applied{}, err
	}
	if s, ok := n.Store.(Overlapper); !ok || !s.Overlaps() {
		decided = nil
	}
	candidates := content.records
	a := &application{node: n, building: building, peer: peer, page: p, events: events, alarms: slices.Concat(content.codes, distrusted), decided: decided}
	if err := a.withCited(ctx, func() error { return a.run(ctx, candidates) }); err != nil {
		return Applied{}, err
	}
	if err := a.withCited(ctx, func() error { return a.again(ctx) }); err != nil {
		return Applied{}, err
	}
	if a.cuts {
		if err := n.cut(ctx, building); err != nil {
			return Applied{}, err
		}
	}
	if len(a.astray) > 0 {
		wants, err := n.reclaim(ctx, building, a.astray, lastOf(a.events))
		if err != nil {
			return Applied{}, err
		}
		a.out.Wants = append(a.out.Wants, wants...)
	}
	if err := a.receipts(ctx); err != nil {
		return Applied{}, err
	}
	a.out.Ack.Page, a.out.Ack.To = p.ID, p.To
	a.out.Alarms = append(a.alarms, a.out.Alarms...)
	return a.out, nil
}

func (c *candidate) decode(d *record.Decoder, building record.ID, item *wire.RecordItem) {
	c.key, c.body = record.Key{Building: building, Kind: item.Kind, ID: item.ID}, item.Body
	var err error
	if c.record, err = d.Record(item.Body); err != nil || item.Kind == "" || len(item.Kind) > record.FieldNameMax || item.ID.IsZero() {
		c.code = wire.CodeRecordMalformed
	}
}

// trustCards drops cards that name a node which may not act in its tier: a forged edge or
// cloud. A phone's card proves itself, and its writes are admitted one by one. The upper tier
// vouches for the edges whose cards it passes on.
func (n *Node) trustCards(ctx context.Context, building record.ID, peer Peer, in []*incoming) (out []*incoming, codes []string, err error) {
	if !slices.ContainsFunc(in, func(e *incoming) bool { return e.event.Card != nil }) {
		return in, nil, nil
	}
	self := n.ID()
	for _, e := range in {
		if c := e.event.Card; c != nil && c.Tier != record.TierPhone && c.Node != self && (c.Tier == record.TierCloud || peer.Tier >= n.Tier) {
			ok, err := n.Trusted(ctx, building, c.Node, c.Tier)
			if err != nil {
				return nil, nil, fmt.Errorf("look up node %s: %w", c.Node, err)
			}
			if !ok {
				codes = append(codes, wire.CodeNodeUnknown)
				continue
			}
		}
		out = append(out, e)
	}
	return out, codes, nil
}

// application is one page being applied, possibly in parts.
type application struct {
	node     *Node
	building record.ID
	peer     Peer
	page     wire.Page
	events   []*incoming
	alarms   []string
	// phones are the replicas whose settled number may have risen with the page's records.
	phones []record.ReplicaID
	failed bool // something of the peer's broke the store before
	cuts   bool // a fork was marked, and its remedy is to be done
	// astray are heads of own branches of which something may have to be written again.
	astray []record.Head
	// suspects are replicas of which the page's events are others than the ones held.
	suspects map[record.ReplicaID]bool
	// own are this node's events that records of the page cite, as far as they are held, and
	// cited are those still to be read.
	own   map[record.Dot]*record.Event
	cited []record.Dot
	// chains is how the transaction of the whole page left chains that are not phones'; nil
	// where there was more than one. It may be run again, which fills it anew.
	chains map[record.ReplicaID]Chain
	// decided is to be called when the page is; nil from then on.
	decided func()
	out     Applied
}

// part is what one transaction of the application does, in this order.
type part struct {
	open    bool // events, heads and receipts
	records []*candidate
	bad     []*candidate // to be quarantined
	retry   bool         // look again at what is held back
	close   bool         // move the cursor
}

// run applies the page in one transaction. Where that fails, it opens the page, merges its
// records in halves until the bad ones are alone, and moves the cursor last: cards still
// precede what cites them, and nothing is passed by.
func (a *application) run(ctx context.Context, records []*candidate) error {
	err := a.do(ctx, part{open: true, records: records, retry: true, close: true})
	if err == nil || final(ctx, err) {
		return err
	}
	if err := a.do(ctx, part{open: true}); err != nil {
		return err
	}
	if err := a.halve(ctx, records); err != nil {
		return err
	}
	return a.do(ctx, part{close: true})
}

func (a *application) halve(ctx context.Context, records []*candidate) error {
	if len(records) == 0 {
		return nil
	}
	err := a.do(ctx, part{records: records})
	if err == nil || final(ctx, err) {
		return err
	}
	if len(records) == 1 {
		bad := *records[0]
		bad.code = wire.CodeStoreFailed
		return a.do(ctx, part{bad: []*candidate{&bad}})
	}
	if err := a.halve(ctx, records[:len(records)/2]); err != nil {
		return err
	}
	return a.halve(ctx, records[len(records)/2:])
}

// again tries records that the store could not take before, each by itself, so that one
// that still breaks the store breaks nothing else.
func (a *application) again(ctx context.Context) error {
	if !a.failed {
		return nil
	}
	have, err := a.node.Store.Load(ctx, a.building, Need{Peer: a.peer.Node, Quarantine: quarantineRetry})
	if err != nil {
		return fmt.Errorf("load quarantine: %w", err)
	}
	for _, q := range have.Quarantine {
		fresh := slices.ContainsFunc(a.out.Ack.Quarantined, func(w wire.Quarantined) bool { return w.Kind == q.Key.Kind && w.ID == q.Key.ID })
		if q.Theirs || q.Code != wire.CodeStoreFailed || fresh {
			continue
		}
		if err := a.do(ctx, part{records: []*candidate{held(q)}}); err != nil && final(ctx, err) {
			return err
		}
	}
	return nil
}

// final reports whether a smaller part would fail as well.
func final(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, errCited) || errors.Is(err, ErrBusy) || errors.Is(err, ErrUnsure) || errors.Is(err, ErrCorrupt) || RefusalCode(err) != ""
}

func (a *application) do(ctx context.Context, p part) error {
	out, err := a.once(ctx, p)
	if err == nil {
		a.add(out)
	}
	return err
}

func (a *application) add(got Applied) {
	a.out.Echoes = append(a.out.Echoes, got.Echoes...)
	a.out.Ack.Quarantined = append(a.out.Ack.Quarantined, got.Ack.Quarantined...)
	a.out.Ack.Released = append(a.out.Ack.Released, got.Ack.Released...)
	a.out.Ack.Time = got.Ack.Time
	a.out.Since, a.out.Until = got.Since, got.Until // of the last part, which is the page or nothing
	a.out.Alarms = append(a.out.Alarms, got.Alarms...)
	if got.Wants != nil {
		a.out.Wants = got.Wants
	}
	a.out.Forked = a.out.Forked || got.Forked
}

// once is one transaction of the application.
func (a *application) once(ctx context.Context, p part) (Applied, error) {
	var out Applied
	// What is held back is joined with what is held back already: that takes the same knowledge.
	need, chains := a.need(append(slices.Clip(p.records), p.bad...), p.open)
	err := a.node.step(ctx, a.building, need, chains, func(l *ledger) error {
		out = Applied{Ack: wire.Ack{Time: l.now}}
		if p.open || p.close {
			if err := a.follows(l); err != nil {
				return err
			}
		}
		if p.open {
			a.open(l, &out)
		}
		for _, c := range p.bad {
			a.quarantine(l, &out, *c)
		}
		l.expect(len(p.records))
		for _, c := range p.records {
			a.merge(l, &out, c)
		}
		if p.retry {
			a.retry(l, &out)
		}
		if p.open {
			out.Wants = append(out.Wants, l.gaps()...)
			out.Forked = l.forks.ends
			for _, h := range l.forks.heads {
				l.astray(&h)
			}
			a.astray = l.forks.astray
		}
		a.cuts = a.cuts || l.forks.marked || l.uncut()
		if p.close {
			a.close(l)
		}
		if len(a.cited) > 0 {
			return errCited
		}
		return nil
	}, func(l *ledger) {
		a.chains = nil
		if p.open && p.close {
			a.chains = l.ofServers()
		}
		if a.echoes(l, &out, p.records) && p.open && p.close && a.page.To > 0 {
			out.Since, out.Until = l.before.Position, l.state.Position
		}
		if p.open && p.close && !a.cuts && a.decided != nil {
			a.decided()
			a.decided = nil
		}
	})
	return out, err
}

func (a *application) need(records []*candidate, open bool) (Need, []record.ReplicaID) {
	need := Need{Peer: a.peer.Node, Quarantine: quarantineRetry}
	var chains []record.ReplicaID
	var touched []record.Key
	cite := func(r record.ReplicaID) {
		if n := len(chains); n == 0 || chains[n-1] != r {
			chains = append(chains, r)
		}
	}
	need.HeldBack = make([]record.Key, 0, len(records))
	for _, c := range records {
		need.HeldBack = append(need.HeldBack, c.key)
		for _, d := range c.record.Context.Vector {
			cite(d.Replica)
		}
		for _, d := range c.record.Context.Dots {
			cite(d.Dot.Replica)
		}
	}
	if open {
		need.Events = make([]record.Dot, 0, 2*len(a.events)+len(a.page.Heads)+len(a.page.Receipts))
		need.Events = append(need.Events, below(a.events)...)
		touched = make([]record.Key, 0, len(a.events))
		for _, in := range a.events {
			e := &in.event
			forkNeeds(e, &need, &chains)
			need.Events = append(append(need.Events, e.Dot()), predecessor(e)...)
			cite(e.Replica)
			if e.Card != nil && e.Card.Predecessor.N > 0 {
				cite(e.Card.Predecessor.Replica)
			}
			touched = appendKeys(touched, a.building, e)
		}
		for _, h := range a.page.Heads {
			need.Events = append(need.Events, record.Dot{Replica: h.Replica, N: h.N})
			cite(h.Replica)
		}
		for _, r := range a.page.Receipts {
			need.Events = append(need.Events, record.Dot{Replica: r.Replica, N: r.N})
			cite(r.Replica)
		}
	}
	slices.SortFunc(chains, record.ID.Compare)
	chains = slices.Compact(chains)
	if open {
		need.Waiting = chains
	}
	need.Keys = union(ordered(slices.Clone(need.HeldBack)), ordered(touched))
	return need, chains
}

// ordered sorts keys where they do not come in order, as they nearly always do.
func ordered(keys []record.Key) []record.Key {
	if !slices.IsSortedFunc(keys, record.Key.Compare) {
		slices.SortFunc(keys, record.Key.Compare)
	}
	return keys
}

// union merges sorted keys, each once.
func union(a, b []record.Key) []record.Key {
	out := make([]record.Key, 0, max(len(a), len(b)))
	for len(a)+len(b) > 0 {
		from := &a
		if len(a) == 0 || len(b) > 0 && b[0].Compare(a[0]) < 0 {
			from = &b
		}
		if n := len(out); n == 0 || out[n-1] != (*from)[0] {
			out = append(out, (*from)[0])
		}
		*from = (*from)[1:]
	}
	return out
}

// follows holds the page to the cursor: only the end of the contiguous prefix moves it.
func (a *application) follows(l *ledger) error {
	if !a.page.Reader.IsZero() && a.page.Reader != l.boot {
		return refuse(wire.CodeFrameUnexpected, "page for an earlier run of this store")
	}
	if a.page.To > 0 && a.page.From > 0 {
		at := l.cursor
		if at.Generation != a.page.Generation || at.View != a.page.View || at.Position < a.page.From {
			return refuse(wire.CodeFrameUnexpected, "page from %d does not follow %d", a.page.From, at.Position)
		}
	}
	return nil
}

// open admits what precedes the records: events, heads, receipts.
func (a *application) open(l *ledger, out *Applied) {
	l.ownSigned = a.ownSigned()
	if a.peer.Tier > l.node.Tier {
		l.forks.from = a.peer.Node
	}
	l.out.Events = slices.Grow(l.out.Events, len(a.events))
	for _, e := range a.events {
		e.row.New = true // as need asked; admitEvent drops what is there, whenever this runs
		if code := l.admitEvent(e); code != "" {
			out.Alarms = append(out.Alarms, code)
			continue
		}
		// What the tier above sends it holds, and will not be asked to take.
		l.receipted(l.chain(e.row.Replica), a.peer, e.row.N)
	}
	for _, h := range a.page.Heads {
		if code := l.admitHead(h); code != "" {
			out.Alarms = append(out.Alarms, code)
		}
	}
	l.believeProven()
	a.suspects = l.judge(out, a.page.To > 0)
	for _, r := range a.page.Receipts {
		if code := l.admitReceipt(r, a.peer); code != "" {
			out.Alarms = append(out.Alarms, code)
		}
	}
}

// close moves the cursor to the end of the contiguous prefix. It moves back where its sender
// found it to be of another feed: a session that ends before the pass does must not bring it
// up again (SPEC R12).
func (a *application) close(l *ledger) {
	if a.page.To > 0 {
		at := wire.Cursor{Generation: a.page.Generation, View: a.page.View, Position: a.page.To}
		old := l.cursor
		if old.Generation != at.Generation || old.View != at.View || old.Position < at.Position || a.page.Anew {
			l.out.Cursor = &PeerCursor{Peer: a.peer.Node, Cursor: at}
		}
	}
}

// merge takes one record in, or holds it back.
func (a *application) merge(l *ledger, out *Applied, c *candidate) {
	code := c.code
	if code == "" {
		code = a.check(l, c)
	}
	if code != "" {
		switch {
		case !c.retried || claims(code) && !c.claims:
			bad := *c
			bad.code = code
			a.quarantine(l, out, bad)
		case code == wire.CodeClockAhead:
			// Told again until the peer has corrected its clock: an answer may be lost.
			out.Ack.Quarantined = append(out.Ack.Quarantined, wire.Quarantined{Kind: c.key.Kind, ID: c.key.ID, Code: code})
		}
		return
	}
	a.take(l, c)
	if q, ok := l.heldBack(c.key); ok {
		a.release(l, out, c, q)
	}
}

// echoes lists the positions whose bytes are what the peer sent, and reports whether these
// and events of the page are all that the decision gave a position.
func (a *application) echoes(l *ledger, out *Applied, records []*candidate) (all bool) {
	others := len(l.out.Records)
	out.Echoes = make([]uint64, 0, len(records))
	for _, c := range records {
		w := l.work(c.key)
		for _, t := range w.touches {
			a.phones = append(a.phones, t.Dot.Replica)
		}
		if c.retried {
			continue // sent in an earlier session: a peer that was rewound since may not hold it
		}
		if w.row > 0 {
			row := &l.out.Records[w.row-1]
			if !w.echo && bytes.Equal(row.Body, c.body) {
				out.Echoes = append(out.Echoes, row.Position)
				w.echo = true
				others--
			}
		} else if bytes.Equal(w.stored.Body, c.body) {
			out.Echoes = append(out.Echoes, w.stored.Position)
		}
	}
	for i := range l.out.Events {
		if e := &l.out.Events[i]; e.Position > 0 && !e.New {
			return false
		}
	}
	return others == 0
}
