package replica

import (
	"slices"

	"estate/sync/wire"
)

// What a peer sends comes back as stretches of this side's own feed in which there is
// nothing for it. Reading them, only to leave all of it out, would cost as much as sending
// them: they are passed over, and the peer is told where its cursor is with the next page.

const (
	// stretchesMax bounds what is remembered of them; they join where they touch, so more
	// come only from as many writes of others in between. What is forgotten is read.
	stretchesMax = 256
	// readEvery is for how long, in milliseconds, a read that only follows FeedMoved waits
	// while pages of the peer are in line: its own changes are seldom among what moved.
	readEvery = 1000
)

// stretch is the positions in (from, to] of this side's feed.
type stretch struct{ from, to uint64 }

// addStretch notes positions that hold only what the peer sent.
func (o *outbound) addStretch(from, to uint64) {
	n := len(o.echoed)
	switch {
	case to <= from || to <= o.read:
	case n > 0 && o.echoed[n-1].to == from:
		o.echoed[n-1].to = to
	case n < stretchesMax && (n == 0 || o.echoed[n-1].to < from):
		o.echoed = append(o.echoed, stretch{from, to})
	}
}

// pass moves on over what only the peer sent.
func (o *outbound) pass() {
	for !o.reading.running && !o.digests.on && len(o.echoed) > 0 && o.echoed[0].from <= o.read {
		o.read = max(o.read, o.echoed[0].to)
		o.echoed = o.echoed[1:]
	}
	from, _ := slices.BinarySearch(o.skip, o.read+1)
	o.skip = o.skip[from:]
}

// before is how far a read may go that is to end at position until, zero for no end: it
// leaves out the next stretch that only the peer sent.
func (o *outbound) before(until uint64) uint64 {
	if len(o.echoed) > 0 && !o.digests.on && o.echoed[0].from > o.read && (until == 0 || o.echoed[0].from < until) {
		return o.echoed[0].from
	}
	return until
}

// joinMax bounds what pages one transaction applies: enough to make little of what a commit
// costs, little enough that the peer does not wait for its window.
const joinMax = 4 << 20

// joined is the pages of the line, from one on, that one transaction can take, as one page, and
// how many they are. Only stretches of the feed join, so what follows from the one is
// what follows from the other.
func (i *inbound) joined(from int) (queued, int) {
	queue := i.queue[from:]
	out, n := queue[0], 1
	cost, to := PageCost(out.Page), out.To
	events, records, heads, receipts := len(out.Events), len(out.Records), len(out.Heads), len(out.Receipts)
	for ; n < len(queue); n++ {
		p := &queue[n]
		cost += PageCost(p.Page)
		events, records, heads, receipts = events+len(p.Events), records+len(p.Records), heads+len(p.Heads), receipts+len(p.Receipts)
		same := !asked(out.Page) && !asked(p.Page) && p.From == to && p.Generation == out.Generation && p.Reader == out.Reader && p.View == out.View
		if !same || cost > joinMax || events > 2*wire.PageItemsMax || records > 2*wire.PageItemsMax || heads > wire.HeldMax || receipts > wire.HeldMax {
			break
		}
		to = p.To
	}
	if n == 1 {
		return out, n
	}
	pages := queue[:n]
	last := &pages[n-1]
	out.ID, out.To, out.Last = last.ID, last.To, last.Last
	out.Events, out.Records = make([]wire.EventItem, 0, events), make([]wire.RecordItem, 0, records)
	out.Heads, out.Receipts = nil, nil
	for _, p := range pages {
		out.Events, out.Records = append(out.Events, p.Events...), append(out.Records, p.Records...)
		out.Heads, out.Receipts = append(out.Heads, p.Heads...), append(out.Receipts, p.Receipts...)
	}
	out.content = joinContents(pages)
	return out, n
}
