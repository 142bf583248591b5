package replica

import (
	"bytes"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// release ends a quarantine where a later state of the record was merged: what is held
// back joins it if it passes now, and may go if the later state includes it. Otherwise it
// stays: after a rewind of the peer it may be nowhere else.
func (a *application) release(l *ledger, out *Applied, c *candidate, q QuarantineRow) {
	if h := held(q); h.code == "" {
		switch code := a.check(l, h); code {
		case "":
			a.take(l, h)
		case wire.CodeChainFork:
			if !a.disentangle(l, h) {
				return
			}
		default:
			if both := merge.Merge(c.record, h.record, l); !equalRecords(both, c.record) {
				return
			}
		}
	}
	l.out.QuarantineOut = append(l.out.QuarantineOut, q)
	out.Ack.Released = append(out.Ack.Released, wire.Quarantined{Kind: q.Key.Kind, ID: q.Key.ID, Code: q.Code})
}

func equalRecords(a, b record.Record) bool {
	x, errX := a.Encode()
	y, errY := b.Encode()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// held makes a candidate of a record that was held back.
func held(q QuarantineRow) *candidate {
	c := new(candidate)
	c.decode(new(record.Decoder), q.Key.Building, &wire.RecordItem{Kind: q.Key.Kind, ID: q.Key.ID, Body: q.Body})
	c.retried, c.claims = true, claims(q.Code) || q.Detail == claimed
	return c
}

// claimed marks what was held back for a number that nobody was known to have signed.
const claimed = "reached a number before its signature"

func claims(code string) bool {
	return code == wire.CodeContextUnsigned || code == wire.CodeReplicaUnknown
}

// take merges a record that passed. What reached a number before its signature had come may
// have been waiting for somebody to write under it: of such a record only the values count,
// and what the sender's own numbers cover. The sender's next state brings the rest.
func (a *application) take(l *ledger, c *candidate) {
	r, body := c.record, c.body
	if c.claims {
		r.Context, body = a.honest(l, r), nil
	}
	l.join(c.key, r, body)
	l.observe(&r)
}

// honest is the part of a record's context that can take away nothing of anybody else: the
// numbers of the sender's own replicas, and those of the values that are there.
func (a *application) honest(l *ledger, r record.Record) record.Context {
	theirs := func(d record.Dot) bool {
		card, ok := l.Card(d.Replica)
		return ok && card.Node == a.peer.Node
	}
	var c record.Context
	for _, d := range r.Context.Vector {
		if theirs(d) {
			c.Vector = append(c.Vector, d)
		}
	}
	for _, d := range r.Context.Dots {
		if theirs(d.Dot) {
			c.Dots = append(c.Dots, d)
		}
	}
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			c.Dots = append(c.Dots, record.FieldDot{Field: f.Name, Dot: s.Dot})
		}
	}
	slices.SortFunc(c.Dots, record.FieldDot.Compare)
	c.Dots = slices.Compact(c.Dots)
	return merge.Normalise(c, l)
}

// heldBack finds the peer's record of a key in the quarantine, unless this decision has
// released it.
func (l *ledger) heldBack(k record.Key) (QuarantineRow, bool) {
	for _, q := range l.quarantined {
		if q.Key == k && !q.Theirs && !slices.ContainsFunc(l.out.QuarantineOut, func(o QuarantineRow) bool { return o.Key == k }) {
			return q, true
		}
	}
	return QuarantineRow{}, false
}

// retry looks again at records of this peer that were held back: what they waited for may
// be here now. What broke the store is tried by itself (again).
func (a *application) retry(l *ledger, out *Applied) {
	for _, q := range l.quarantined {
		// What a fork holds back waits for its sender's remedy, unless it lies below the fork.
		if q.Theirs || q.Code == wire.CodeStoreFailed || q.Code == wire.CodeChainFork && !l.below(q) || l.fresh(q.Key) {
			a.failed = a.failed || !q.Theirs && q.Code == wire.CodeStoreFailed
			continue
		}
		if _, waits := l.heldBack(q.Key); waits {
			a.merge(l, out, held(q))
		}
	}
}

// below reports whether what was held back while a fork was suspected turns out to lie below
// it: its sender has nothing to mend, and may never send it again.
func (l *ledger) below(q QuarantineRow) bool {
	decided := false
	for _, d := range numbers(held(q).record) {
		c := l.chains[d.Replica]
		if c.beyond(d.N) {
			return false
		}
		decided = decided || c != nil && c.Fork > 0
	}
	return decided
}

// fresh reports whether the decision has just quarantined this key anew.
func (l *ledger) fresh(k record.Key) bool {
	return slices.ContainsFunc(l.out.Quarantine, func(q QuarantineRow) bool { return q.Key == k })
}

// quarantine holds a record back, joined with what is held back of it already.
func (a *application) quarantine(l *ledger, out *Applied, c candidate) {
	row := QuarantineRow{Key: c.key, Peer: a.peer.Node, Code: c.code, Since: l.now, Body: c.body}
	if c.claims || claims(c.code) {
		row.Detail = claimed
	}
	if q, ok := l.heldBack(c.key); ok {
		row.Since = q.Since
		if h := held(q); h.code == "" {
			if h.claims {
				row.Detail = claimed // what is joined here keeps its worst part's mark
			}
			row.Body = q.Body
			if body, err := merge.Merge(h.record, c.record, l).Encode(); err == nil {
				row.Body = body
			}
		}
	}
	if len(row.Body) > record.RecordBytesMax {
		row.Body = nil // beyond the limit of any record; the peer keeps it and is told
	}
	l.out.Quarantine = append(l.out.Quarantine, row)
	out.Ack.Quarantined = append(out.Ack.Quarantined, wire.Quarantined{Kind: c.key.Kind, ID: c.key.ID, Code: c.code})
}
