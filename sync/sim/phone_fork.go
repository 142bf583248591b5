package sim

import (
	"crypto/ed25519"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// firstOwn is the lowest number that may be of another branch: event 1 is the card.
const firstOwn = 2

// branched looks for transactions that a server refused because it has others under their
// numbers: this app was copied while it ran.
func (p *Phone) branched(results []wire.PushResult) error {
	for _, r := range results { // in the order of their numbers
		if slices.Contains(r.Refused, wire.RefusedPart{Code: wire.CodeChainFork}) {
			if err := p.fork(r.Dot); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare holds what a page says of the phone's own replicas to what it knows.
func (p *Phone) compare(page wire.Page) error {
	for _, d := range page.Forks {
		if err := p.fork(record.Dot{Replica: d.Replica, N: d.N + 1}); err != nil {
			return err
		}
	}
	for _, h := range page.Heads {
		c := p.State.Chains[h.Replica]
		if c == nil || h.N == 0 || h.Verify(p.Building, p.Key.Public().(ed25519.PublicKey)) != nil {
			continue
		}
		first := record.Dot{Replica: h.Replica, N: firstOwn}
		last := uint64(len(c.Hashes))
		switch {
		case h.N > last && h.Replica == p.State.Replica:
			first.N = last + 1
		case h.N > last || c.Hashes[h.N-1] == h.Hash:
			continue
		}
		if err := p.fork(first); err != nil {
			return err
		}
	}
	return nil
}

// fork ends the use of a replica that has two branches from a number on, and writes again
// under a new one what the outbox has of it from there on (SPEC R33). See the reference in
// internal/synclink/phone.
func (p *Phone) fork(first record.Dot) error {
	s, c := &p.State, p.State.Chains[first.Replica]
	if c == nil {
		return nil
	}
	if c.Fork == 0 || first.N < c.Fork {
		c.Fork = first.N
	}
	s.Copies.Doubt(first.Replica)
	if p.standsOn(first.Replica) {
		s.Replica, s.N, s.Head, s.Base = record.ReplicaID{}, 0, record.Hash{}, record.Dot{}
	}
	beyond := func(d record.Dot) bool { return d.Replica == first.Replica && d.N >= first.N }
	branch := slices.Clone(s.Log)
	branch = slices.DeleteFunc(branch, func(t Transaction) bool { return !beyond(t.Event.Dot()) })
	s.Log = slices.DeleteFunc(s.Log, func(t Transaction) bool { return beyond(t.Event.Dot()) })
	renamed := map[record.Dot]record.Dot{}
	for _, t := range branch {
		c.Events[t.Event.N-1] = wire.EventItem{}
		puts := p.again(t, beyond, renamed)
		if len(puts) == 0 {
			continue
		}
		dot, err := p.Write(puts...)
		if err != nil {
			return err
		}
		renamed[t.Event.Dot()] = dot
	}
	return nil
}

// again is the same write of a transaction: it replaces what that did, less what is of the
// fork itself and no longer here.
func (p *Phone) again(t Transaction, beyond func(record.Dot) bool, renamed map[record.Dot]record.Dot) (puts []Put) {
	for i, touch := range t.Event.Touches {
		put := Put{Key: record.Key{Building: p.Building, Kind: touch.Kind, ID: touch.ID}, Field: touch.Field, Values: t.Details[i].New}
		if !p.mine(t.Event, put.Key)(touch.Field) {
			continue
		}
		for j, d := range touch.Replaced {
			if again, ok := renamed[d]; ok {
				d = again
			} else if beyond(d) {
				continue
			}
			put.Replaced = append(put.Replaced, record.Sibling{Dot: d, Value: t.Details[i].Old[j]})
		}
		if len(put.Values)+len(put.Replaced) > 0 {
			puts = append(puts, put)
		}
	}
	return puts
}

// standsOn reports whether the next write would be in the lineage of a replica.
func (p *Phone) standsOn(r record.ReplicaID) bool {
	at := p.State.Replica
	if at.IsZero() && p.State.N > 0 { // after a restart: the last one of this app
		for id, c := range p.State.Chains {
			if c.Head.N == p.State.N && c.Head.Hash == p.State.Head {
				at = id
			}
		}
	}
	if p.State.Base.N > 0 {
		at = p.State.Base.Replica
	}
	for ; !at.IsZero(); at = p.State.Cards[at].Predecessor.Replica {
		if at == r {
			return true
		}
	}
	return false
}
