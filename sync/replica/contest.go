package replica

import (
	"slices"
	"sort"

	"estate/sync/record"
	"estate/sync/wire"
)

// Limits of what a copied app tells of its own chains in a pull: the heads lie twice as far
// apart at each step back, so that these reach back some 16,000 transactions.
const (
	contestsMax     = 16 // replicas
	contestHeadsMax = 14 // of one replica
)

// Follow adds to a push a head over the number of an earlier run that its card names: a server
// that comes to have another event there learns by that that the app was copied (SPEC R19, R33).
// head signs a number that the app wrote itself, whoever else may have: the card says the same.
func Follow(push *wire.Push, head func(record.Dot) (record.Head, bool)) {
	for _, item := range push.Transactions {
		if item.N > 1 {
			continue
		}
		e, err := record.DecodeEvent(item.Body)
		if err != nil || e.Card == nil || e.Card.Predecessor.N == 0 || len(push.Heads) == wire.PushProofsMax {
			continue
		}
		before := e.Card.Predecessor
		if slices.ContainsFunc(push.Heads, func(h record.Head) bool { return h.Replica == before.Replica && h.N >= before.N }) {
			continue
		}
		if h, ok := head(before); ok {
			push.Heads = append(push.Heads, h)
		}
	}
}

// Contest adds to a pull what this phone wrote under those of its own replicas under which
// somebody else wrote, too, where this server has not told of the fork: heads over its own events,
// and the question what became of the replica. A server that holds the other branch learns by that
// where the two part, though nobody has an event of this one any more (SPEC R33). hash is that
// of an event that this phone wrote, and sign signs it.
func (c *Copies) Contest(server record.ID, pull *wire.Pull, hash func(record.Dot) (record.Hash, bool), sign func(record.Dot, record.Hash) record.Head) {
	var replicas []record.ReplicaID
	for r := range c.Doubts {
		if !c.told[server][r] {
			replicas = append(replicas, r)
		}
	}
	slices.SortFunc(replicas, func(a, b record.ReplicaID) int { return b.Compare(a) }) // the newest first
	var heads []record.Head
	for _, r := range replicas[:min(len(replicas), contestsMax)] {
		for _, n := range contested(c.Doubts[r], func(n uint64) bool {
			_, wrote := hash(record.Dot{Replica: r, N: n})
			return wrote
		}) {
			d := record.Dot{Replica: r, N: n}
			h, _ := hash(d)
			heads = append(heads, sign(d, h))
		}
		heads = append(heads, record.Head{Replica: r}) // what others showed need not be of this history
		if !slices.Contains(pull.Replicas, r) && len(pull.Replicas) < wire.PullChainsMax {
			pull.Replicas = append(pull.Replicas, r)
		}
	}
	if len(heads) > 0 {
		pull.Heads = append(heads, pull.Heads[:min(len(pull.Heads), wire.PullHeadsMax-len(heads))]...)
	}
}

// contested picks the numbers to tell of: the last ones, ever further apart, and the last that is
// known to be common. An app wrote its numbers one after the other.
func contested(first uint64, wrote func(uint64) bool) []uint64 {
	end := 1
	for wrote(uint64(end)) {
		end *= 2
	}
	last := uint64(sort.Search(end, func(i int) bool { return !wrote(uint64(i) + 1) }))
	var out []uint64
	for back := uint64(0); len(out) < contestHeadsMax && back < last && last-back >= first; back = 2*back + 1 {
		out = append(out, last-back)
	}
	if first > firstBranch && first-1 <= last {
		out = append(out, first-1)
	}
	slices.Reverse(out)
	return out
}
