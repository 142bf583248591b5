package phone

import (
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// saveCopies writes what was pulled, in one order.
func saveCopies(s state, out *savedState) {
	for _, k := range slices.SortedFunc(maps.Keys(s.copies.Held), record.Key.Compare) {
		h := s.copies.Held[k]
		c := savedCopies{Kind: k.Kind, ID: k.ID, Items: h.Items}
		for _, server := range slices.SortedFunc(maps.Keys(h.Tags), record.ID.Compare) {
			c.Tags = append(c.Tags, savedTag{server, h.Tags[server]})
		}
		out.Copies = append(out.Copies, c)
	}
	for _, server := range slices.SortedFunc(maps.Keys(s.copies.Issuers), record.ID.Compare) {
		out.Issuers = append(out.Issuers, s.copies.Issuers[server])
	}
	for _, server := range slices.SortedFunc(maps.Keys(s.copies.Missing), record.ID.Compare) {
		m := s.copies.Missing[server]
		saved := savedMissing{Server: server, Ended: m.Ended, Keys: []savedKey{}}
		for _, k := range slices.SortedFunc(maps.Keys(m.Keys), record.Key.Compare) {
			saved.Keys = append(saved.Keys, savedKey{k.Kind, k.ID, m.Keys[k]})
		}
		out.Missing = append(out.Missing, saved)
	}
	for _, r := range slices.SortedFunc(maps.Keys(s.copies.Forks), record.ID.Compare) {
		out.Cut, out.CutBy = append(out.Cut, record.Dot{Replica: r, N: s.copies.Forks[r]}), append(out.CutBy, s.copies.ForkedBy[r])
	}
	for _, k := range slices.SortedFunc(maps.Keys(s.forgotten), record.Key.Compare) {
		out.Forgotten = append(out.Forgotten, savedKey{Kind: k.Kind, ID: k.ID})
	}
}

// loadCopies reads it back. What a release before seals pulled has none: it is shown like
// the rest and cannot be returned.
func loadCopies(in savedState, s *state) error {
	key := func(kind string, id record.ID) record.Key {
		return record.Key{Building: in.Building, Kind: kind, ID: id}
	}
	for _, p := range in.Pulled {
		in.Copies = append(in.Copies, savedCopies{Kind: p.Kind, ID: p.ID, Items: []wire.RecordItem{{Kind: p.Kind, ID: p.ID, Body: p.Body}}})
	}
	for _, c := range in.Copies {
		h := replica.Holding{Items: c.Items, Tags: map[record.ID][]byte{}}
		for _, item := range c.Items {
			if _, err := record.Decode(item.Body); err != nil {
				return fmt.Errorf("%w: %w", ErrState, err)
			}
		}
		for _, t := range c.Tags {
			h.Tags[t.Server] = t.Tag
		}
		s.copies.Held[key(c.Kind, c.ID)] = h
	}
	s.copies.Learn(wire.Page{Forks: in.Cut})
	for i, by := range in.CutBy[:min(len(in.CutBy), len(in.Cut))] {
		if r := in.Cut[i].Replica; s.copies.Forks[r] > 0 {
			s.copies.ForkedBy[r] = by
		}
	}
	for _, first := range in.Forked {
		s.copies.Doubt(first.Replica)
	}
	for _, k := range in.Issuers {
		s.copies.Issuers[record.NodeID(k)] = k
	}
	for _, m := range in.Missing {
		missing := replica.Missing{Ended: m.Ended, Keys: map[record.Key]string{}}
		for _, k := range m.Keys {
			missing.Keys[key(k.Kind, k.ID)] = k.Code
		}
		s.copies.Missing[m.Server] = missing
	}
	for _, k := range in.Forgotten {
		s.forgotten[key(k.Kind, k.ID)] = true
	}
	return nil
}

// Returned is the next message of records that a server did not send in a whole pass;
// false where there is none. The server is the node of its hello.
func (o *Outbox) Returned(server record.ID) (wire.Returned, bool) {
	return o.state.copies.Return(server, &o.state.proofs, o.ownProof())
}

// Retry offers a server once more what it could not take back before.
func (o *Outbox) Retry(server record.ID) { o.state.copies.Retry(server) }

// TakeTaken takes the answer to returned records.
func (o *Outbox) TakeTaken(server record.ID, t wire.Taken) {
	o.forget(o.state.copies.Taken(o.config.Building, server, t))
}

// Unreturned counts the records that a server, as far as this phone knows, does not hold.
func (o *Outbox) Unreturned(server record.ID) int {
	m := o.state.copies.Missing[server]
	if !m.Ended {
		return 0
	}
	return len(m.Keys)
}

// forget takes copies away. Own transactions stay until they are settled.
func (o *Outbox) forget(keys []record.Key) {
	for _, k := range keys {
		delete(o.state.pulled, k)
		if slices.ContainsFunc(o.state.transactions, func(t transaction) bool { return t.touches(k) }) {
			o.state.forgotten[k] = true
		}
	}
}

// ownProof proves numbers of the phone's own replicas, as far as it still has the hash and
// the card.
func (o *Outbox) ownProof() func(record.Dot) (record.Head, wire.EventItem, bool) {
	cards := map[record.ReplicaID]wire.EventItem{}
	for _, t := range o.state.transactions {
		if dot := t.event.Dot(); t.event.Card != nil {
			cards[dot.Replica] = wire.EventItem{Body: t.body, Replica: dot.Replica, N: dot.N}
		}
	}
	return func(d record.Dot) (record.Head, wire.EventItem, bool) {
		hash, ours := o.state.hashes[d]
		card, kept := cards[d.Replica]
		if !ours || !kept || o.state.copies.Doubted(d) {
			return record.Head{}, wire.EventItem{}, false
		}
		return record.SignHead(o.config.Key, o.config.Building, d.Replica, d.N, hash), card, true
	}
}
