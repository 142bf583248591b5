package sqlitestore

import (
	"context"
	"hash/maphash"

	"estate/internal/desk"
	"estate/internal/projection"
)

// probe knows of most leads of a shape that no record has them. Each is added before anybody
// can see the commit that it comes with.
type probe struct {
	bits   projection.Leads
	filled bool
}

// lead is one that a commit brings.
type lead struct {
	of   kindOf
	hash uint64
}

// brings notes the lead of a saved row. What a failed call brings does no harm.
func (t *transaction) brings(table tableText, args []any) {
	if table.probed < 0 {
		return
	}
	if value, ok := args[len(args)-len(table.Columns)+table.probed].(string); ok {
		t.session.changes.leads = append(t.session.changes.leads, lead{kindOf{t.building, table.Kind}, maphash.String(t.hot.seed, value)})
	}
}

// brought takes what a commit brings. The lock is held.
func (h *hot) brought(leads []lead) {
	for _, l := range leads {
		if b := h.buildings[l.of.building]; b != nil && b.probes[l.of.kind] != nil {
			b.probes[l.of.kind].bits.Add(l.hash)
		}
	}
}

// absent reports whether it is certain that no record has a lead. fill is where a probe is
// to be filled, by whoever gets it.
func (h *hot) absent(of kindOf, value string) (absent bool, fill *probe) {
	hash := maphash.String(h.seed, value)
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.at(of.building)
	p := b.probes[of.kind]
	if p == nil {
		p = &probe{bits: projection.NewLeads()}
		b.probes[of.kind] = p
		return false, p
	}
	return p.filled && !p.bits.Has(hash), nil
}

// fill adds what a snapshot found that began after the probe was made.
func (h *hot) fill(p *probe, hashes []uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hash := range hashes {
		p.bits.Add(hash)
	}
	p.filled = true
}

// dropProbe has the next one try to fill it.
func (h *hot) dropProbe(of kindOf) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.at(of.building).probes, of.kind)
}

// nothing reports whether it is certain that a selection finds nothing.
func (q *Queries) nothing(ctx context.Context, shape shapeText, s desk.Selection) bool {
	if shape.leads == "" || s.Count {
		return false
	}
	value, ok := s.Lead.AsText()
	if !ok {
		return false
	}
	of := kindOf{s.Building, shape.kind}
	absent, fill := q.store.hot.absent(of, value)
	if fill != nil && !q.fill(ctx, shape, of, fill) {
		q.store.hot.dropProbe(of)
	}
	return absent
}

// fill reads all leads there are, once after a start. A failure costs a look-up for each.
func (q *Queries) fill(ctx context.Context, shape shapeText, of kindOf, p *probe) bool {
	var hashes []uint64
	err := q.store.reading(ctx, "read leads", func(c *conn) error {
		return c.walk([]any{of.building[:]}, func(rows []*walk) (err error) {
			for w := rows[0]; w.row != nil && err == nil; err = w.next() {
				hashes = append(hashes, maphash.String(q.store.hot.seed, text(w.row[0])))
			}
			return err
		}, shape.leads)
	})
	if err == nil {
		q.store.hot.fill(p, hashes)
	}
	return err == nil
}
