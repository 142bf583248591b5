package replica

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// quarantineRetry is how many held-back records a page tries again: what they waited for
// may have come with it.
const quarantineRetry = 64

// Applied says what became of a page. Everything in it is durable.
type Applied struct {
	// Ack is to be sent to the peer.
	Ack wire.Ack
	// Echoes are positions of this node's feed that hold exactly what the peer sent: they
	// need not go back to it in this session.
	Echoes []uint64
	// Wants are events to ask the peer for.
	Wants []wire.Want
	// Held is how far the chains of the page's events are held now; the peer holds them too.
	Held map[record.ReplicaID]uint64
	// Alarms are codes that an operator must see, such as chain_fork.
	Alarms []string
}

// candidate is a record of a page or of the quarantine, decoded before the lock is taken.
type candidate struct {
	key     record.Key
	body    []byte
	record  record.Record
	code    string // why it cannot even be looked at
	retried bool
}

// ApplyPage merges a peer's page in one transaction. A page that fails is split until the
// bad record is alone; that one is quarantined with its bytes, and the rest goes on
// (SPEC R14). It returns ErrBusy when the store cannot take anything now, and a Refusal
// when the page as a whole does not fit.
func (n *Node) ApplyPage(ctx context.Context, building record.ID, peer Peer, p wire.Page) (Applied, error) {
	if len(p.Events) > 2*wire.PageItemsMax || len(p.Records) > 2*wire.PageItemsMax || len(p.Heads) > wire.HeldMax || len(p.Receipts) > wire.HeldMax {
		return Applied{}, refuse(wire.CodeFrameTooLarge, "page of %d events and %d records", len(p.Events), len(p.Records))
	}
	events, codes := decodeEvents(building, p.Events)
	events, distrusted, err := n.trustCards(ctx, building, events)
	if err != nil {
		return Applied{}, err
	}
	candidates := make([]candidate, len(p.Records))
	for i, item := range p.Records {
		candidates[i] = decodeRecord(building, item)
	}
	a := &application{node: n, building: building, peer: peer, page: p, events: events, alarms: append(codes, distrusted...)}
	if err := a.run(ctx, candidates, true); err != nil {
		return Applied{}, err
	}
	if err := a.receipts(ctx); err != nil {
		return Applied{}, err
	}
	a.out.Ack.Page, a.out.Ack.To, a.out.Ack.Time = p.ID, p.To, n.Now()
	a.out.Alarms = append(a.alarms, a.out.Alarms...)
	return a.out, nil
}

func decodeRecord(building record.ID, item wire.RecordItem) candidate {
	c := candidate{key: record.Key{Building: building, Kind: item.Kind, ID: item.ID}, body: item.Body}
	var err error
	if c.record, err = record.Decode(item.Body); err != nil || item.Kind == "" || len(item.Kind) > record.FieldNameMax || item.ID.IsZero() {
		c.code = wire.CodeRecordMalformed
	}
	return c
}

// trustCards drops cards that name a node which may not act in its tier: a forged edge or
// cloud. A phone's card proves itself, and its writes are admitted one by one.
func (n *Node) trustCards(ctx context.Context, building record.ID, in []incoming) (out []incoming, codes []string, err error) {
	for _, e := range in {
		if c := e.event.Card; c != nil && c.Tier != record.TierPhone && c.Node != n.ID() {
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
	events   []incoming
	alarms   []string
	// phones are the replicas whose settled number may have risen with the page's records.
	phones []record.ReplicaID
	out    Applied
}

// receipts signs, after commit, what this node now holds of the chains that the page moved.
func (a *application) receipts(ctx context.Context) error {
	ids := slices.Clone(a.phones)
	for _, e := range a.events {
		ids = append(ids, e.row.Replica)
	}
	receipts, err := a.node.receipts(ctx, a.building, ids)
	if err != nil {
		return err
	}
	a.out.Ack.Receipts = receipts
	a.out.Held = map[record.ReplicaID]uint64{}
	for _, r := range receipts {
		a.out.Held[r.Replica] = r.N
	}
	return nil
}

// receipts states what this node holds of chains, signed. The cloud also says up to where
// a phone's transactions are settled: every part is in its record's context here, or was
// refused (SPEC R13).
func (n *Node) receipts(ctx context.Context, building record.ID, ids []record.ReplicaID) ([]record.Receipt, error) {
	slices.SortFunc(ids, record.ID.Compare)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, nil
	}
	have, err := n.Store.Load(ctx, building, Need{Chains: ids, Unsettled: ids})
	if err != nil {
		return nil, fmt.Errorf("load chains for receipts: %w", err)
	}
	var out []record.Receipt
	for _, id := range ids {
		c, ok := have.Chains[id]
		if !ok || c.Held == 0 {
			continue
		}
		r := record.Receipt{Replica: id, N: c.Held, Hash: c.Hash}
		if n.Tier == record.TierCloud {
			r.Settled = c.Held
			if lowest, open := have.Unsettled[id]; open {
				r.Settled = min(r.Settled, lowest-1)
			}
		}
		out = append(out, record.SignReceipt(n.Key, building, r))
	}
	return out, nil
}

// run applies records in one transaction, and in halves where that fails. whole carries
// the page's events, heads, receipts and cursor and is tried first with all of it.
func (a *application) run(ctx context.Context, records []candidate, whole bool) error {
	got, err := a.once(ctx, records, whole, nil)
	switch {
	case err == nil:
		a.add(got)
		return nil
	case ctx.Err() != nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrCorrupt) || RefusalCode(err) != "":
		return err
	case whole && len(records) > 0:
		// The cursor moves only when every part is stored, so it goes last.
		if err := a.run(ctx, records, false); err != nil {
			return err
		}
		return a.run(ctx, nil, true)
	case len(records) > 1:
		if err := a.run(ctx, records[:len(records)/2], false); err != nil {
			return err
		}
		return a.run(ctx, records[len(records)/2:], false)
	case len(records) == 1:
		bad := records[0]
		bad.code = wire.CodeStoreFailed
		got, err := a.once(ctx, nil, false, []candidate{bad})
		if err == nil {
			a.add(got)
		}
		return err
	}
	return err
}

func (a *application) add(got Applied) {
	a.out.Echoes = append(a.out.Echoes, got.Echoes...)
	a.out.Ack.Quarantined = append(a.out.Ack.Quarantined, got.Ack.Quarantined...)
	a.out.Ack.Released = append(a.out.Ack.Released, got.Ack.Released...)
	a.out.Alarms = append(a.out.Alarms, got.Alarms...)
	if got.Wants != nil {
		a.out.Wants = got.Wants
	}
}

// once is one transaction of the application.
func (a *application) once(ctx context.Context, records []candidate, whole bool, bad []candidate) (Applied, error) {
	var out Applied
	need, chains := a.need(records, whole)
	err := a.node.step(ctx, a.building, need, chains, func(l *ledger) error {
		out = Applied{}
		if whole {
			if err := a.open(l, &out); err != nil {
				return err
			}
		}
		for _, c := range bad {
			a.quarantine(l, &out, c)
		}
		for _, c := range records {
			a.merge(l, &out, c)
		}
		if whole || len(records) > 0 {
			a.retry(l, &out)
		}
		if whole {
			out.Wants = l.gaps()
			a.close(l)
		}
		return nil
	}, func(l *ledger) { a.echoes(l, &out, records) })
	return out, err
}

func (a *application) need(records []candidate, whole bool) (Need, []record.ReplicaID) {
	need := Need{Peer: a.peer.Node, Quarantine: quarantineRetry}
	var chains []record.ReplicaID
	for _, c := range records {
		need.Keys = append(need.Keys, c.key)
		for _, d := range c.record.Context.Reaches() {
			chains = append(chains, d.Replica)
		}
	}
	if whole {
		for _, e := range a.events {
			need.Events = append(need.Events, e.event.Dot())
			chains = append(chains, e.row.Replica)
			for _, t := range e.event.Touches {
				need.Keys = append(need.Keys, record.Key{Building: a.building, Kind: t.Kind, ID: t.ID})
			}
			for _, r := range e.event.Refusals {
				need.Keys = append(need.Keys, record.Key{Building: a.building, Kind: r.Kind, ID: r.ID})
			}
		}
		for _, h := range a.page.Heads {
			need.Events = append(need.Events, record.Dot{Replica: h.Replica, N: h.N})
			chains = append(chains, h.Replica)
		}
		for _, r := range a.page.Receipts {
			need.Events = append(need.Events, record.Dot{Replica: r.Replica, N: r.N})
			chains = append(chains, r.Replica)
		}
	}
	slices.SortFunc(chains, record.ID.Compare)
	chains = slices.Compact(chains)
	if whole {
		need.Waiting = chains
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	return need, chains
}

// open admits what precedes the records: events, heads, receipts.
func (a *application) open(l *ledger, out *Applied) error {
	if a.page.To > 0 && a.page.From > 0 {
		at := l.cursor
		if at.Generation != a.page.Generation || at.View != a.page.View || at.Position < a.page.From {
			return refuse(wire.CodeFrameUnexpected, "page from %d does not follow %d", a.page.From, at.Position)
		}
	}
	for _, e := range a.events {
		if code := l.admitEvent(e); code != "" {
			out.Alarms = append(out.Alarms, code)
		}
	}
	for _, h := range a.page.Heads {
		if code := l.admitHead(h); code != "" {
			out.Alarms = append(out.Alarms, code)
		}
	}
	for _, r := range a.page.Receipts {
		if code := l.admitReceipt(r, a.peer); code != "" {
			out.Alarms = append(out.Alarms, code)
		}
	}
	return nil
}

// close moves the cursor to the end of the contiguous prefix.
func (a *application) close(l *ledger) {
	if a.page.To > 0 {
		at := wire.Cursor{Generation: a.page.Generation, View: a.page.View, Position: a.page.To}
		old := l.cursor
		if old.Generation != at.Generation || old.View != at.View || old.Position < at.Position {
			l.out.Cursor = &PeerCursor{Peer: a.peer.Node, Cursor: at}
		}
	}
}

// merge takes one record in, or holds it back.
func (a *application) merge(l *ledger, out *Applied, c candidate) {
	if c.code == "" {
		c.code = a.check(l, c)
	}
	if c.code != "" {
		a.quarantine(l, out, c)
		return
	}
	l.join(c.key, c.record)
	l.observe(c.record)
	for _, q := range l.quarantined {
		if q.Key == c.key && !q.Theirs {
			l.out.QuarantineOut = append(l.out.QuarantineOut, q)
			out.Ack.Released = append(out.Ack.Released, wire.Quarantined{Kind: q.Key.Kind, ID: q.Key.ID, Code: q.Code})
		}
	}
}

// retry looks again at records of this peer that were held back: what they waited for may
// be here now.
func (a *application) retry(l *ledger, out *Applied) {
	for _, q := range l.quarantined {
		if q.Theirs || slices.ContainsFunc(l.out.QuarantineOut, func(o QuarantineRow) bool { return o.Key == q.Key }) || l.fresh(q.Key) {
			continue
		}
		c := decodeRecord(a.building, wire.RecordItem{Kind: q.Key.Kind, ID: q.Key.ID, Body: q.Body})
		c.retried = true
		if c.code == "" && a.check(l, c) == "" {
			a.merge(l, out, c)
		}
	}
}

// fresh reports whether the decision has just quarantined this key anew.
func (l *ledger) fresh(k record.Key) bool {
	return slices.ContainsFunc(l.out.Quarantine, func(q QuarantineRow) bool { return q.Key == k })
}

func (a *application) quarantine(l *ledger, out *Applied, c candidate) {
	body := c.body
	if len(body) > record.RecordBytesMax {
		body = nil // beyond the limit of any record; the peer keeps it and is told
	}
	l.out.Quarantine = append(l.out.Quarantine, QuarantineRow{Key: c.key, Peer: a.peer.Node, Code: c.code, Since: l.now, Body: body})
	out.Ack.Quarantined = append(out.Ack.Quarantined, wire.Quarantined{Kind: c.key.Kind, ID: c.key.ID, Code: c.code})
}

// check is what the upper tier asks of a lower one's record: kinds that it may write,
// schema, honest time, and that every number its context reaches was signed by that
// replica's own node (SPEC R9, R16). The lower tier trusts the upper.
func (a *application) check(l *ledger, c candidate) string {
	if a.peer.Tier <= l.node.Tier {
		return ""
	}
	for _, d := range c.record.Context.Reaches() {
		if code := l.signedTo(d); code != "" {
			return code
		}
	}
	kind, known := l.node.Rules.Kind(c.key.Kind)
	stored := l.work(c.key).record
	for _, f := range c.record.Fields {
		for _, s := range f.Siblings {
			if slices.ContainsFunc(stored.Siblings(f.Name), identical(s)) {
				continue
			}
			if hlc.Ahead(s.Stamp, l.now) {
				return wire.CodeClockAhead
			}
			if known && !kind.EdgeWrites && !l.fromCloud(s.Dot.Replica) {
				return wire.CodeKindNotYours
			}
			if !merge.Covers(c.record.Context, f.Name, s.Dot, l) {
				return wire.CodeRecordMalformed
			}
			if code := l.node.Rules.Validate(c.key.Kind, f.Name, s.Value); code != "" {
				return code
			}
		}
	}
	if known && !kind.EdgeWrites && !l.onlyCloud(c.record.Context) {
		return wire.CodeKindNotYours
	}
	return ""
}

func (l *ledger) fromCloud(r record.ReplicaID) bool {
	card, ok := l.Card(r)
	return ok && card.Tier == record.TierCloud
}

func (l *ledger) onlyCloud(c record.Context) bool {
	return !slices.ContainsFunc(c.Reaches(), func(d record.Dot) bool { return !l.fromCloud(d.Replica) })
}

// echoes lists the positions whose bytes are what the peer sent.
func (a *application) echoes(l *ledger, out *Applied, records []candidate) {
	written := map[record.Key]RecordRow{}
	for _, row := range l.out.Records {
		written[row.Key] = row
	}
	for _, c := range records {
		for _, t := range l.work(c.key).touches {
			a.phones = append(a.phones, t.Dot.Replica)
		}
		if row, ok := written[c.key]; ok {
			if bytes.Equal(row.Body, c.body) {
				out.Echoes = append(out.Echoes, row.Position)
			}
		} else if w := l.records[c.key]; w != nil && bytes.Equal(w.stored.Body, c.body) {
			out.Echoes = append(out.Echoes, w.stored.Position)
		}
	}
}
