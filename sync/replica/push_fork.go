package replica

import (
	"errors"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// errUnproven has a push decided on anew: some of what was taken leads to a head over another
// history than the one here.
var errUnproven = errors.New("replica: transactions that no head proves")

// fresh lists the transactions of a push that are not here yet.
func (p *push) fresh(l *ledger) []record.Dot {
	out := make([]record.Dot, 0, len(p.events))
	for _, e := range p.events {
		if _, known := l.known[e.event.Dot()]; !known {
			out = append(out, e.event.Dot())
		}
	}
	return out
}

// leads reports whether a transaction that is not here yet was found to lead to another history.
func (p *push) leads(l *ledger, e *incoming) bool {
	_, known := l.known[e.event.Dot()]
	return p.unproven > 0 && e.row.N >= p.unproven && !known
}

// proves takes the head of a push. Where it is of another branch than the chain here, nothing
// that is new here may stay but what another head proves, or what lies below a fork that was
// decided: whoever holds what nobody signed can never show which branch he has, and nobody would
// ever decide (SPEC R33). The app writes it again under another replica.
func (p *push) proves(l *ledger, fresh []record.Dot) error {
	whole, code := len(p.taken) == len(p.events), wire.CodeChainFork
	if whole {
		code = l.admitHead(p.head)
	}
	its := slices.IndexFunc(p.events, func(e *incoming) bool { return e.row.N == p.head.N })
	switch {
	case code == "":
		return nil
	case code != wire.CodeChainFork, its >= 0 && p.events[its].row.Hash != p.head.Hash: // it contradicts itself
		return refuse(code, "head %d of replica %s", p.head.N, p.head.Replica)
	}
	c, lowest := l.chain(p.head.Replica), uint64(0)
	for _, e := range p.taken {
		n := e.row.N
		open := c.Fork == 0 && n >= firstBranch && (n > c.Held || !c.proves(n))
		if open && (lowest == 0 || n < lowest) && slices.Contains(fresh, e.event.Dot()) {
			lowest = n
		}
	}
	if lowest > 0 {
		p.unproven = lowest
		return errUnproven
	}
	// Else the receipt says of which branch the chain here is.
	if whole && its >= 0 {
		return refuse(code, "head %d of replica %s", p.head.N, p.head.Replica)
	}
	return nil
}
