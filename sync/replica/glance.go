package replica

import (
	"maps"
	"slices"

	"estate/sync/record"
)

// A greeting that changes nothing needs no lock: what it makes of one snapshot is what it
// would have made of it under the lock at that time. All of a fleet may greet at once.

// listed is the chains of a Have, ordered by replica.
func (h Have) listed() []Chain {
	chains := slices.Collect(maps.Values(h.Chains))
	slices.SortFunc(chains, func(a, b Chain) int { return a.Replica.Compare(b.Replica) })
	return chains
}

// lines keeps of all chains those of some replicas and of their ancestors, as a decision that
// asks for these gets them.
func lines(all map[record.ReplicaID]Chain, ids ...record.ReplicaID) map[record.ReplicaID]Chain {
	out := map[record.ReplicaID]Chain{}
	for _, id := range ids {
		for c, ok := all[id]; ok; c, ok = all[id] {
			if _, done := out[id]; done {
				break
			}
			if out[id] = c; c.Card == nil {
				break
			}
			id = c.Card.Predecessor.Replica
		}
	}
	return out
}

// glance makes a decision on what was read without the lock, and reports whether that was all.
// Signed heads that it would store may come later, as if they had travelled longer.
func (n *Node) glance(building record.ID, need Need, have Have, decide func(*ledger) error) (late []record.Head, done bool) {
	if len(have.Waiting) > 0 {
		return nil, false // their records and forks are to be read
	}
	boot := n.Boot()
	have.Chains = lines(have.Chains, append(slices.Clip(need.Chains), have.State.Replica)...)
	l := newLedger(n, building, boot, have, nil)
	l.run, l.boot, l.glancing = boot, generation(boot, have.State), true
	if err := decide(l); err != nil {
		return nil, false
	}
	effects, changed, err := l.effects()
	if err != nil || !changed {
		return l.late, err == nil
	}
	late = l.late
	chains := effects.Chains
	if effects.Chains = nil; !effects.IsZero() || l.state != l.before || len(l.forks.conflicts) > 0 || l.forks.marked {
		return nil, false
	}
	for _, c := range chains {
		before := have.Chains[c.Replica]
		for _, h := range []*record.Head{c.Signed, c.Proof} {
			if h != nil && h != before.Signed && h != before.Proof {
				late = append(late, *h)
			}
		}
		if before.Signed, before.Proof = c.Signed, c.Proof; !before.same(c) {
			return nil, false
		}
	}
	return late, true
}

// later leaves a head for the peer's first page which can tell of no fork yet, for it signs more
// than anybody is known to have: there it is verified, and here nothing hangs on it.
func (l *ledger) later(c *Chain, h *record.Head) bool {
	if !l.glancing || c.Card == nil || h.N <= c.Held || c.beyond(h.N) || l.live(h.Replica) || c.Signed != nil && c.Signed.N >= h.N {
		return false
	}
	l.late = append(l.late, *h)
	return true
}
