package sim

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// stray is a page of an exchange by POST: it comes late, twice, out of order, or never.
type stray struct {
	from, to *host
	building record.ID
	page     wire.Page
}

// strayMax bounds how far back a page may come from.
const strayMax = 40

func (w *world) keep(s stray) {
	w.strays = append(w.strays, s)
	if len(w.strays) > strayMax {
		w.strays = slices.Delete(w.strays, 0, 1)
	}
}

// late delivers some page of the past once more, and its answer or not.
func (w *world) late() {
	if len(w.strays) == 0 {
		return
	}
	w.deliverLate(pick(w, w.strays))
}

func (w *world) deliverLate(s stray) {
	if w.revoked[s.from.node.ID()] || w.revoked[s.to.node.ID()] || !s.to.reachable() {
		return
	}
	a, err := w.apply(s.to, s.from.peer(), s.building, w.arrived(s.page))
	switch {
	case replica.RefusalCode(err) == wire.CodeFrameUnexpected:
		w.count("reordered page refused")
	case err != nil && stumbles(err):
		w.count("late page not taken")
	case err != nil:
		w.violate("late page %s-%s: %v", s.from.name, s.to.name, err)
	default:
		w.count("late page", s.from.name, s.to.name)
		if w.chance(.5) && s.from.reachable() {
			if err := s.from.node.ApplyAck(context.Background(), s.building, s.to.peer(), a.Ack); err == nil {
				w.acked(a.Ack)
			}
		} else {
			w.count("answer lost")
		}
	}
}

// forge is a taken-over edge that sends a record whose context claims numbers of another
// node which that node has not written yet: what it writes under them would be gone.
func (w *world) forge() {
	from := pick(w, w.hosts)
	victim := pick(w, w.hosts)
	b := from.buildings[0]
	if from.isCloud() || victim.node.ID() == from.node.ID() || !slices.Contains(victim.buildings, b) || w.revoked[from.node.ID()] {
		return
	}
	have, err := from.disk.store.Load(context.Background(), b, replica.Need{Keys: w.tickets(b)})
	theirs, err2 := victim.disk.store.Load(context.Background(), b, replica.Need{})
	k := w.ticket(b)
	if err != nil || err2 != nil || theirs.State.N == 0 {
		return
	}
	claim := record.Dot{Replica: theirs.State.Replica, N: theirs.State.N + 3}
	body, err := reaching(have.Records[k].Record, claim)
	if err != nil {
		w.violate("forge: %v", err)
		return
	}
	p := wire.Page{Generation: from.disk.boot, Records: []wire.RecordItem{{Kind: k.Kind, ID: k.ID, Body: body}}}
	if w.config.Without.Has(SignedNumbers) {
		p.Heads = []record.Head{record.SignHead(victim.node.Key, b, claim.Replica, claim.N, record.HashEvent(body))}
	}
	to := pick(w, w.clouds)
	if !to.reachable() {
		return
	}
	w.count("forged context", from.name, "claims", claim.Replica.String(), fmt.Sprint(claim.N), "of", victim.name)
	w.forged[sent{k, from.node.ID()}] = true
	if _, err := w.apply(to, from.peer(), b, p); err != nil && !stumbles(err) {
		w.violate("forged page: %v", err)
	}
}

// reaching encodes a record with one entry more in its context.
func reaching(r record.Record, claim record.Dot) ([]byte, error) {
	r.Context.Vector = slices.DeleteFunc(slices.Clone(r.Context.Vector), func(d record.Dot) bool { return d.Replica == claim.Replica })
	r.Context.Vector = append(r.Context.Vector, claim)
	slices.SortFunc(r.Context.Vector, record.Dot.Compare)
	r.Context.Dots = slices.DeleteFunc(slices.Clone(r.Context.Dots), func(d record.FieldDot) bool { return d.Dot.Replica == claim.Replica && d.Dot.N <= claim.N })
	return r.Encode()
}
