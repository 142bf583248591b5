package replica

import (
	"crypto/ed25519"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// forksMax bounds the forks that a phone remembers: each is a node that somebody copied.
const forksMax = 1024

// Learn takes the forks that a page tells of, before anything else of it. It reports whether
// any was news: what the phone shows must be made anew from its copies then. A number that a
// server says too low hides values of this phone's copies and loses none: they are kept as
// they came.
func (c *Copies) Learn(page wire.Page) (news bool) {
	server := record.ID{}
	if len(page.Issuer) == ed25519.PublicKeySize {
		server = record.NodeID(page.Issuer)
	}
	if c.told == nil {
		c.told = map[record.ID]map[record.ReplicaID]bool{}
	}
	if page.From == 0 || c.told[server] == nil {
		c.told[server] = map[record.ReplicaID]bool{}
	}
	for _, d := range page.Forks {
		c.told[server][d.Replica] = true
		last, known := c.Forks[d.Replica]
		if d.N == 0 || known && last == d.N || !known && len(c.Forks) == forksMax {
			continue
		}
		if known && last < d.N && (server.IsZero() || c.ForkedBy[d.Replica] != server) {
			continue // the lower word counts, unless its server was set back and decided anew
		}
		if c.Forks == nil {
			c.Forks = map[record.ReplicaID]uint64{}
		}
		if c.ForkedBy == nil {
			c.ForkedBy = map[record.ReplicaID]record.ID{}
		}
		c.Forks[d.Replica], c.ForkedBy[d.Replica], news = d.N, server, true
	}
	return c.unlearn(server, page) || news
}

// unlearn drops the word of a server that shows a chain beyond what it had told to be the last
// common number, and tells of no fork any more: it was set back, and has forgotten what it decided.
// Whoever knows of the fork lets it decide anew (see Contest).
func (c *Copies) unlearn(server record.ID, page wire.Page) (news bool) {
	for _, h := range page.Heads {
		if last, known := c.Forks[h.Replica]; !known || h.N <= last || server.IsZero() || c.ForkedBy[h.Replica] != server {
			continue
		}
		if slices.ContainsFunc(page.Forks, func(d record.Dot) bool { return d.Replica == h.Replica }) {
			continue
		}
		delete(c.Forks, h.Replica)
		delete(c.ForkedBy, h.Replica)
		news = true
	}
	return news
}

// beyond reports whether a number lies where its chain has two branches.
func (c *Copies) beyond(d record.Dot) bool {
	last, forked := c.Forks[d.Replica]
	return forked && d.N > last
}

// Card is a card as the forks leave it: one that names a number beyond a fork covers its
// predecessor to the last common one.
func (c *Copies) Card(card record.Card) record.Card {
	if c.beyond(card.Predecessor) {
		card.Predecessor.N = c.Forks[card.Predecessor.Replica]
	}
	return card
}

// Cut is a record less the numbers beyond forks: servers wrote again what stands under them.
func (c *Copies) Cut(r record.Record, lineage merge.Lineage) record.Record {
	if len(c.Forks) == 0 || !slices.ContainsFunc(numbers(r), c.beyond) {
		return r
	}
	for _, f := range r.Fields {
		r = r.With(f.Name, slices.DeleteFunc(slices.Clone(f.Siblings), func(s record.Sibling) bool { return c.beyond(s.Dot) }))
	}
	context := record.Context{Vector: slices.Clone(r.Context.Vector)}
	for i, d := range context.Vector {
		if c.beyond(d) {
			context.Vector[i].N = c.Forks[d.Replica]
		}
	}
	context.Dots = slices.DeleteFunc(slices.Clone(r.Context.Dots), func(d record.FieldDot) bool { return c.beyond(d.Dot) })
	r.Context = merge.Normalise(context, lineage)
	return r
}

// Doubt notes that somebody else may have written under one of the phone's own replicas: where the
// two part nobody knows before a server has decided. What showed it, a number that this phone never
// wrote or one that a server refused, may lie far behind that.
func (c *Copies) Doubt(r record.ReplicaID) {
	if c.Doubts == nil {
		c.Doubts = map[record.ReplicaID]uint64{}
	}
	c.Doubts[r] = firstBranch
}

// Doubted reports whether nobody can say here which transaction a number of the phone's own
// means: its own signature might prove the wrong one.
func (c *Copies) Doubted(d record.Dot) bool {
	first, doubted := c.Doubts[d.Replica]
	if last, decided := c.Forks[d.Replica]; decided {
		first = last + 1
	}
	return doubted && d.N >= first
}

// doubted adds the doubts that a state reaches, before a server has decided on them.
func (c *Copies) doubted(doubts []record.Dot, r record.Record) []record.Dot {
	for _, d := range numbers(r) {
		first := record.Dot{Replica: d.Replica, N: c.Doubts[d.Replica]}
		if c.Doubted(d) && c.Forks[d.Replica] == 0 && !slices.Contains(doubts, first) {
			doubts = append(slices.Clip(doubts), first)
		}
	}
	return doubts
}
