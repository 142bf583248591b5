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
func (a *application) release(l *ledger, out *Applied, c candidate, q QuarantineRow) {
	if h := held(q); h.code == "" {
		if a.check(l, h) == "" {
			l.join(h.key, h.record)
			l.observe(h.record)
		} else if both := merge.Merge(c.record, h.record, l); !equalRecords(both, c.record) {
			return
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
func held(q QuarantineRow) candidate {
	c := decodeRecord(q.Key.Building, wire.RecordItem{Kind: q.Key.Kind, ID: q.Key.ID, Body: q.Body})
	c.retried = true
	return c
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
		if q.Theirs || q.Code == wire.CodeStoreFailed || l.fresh(q.Key) {
			a.failed = a.failed || !q.Theirs && q.Code == wire.CodeStoreFailed
			continue
		}
		if _, waits := l.heldBack(q.Key); waits {
			a.merge(l, out, held(q))
		}
	}
}

// fresh reports whether the decision has just quarantined this key anew.
func (l *ledger) fresh(k record.Key) bool {
	return slices.ContainsFunc(l.out.Quarantine, func(q QuarantineRow) bool { return q.Key == k })
}

// quarantine holds a record back, joined with what is held back of it already.
func (a *application) quarantine(l *ledger, out *Applied, c candidate) {
	row := QuarantineRow{Key: c.key, Peer: a.peer.Node, Code: c.code, Since: l.now, Body: c.body}
	if q, ok := l.heldBack(c.key); ok {
		row.Since = q.Since
		if h := held(q); h.code == "" {
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
