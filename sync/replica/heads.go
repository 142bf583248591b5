package replica

import (
	"cmp"
	"slices"

	"estate/sync/record"
)

// aheadMax bounds the heads over waiting events of one chain. Of events that follow each other
// the highest head is enough; more runs than this are many gaps in one phone's outbox, or many
// copies of it.
const aheadMax = 16

// sign keeps a head: the highest of all, and where the event of that is not held, the highest
// over one that is, and those over events that wait. It reports whether that was news. same says
// that the event it names is here.
func (l *ledger) sign(c *Chain, h *record.Head, same bool) bool {
	held := h.N <= c.Held && same || h.N == c.Held && c.Hash == h.Hash
	switch higher := c.Signed == nil || h.N > c.Signed.N; {
	case higher && held:
		c.Signed, c.Proof = h, nil
	case higher:
		before := c.Signed
		c.Signed = h
		if before != nil && before.N <= c.Held {
			c.Proof = before
		} else if l.waits(before) {
			l.ahead(c, before)
		}
	case held && (c.Proof == nil && c.Signed.N > c.Held || c.Proof != nil && h.N > c.Proof.N):
		c.Proof = h
	case !held && same:
		return l.ahead(c, h)
	default:
		return false
	}
	return true
}

// waits reports whether the event that a head names waits behind a gap.
func (l *ledger) waits(h *record.Head) bool {
	return h != nil && slices.ContainsFunc(l.waiting[h.Replica], func(r EventRow) bool { return r.N == h.N && r.Hash == h.Hash })
}

// ahead keeps a head over an event that waits. One from whose event others that wait lead to a
// head that is kept says nothing more than that.
func (l *ledger) ahead(c *Chain, h *record.Head) bool {
	if slices.ContainsFunc(c.Ahead, func(o record.Head) bool { return o.N == h.N }) || h.N == c.Signed.N ||
		l.leads(h, c.Signed) || slices.ContainsFunc(c.Ahead, func(o record.Head) bool { return l.leads(h, &o) }) {
		return false
	}
	out := slices.DeleteFunc(slices.Clone(c.Ahead), func(o record.Head) bool { return l.leads(&o, h) })
	if len(out) == aheadMax {
		return false
	}
	c.Ahead = append(out, *h)
	slices.SortFunc(c.Ahead, func(a, b record.Head) int { return cmp.Compare(a.N, b.N) })
	return true
}

// leads reports whether events that wait lead, link by link, from the one that a head names to
// that of another.
func (l *ledger) leads(from, to *record.Head) bool {
	n, hash := from.N, from.Hash
	for n < to.N {
		rows := l.waiting[from.Replica]
		i := slices.IndexFunc(rows, func(r EventRow) bool { return r.N == n+1 })
		if i < 0 {
			return false
		}
		if e, err := record.DecodeEvent(rows[i].Body); err != nil || e.Prev != hash {
			return false
		}
		n, hash = n+1, rows[i].Hash
	}
	return n == to.N && hash == to.Hash
}

// arrived notes that an event is held now: of the heads that were kept ahead, one over it proves
// what is held.
func (c *Chain) arrived(n uint64, hash record.Hash) {
	if len(c.Ahead) == 0 {
		return
	}
	for _, h := range c.Ahead {
		if h.N == n && h.Hash == hash && c.Signed != nil && c.Signed.N > n {
			c.Proof = &h
		}
	}
	c.Ahead = slices.DeleteFunc(slices.Clone(c.Ahead), func(h record.Head) bool { return h.N <= n })
}

// same reports whether two states of a chain are one, pointers and all.
func (c *Chain) same(o Chain) bool {
	return c.Replica == o.Replica && c.Card == o.Card && c.Held == o.Held && c.Hash == o.Hash && c.Signed == o.Signed && c.Proof == o.Proof &&
		slices.EqualFunc(c.Ahead, o.Ahead, func(a, b record.Head) bool { return a.N == b.N && a.Hash == b.Hash }) &&
		slices.EqualFunc(c.Beside, o.Beside, func(a, b record.Head) bool {
			return a.N == b.N && a.Hash == b.Hash && len(a.Signature) == len(b.Signature)
		}) &&
		c.Receipted == o.Receipted && c.Receipt == o.Receipt && c.Fork == o.Fork && c.Cut == o.Cut
}

// EncodeProofs is how a store keeps Proof, Ahead and Beside: the one head as it is, as nearly
// always, or a list that begins with it or, where there is none, with one of number zero. Another
// one of number zero is before those of Beside. Nil for none.
func (c *Chain) EncodeProofs() ([]byte, error) {
	switch {
	case len(c.Ahead)+len(c.Beside) > 0:
		list := []record.Head{{}}
		if c.Proof != nil {
			list[0] = *c.Proof
		}
		list = append(list, c.Ahead...)
		if len(c.Beside) > 0 {
			list = append(append(list, record.Head{}), c.Beside...)
		}
		return record.Marshal(list)
	case c.Proof != nil:
		return record.Marshal(c.Proof)
	}
	return nil, nil
}

// DecodeProofs reads what EncodeProofs wrote.
func (c *Chain) DecodeProofs(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.Proof = &record.Head{}
	err := record.Unmarshal(b, c.Proof)
	if err == nil {
		return nil
	}
	var list []record.Head
	if record.Unmarshal(b, &list) != nil || len(list) < 2 {
		return err
	}
	if c.Proof = &list[0]; c.Proof.N == 0 {
		c.Proof = nil
	}
	c.Ahead = list[1:]
	if i := slices.IndexFunc(c.Ahead, func(h record.Head) bool { return h.N == 0 }); i >= 0 {
		c.Ahead, c.Beside = slices.Clip(c.Ahead[:i]), c.Ahead[i+1:]
	}
	if len(c.Ahead) == 0 {
		c.Ahead = nil
	}
	return nil
}
