package replica

import (
	"bytes"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// While a page that is decided is being written, the next is decided on what it will have
// been: then two are under way, which the store keeps in order. They are acknowledged in
// order, too. Where the first fails, whatever became of the second is of no account: it comes
// again after the first, and to apply a page twice changes nothing (SPEC R11).

// underWayMax is how many pages are applied at a time: one written, one decided.
const underWayMax = 2

// underWay is a page being applied, joined of several in line.
type underWay struct {
	id      uint64 // of the last of its pages
	pages   int
	decided bool
	beside  bool         // it began while another was under way, and may have failed for its sake
	end     SessionEvent // how it ended, while the one before it has not
}

// pumpPages begins to apply what is in line.
func (s *Session) pumpPages() {
	i := &s.in
	taken := 0
	for _, u := range i.underWay {
		taken += u.pages
	}
	if taken == len(i.queue) || !s.mayApply() || taken > 0 && !i.full(taken) {
		return
	}
	i.applying.start()
	p, n := i.joined(taken)
	p.Heads = i.withLate(p.Heads)
	i.underWay = append(i.underWay, underWay{id: p.ID, pages: n, beside: len(i.underWay) > 0})
	s.do(DoApplyPage{Page: p.Page, Content: p.content})
}

// withLate adds the heads of the hello that a page does not bring itself.
func (i *inbound) withLate(heads []record.Head) []record.Head {
	for _, h := range i.late {
		same := func(o record.Head) bool {
			return o.Replica == h.Replica && o.N == h.N && o.Hash == h.Hash && bytes.Equal(o.Signature, h.Signature)
		}
		if len(heads) < wire.HeldMax && !slices.ContainsFunc(heads, same) {
			heads = append(slices.Clip(heads), h)
		}
	}
	return heads
}

// mayApply: the second page waits where this side's own feed is due to be read, which is done
// between pages.
func (s *Session) mayApply() bool {
	o, i := &s.out, &s.in
	switch n := len(i.underWay); {
	case n == 0:
		return i.applying.ready(s.now)
	case n >= underWayMax || s.disputedAt > 0:
		return false
	default:
		return i.underWay[n-1].decided && i.underWay[n-1].end == nil && (!o.moved || s.now-o.readAt < readEvery)
	}
}

// full reports whether the pages from one on are as many as one transaction takes. Fewer do not
// go beside another: more will have come when that one is written, and to commit costs the same.
func (i *inbound) full(from int) bool {
	cost, last := uint64(0), uint64(0)
	for _, p := range i.queue[from:] {
		last = PageCost(p.Page)
		cost += last
	}
	return cost+last > joinMax
}

func (s *Session) pageDecided(e PageDecided) {
	for n := range s.in.underWay {
		if u := &s.in.underWay[n]; u.id == e.Page {
			u.decided = true
		}
	}
}

// pageEnded takes the end of an application, applied or failed, and whatever waited for it.
func (s *Session) pageEnded(id uint64, end SessionEvent) {
	i := &s.in
	at := 0
	for n := range i.underWay {
		if i.underWay[n].id == id {
			at = n
		}
	}
	if len(i.underWay) == 0 {
		return
	}
	i.underWay[at].end = end
	for s.phase == phaseStreaming && len(i.underWay) > 0 && i.underWay[0].end != nil {
		first := i.underWay[0]
		switch e := first.end.(type) {
		case PageApplied:
			i.underWay = i.underWay[1:]
			s.pageApplied(first.pages, e)
		case EffectFailed:
			if !s.pageFailed(first, e) {
				return
			}
		}
	}
	if len(i.underWay) == 0 && i.applying.running {
		i.applying.done()
	}
}

// pageFailed plans another try; it reports whether there is nothing to wait for.
func (s *Session) pageFailed(first underWay, e EffectFailed) bool {
	i := &s.in
	switch again := e.Busy || first.beside; {
	case !again:
		s.failed(e)
		return false
	case len(i.underWay) > 1 && i.underWay[1].end == nil:
		return false
	}
	i.underWay = nil
	if e.Busy {
		i.applying.busy(s.now)
	}
	return true
}
