package replica

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// A phone may bring back numbers that are signed and whose events nobody here holds. They
// merge as all others do, but they may be of a branch of which this store holds the other:
// then what they take away nobody saw replaced, and what holds the other branch's numbers
// takes away what they brought. So both are kept beside the record, with what is to be proven,
// until the chain is held up to there (SPEC R34):
//
//	kept aside ──events, same hash──▶ dropped
//	     └───────fork decided───────▶ what stands nowhere is written again

// aside is what a decision keeps beside one record.
type aside struct {
	key    record.Key
	values record.Record
	proofs []proof
}

// proof is what would show which branch a number is of: the event under this head, or any
// event of this number where no head is at hand.
type proof struct {
	record.Dot
	hash record.Hash
	// forked says that the chain was known to have two branches already: only a lower beginning
	// of them settles it.
	forked bool
}

// ofFork takes the place of a hash in what is stored.
const ofFork = "fork"

func (p proof) String() string {
	if p.forked {
		return ofFork
	}
	return hex.EncodeToString(p.hash[:])
}

// unproven reports whether what a context says of a replica is more than this store can see:
// it reaches numbers whose events are not held.
func (l *ledger) unproven(r record.ReplicaID, by record.Context) (proof, bool) {
	c := l.chains[r]
	if c == nil {
		return proof{}, false
	}
	if c.Fork > 0 {
		// A fork that a signature alone told of may begin lower: a lineage that went on beyond it
		// covers nothing by a phone's word.
		n := merge.Covered(by, r, uncutLineage{l})
		return proof{Dot: record.Dot{Replica: r, N: n}, forked: true}, l.brought && n >= c.Fork
	}
	n := merge.Covered(by, r, l)
	if l.brought { // by whom may have seen another branch below it
		for _, h := range l.forks.heads {
			if h.Replica == r && h.N > c.Held && h.N >= n {
				n = max(n, c.Held+1)
			}
		}
	}
	if n <= c.Held {
		return proof{}, false
	}
	return l.proofOf(record.Dot{Replica: r, N: n}), true
}

// uncutLineage is the lineage as the cards say it, forks or not.
type uncutLineage struct{ l *ledger }

// Card implements merge.Lineage.
func (u uncutLineage) Card(r record.ReplicaID) (record.Card, bool) {
	if c := u.l.chains[r]; c != nil && c.Card != nil {
		return *c.Card, true
	}
	return record.Card{}, false
}

// proofOf is the lowest head that came with a decision and reaches a number, or the highest
// that is stored.
func (l *ledger) proofOf(d record.Dot) proof {
	out := proof{Dot: d}
	if c := l.chains[d.Replica]; c != nil && c.Signed != nil && c.Signed.N >= d.N {
		out = proof{Dot: record.Dot{Replica: d.Replica, N: c.Signed.N}, hash: c.Signed.Hash}
	}
	for _, h := range l.forks.heads {
		if h.Replica == d.Replica && h.N >= d.N && (out.hash == record.Hash{} || h.N < out.N) {
			out = proof{Dot: record.Dot{Replica: d.Replica, N: h.N}, hash: h.Hash}
		}
	}
	return out
}

// guard keeps what a merge took out of a record by such numbers, and two values that one number
// gave one field: no transaction does that, so there are two.
func (l *ledger) guard(w *work, before, in *record.Record) {
	l.missing(w, before, in)
	l.missing(w, in, before)
}

func (l *ledger) missing(w *work, side, other *record.Record) {
	for i := range side.Fields {
		f := &side.Fields[i]
		after := w.record.Siblings(f.Name)
		if sameMemory(f.Siblings, after) {
			continue
		}
		for _, s := range f.Siblings {
			if slices.ContainsFunc(after, identical(s)) {
				continue
			}
			if p, ok := l.unproven(s.Dot.Replica, other.Context); ok {
				l.setBeside(w.key, f.Name, s, p)
			} else if !l.chains[s.Dot.Replica].beyond(s.Dot.N) && slices.ContainsFunc(other.Siblings(f.Name), func(o record.Sibling) bool { return o.Dot == s.Dot }) {
				l.setBeside(w.key, f.Name, s, proof{Dot: s.Dot, forked: true})
			}
		}
	}
}

// brings notes what a phone brought back whose events are not held: whoever holds other
// events under these numbers would take it away.
func (l *ledger) brings(k record.Key, r *record.Record) {
	stored := &l.work(k).stored.Record
	for i := range r.Fields {
		f := &r.Fields[i]
		here := stored.Siblings(f.Name)
		for _, s := range f.Siblings {
			c := l.chains[s.Dot.Replica]
			if c != nil && c.Fork == 0 && s.Dot.N > c.Held && !slices.ContainsFunc(here, identical(s)) {
				l.setBeside(k, f.Name, s, l.proofOf(s.Dot))
			}
		}
	}
}

func (l *ledger) setBeside(k record.Key, field string, s record.Sibling, p proof) {
	kind, known := l.node.Rules.Kind(k.Kind)
	if known && !kind.EdgeWrites && l.node.Tier == record.TierEdge {
		return // the cloud has it, and alone may write it again
	}
	i := slices.IndexFunc(l.asides, func(a aside) bool { return a.key == k })
	if i < 0 {
		i = len(l.asides)
		l.asides = append(l.asides, aside{key: k})
	}
	a := &l.asides[i]
	a.values = a.values.With(field, append(slices.Clone(a.values.Siblings(field)), s))
	a.needs(p)
}

// needs adds what is to be proven: of one replica the highest number.
func (a *aside) needs(p proof) {
	i, known := slices.BinarySearchFunc(a.proofs, p, func(a, b proof) int { return a.Replica.Compare(b.Replica) })
	switch {
	case !known:
		a.proofs = slices.Insert(a.proofs, i, p)
	case p.N > a.proofs[i].N:
		a.proofs[i] = p
	}
}

// keepAside joins what a decision keeps aside with what is kept of these records already.
func (l *ledger) keepAside(ctx context.Context, load loader) error {
	if len(l.asides) == 0 {
		return nil
	}
	var keys []record.Key
	for _, a := range l.asides {
		keys = append(keys, a.key)
	}
	have, err := load(ctx, Need{Peer: l.self, Quarantine: quarantineRetry, HeldBack: keys})
	if err != nil {
		return fmt.Errorf("load what is kept aside: %w", err)
	}
	for _, a := range l.asides {
		since := l.now
		if i := slices.IndexFunc(have.Quarantine, func(q QuarantineRow) bool { return q.Key == a.key && !q.Theirs }); i >= 0 {
			old, ok := readAside(have.Quarantine[i])
			if !ok {
				continue // a fork's: its remedy is under way
			}
			for _, f := range old.values.Fields {
				a.values = a.values.With(f.Name, slices.Concat(a.values.Siblings(f.Name), f.Siblings))
			}
			for _, p := range old.proofs {
				a.needs(p)
			}
			since = have.Quarantine[i].Since
		}
		row, err := l.asideRow(a, since)
		if err != nil {
			return err
		}
		l.out.Quarantine = append(l.out.Quarantine, row)
	}
	return nil
}

// asideRow is how it is stored: the values, and as their context the numbers to be proven,
// with the hashes of their events in the same order.
func (l *ledger) asideRow(a aside, since int64) (QuarantineRow, error) {
	r := a.values
	r.Context = record.Context{}
	var hashes []string
	for _, p := range a.proofs {
		r.Context.Vector = append(r.Context.Vector, p.Dot)
		hashes = append(hashes, p.String())
	}
	body, err := r.Encode()
	if err != nil {
		return QuarantineRow{}, fmt.Errorf("keep values of %s aside: %w", a.key, err)
	}
	return QuarantineRow{Key: a.key, Peer: l.self, Code: wire.CodeChainUnproven, Detail: strings.Join(hashes, " "), Since: since, Body: body}, nil
}

// readAside reads such a row back; ok is false for one that is held back for another reason.
func readAside(q QuarantineRow) (a aside, ok bool) {
	r, err := record.Decode(q.Body)
	if q.Theirs || q.Code != wire.CodeChainUnproven || err != nil {
		return aside{}, false
	}
	a = aside{key: q.Key}
	hashes := strings.Fields(q.Detail)
	for i, d := range r.Context.Vector {
		p := proof{Dot: d}
		if i < len(hashes) {
			if b, err := hex.DecodeString(hashes[i]); err == nil {
				copy(p.hash[:], b)
			}
			p.forked = hashes[i] == ofFork
		}
		a.proofs = append(a.proofs, p)
	}
	r.Context = record.Context{}
	a.values = r
	return a, true
}

// settleAsides looks again at what is kept aside: what is proven goes, and of a chain that
// turned out to have two branches what stands nowhere is written again.
func (n *Node) settleAsides(ctx context.Context, building record.ID) error {
	have, err := n.Store.Load(ctx, building, Need{Peer: n.ID(), Quarantine: quarantineRetry})
	if err != nil {
		return fmt.Errorf("list what is kept aside: %w", err)
	}
	rows := slices.DeleteFunc(have.Quarantine, func(q QuarantineRow) bool {
		_, ok := readAside(q)
		return !ok && !ofRemedy(q)
	})
	if len(rows) == 0 {
		return nil
	}
	need := Need{Peer: n.ID(), Quarantine: quarantineRetry}
	var chains []record.ReplicaID
	for _, q := range rows {
		need.Keys = append(need.Keys, q.Key)
		a, _ := readAside(q)
		for _, p := range a.proofs {
			need.Events, chains = append(need.Events, p.Dot), append(chains, p.Replica)
		}
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	if err := n.step(ctx, building, need, chains, func(l *ledger) error { return l.settleAside(need.Keys) }); err != nil {
		return fmt.Errorf("settle what is kept aside: %w", err)
	}
	return nil
}

func (l *ledger) settleAside(keys []record.Key) error {
	again := map[record.Key]record.Record{}
	for _, q := range l.quarantined {
		a, ok := readAside(q)
		_, asked := slices.BinarySearchFunc(keys, q.Key, record.Key.Compare)
		if asked && ofRemedy(q) && l.standsAgain(q) {
			l.out.QuarantineOut = append(l.out.QuarantineOut, q)
		}
		if !ok || !asked {
			continue
		}
		open := aside{key: a.key}
		forked := map[record.ReplicaID]bool{}
		for _, p := range a.proofs {
			c := l.chain(p.Replica)
			if forked[p.Replica] = c.Fork > 0; p.forked || c.Fork == 0 && !l.reached(c, p) {
				open.proofs = append(open.proofs, p)
			}
		}
		for _, f := range a.values.Fields {
			for _, s := range f.Siblings {
				switch {
				case forked[s.Dot.Replica] && l.chain(s.Dot.Replica).beyond(s.Dot.N):
					if !l.shows(q.Key, f.Name, s.Value) {
						again[q.Key] = again[q.Key].With(f.Name, append(slices.Clone(again[q.Key].Siblings(f.Name)), s))
					}
				case slices.ContainsFunc(open.proofs, func(p proof) bool { return p.Replica == s.Dot.Replica }):
					open.values = open.values.With(f.Name, append(slices.Clone(open.values.Siblings(f.Name)), s))
				}
			}
		}
		switch {
		case equalRecords(open.values, a.values):
		case len(open.values.Fields) == 0:
			l.out.QuarantineOut = append(l.out.QuarantineOut, q)
		default: // some of it is settled
			row, err := l.asideRow(open, q.Since)
			if err != nil {
				return err
			}
			l.out.Quarantine = append(l.out.Quarantine, row)
		}
	}
	if len(again) == 0 {
		return nil
	}
	return l.untangle(again, nil)
}

// reached reports whether a chain is held up to what is to be proven, by that very event.
func (l *ledger) reached(c *Chain, p proof) bool {
	if c.Held < p.N {
		return false
	}
	hash, ok := l.known[p.Dot]
	if c.Held == p.N {
		hash, ok = c.Hash, true
	}
	return p.hash == (record.Hash{}) || ok && hash == p.hash
}

// shows reports whether a value stands in a field, under whatever number.
func (l *ledger) shows(k record.Key, field string, v record.Value) bool {
	return slices.ContainsFunc(l.work(k).record.Siblings(field), func(s record.Sibling) bool { return slices.Equal(s.Value, v) })
}

// ofRemedy reports whether a row is what an edge set aside at a fork, for the cloud alone may write
// it again (see setAside).
func ofRemedy(q QuarantineRow) bool { return !q.Theirs && q.Code == wire.CodeChainFork }

// standsAgain reports whether the cloud has written again all that an edge set aside.
func (l *ledger) standsAgain(q QuarantineRow) bool {
	r, err := record.Decode(q.Body)
	if err != nil {
		return false
	}
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			if c := l.chains[s.Dot.Replica]; (c == nil || c.beyond(s.Dot.N)) && !l.shows(q.Key, f.Name, s.Value) {
				return false
			}
		}
	}
	return true
}
