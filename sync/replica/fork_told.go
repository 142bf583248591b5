package replica

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// announce writes the event that tells of a fork: what edges believe of the cloud, what
// everybody believes of a chain's own node, and what an operator reads in the audit.
func (l *ledger) announce(r record.ReplicaID, first uint64) error {
	if err := l.identity(); err != nil {
		return err
	}
	k := record.Key{Building: l.building, Kind: chainKind, ID: r}
	salt, err := l.node.salts(1)
	if err != nil {
		return err
	}
	t, d := touchOf(salt, k, forkField, nil, []record.Value{record.Int(int64(first))}, false)
	t.Replaced = []record.Dot{{Replica: r, N: first}}
	_, err = l.append(record.Event{Actor: record.Actor{Class: record.Automation, Name: "replica"}, Action: actionFork, EventTime: l.now,
		Touches: []record.Touch{t}}, record.Details{d})
	return err
}

// told lists the forks that an event tells of.
func told(e *record.Event) []record.Dot {
	if e.Action != actionFork {
		return nil
	}
	var out []record.Dot
	for _, t := range e.Touches {
		if t.Kind == chainKind && t.Field == forkField && len(t.Replaced) == 1 && t.Replaced[0].Replica == t.ID {
			out = append(out, t.Replaced[0])
		}
	}
	return out
}

// rumour is what an event tells of forks that came from below, and not from its own node: it
// counts once a head of that node's proves the event.
type rumour struct {
	event record.Dot
	forks []record.Dot
}

// believe takes the cloud's word for a fork, and everybody's for chains of his own.
func (l *ledger) believe(c *Chain, e *record.Event) {
	dots := told(e)
	if from := l.forks.from; len(dots) > 0 && !from.IsZero() && c.Card.Node != from {
		l.forks.rumours = append(l.forks.rumours, rumour{e.Dot(), dots})
		return
	}
	l.believeThat(c, dots)
}

func (l *ledger) believeThat(c *Chain, dots []record.Dot) {
	for _, d := range dots {
		if card, ok := l.Card(d.Replica); c.Card.Tier == record.TierCloud || ok && card.Node == c.Card.Node {
			l.fork(d.Replica, d.N)
		}
	}
}

// believeProven looks at rumours once the heads are in.
func (l *ledger) believeProven() {
	for _, r := range l.forks.rumours {
		if c := l.chain(r.event.Replica); c.proves(r.event.N) {
			l.believeThat(c, r.forks)
		}
	}
	l.forks.rumours = nil
}

// proves reports whether a head that the chain's own node signed, over an event that is held,
// reaches a number. What lies behind such a head somebody else may have made up.
func (c *Chain) proves(n uint64) bool {
	return c.Proof != nil && c.Proof.N >= n || c.Signed != nil && c.Signed.N <= c.Held && c.Signed.N >= n
}

// confessed looks for the event `fork` behind a card of this node's own that names another
// branch of its predecessor than is held: a copy of this node learnt of the fork in a later
// run and tells of it there. What comes behind a card that is refused waits, and the card is
// asked for again; it counts if it leads, link by link, to a head that this node signed. It
// reports whether the card's lineage can be, now that the fork is known.
func (l *ledger) confessed(r record.ReplicaID, card *incoming) bool {
	head, ok := l.ownSigned[r]
	if !ok || card.event.Card.Node != l.self {
		return false
	}
	var dots []record.Dot
	row, rows := card.row, l.waiting[r]
	for row.N < head.N {
		i := slices.IndexFunc(rows, func(w EventRow) bool { return w.N == row.N+1 })
		if i < 0 {
			return false
		}
		e, err := record.DecodeEvent(rows[i].Body)
		if err != nil || e.Prev != row.Hash {
			return false
		}
		row, dots = rows[i], append(dots, told(&e)...)
	}
	if row.Hash != head.Hash {
		return false
	}
	for _, d := range dots {
		if l.mine(d.Replica) {
			l.fork(d.Replica, d.N)
		}
	}
	return !l.otherBranch(card.event.Card)
}

// ask wants the events of a later run of this node that a copy of it wrote, where its card
// names a number beyond a fork that the peer knows of and this node does not: they tell of it
// (see confessed). No record goes either way before.
func (l *ledger) ask(g *Greeting, c *Chain, held wire.Held, all []wire.Held) {
	if held.Fork == 0 || c.Fork > 0 || c.Card == nil || c.Card.Node != l.self {
		return
	}
	for _, later := range all {
		known := l.chains[later.Replica]
		if p := later.Predecessor; p.Replica == held.Replica && p.N >= held.Fork && (known == nil || known.Held == 0) {
			g.Disputed = true
			g.Wants = append(g.Wants, wire.Want{Replica: later.Replica, From: 1, To: later.N})
		}
	}
}

// askBeyond wants, at the cloud, what lies beyond a fork that an edge knows of and the cloud does
// not, for it was set back since: nobody else may have it, and with one branch here, whoever brings
// a head of the other proves the fork anew.
func (l *ledger) askBeyond(g *Greeting, c *Chain, held wire.Held) {
	h := held.Signed
	if l.node.Tier != record.TierCloud || held.Fork == 0 || c.Fork > 0 || c.Card == nil || h == nil || h.N < held.Fork || h.Verify(l.building, c.Card.PublicKey) != nil {
		return
	}
	if known, ok := l.known[record.Dot{Replica: h.Replica, N: h.N}]; h.Replica != held.Replica || ok && known == h.Hash {
		return
	}
	at := min(c.Held, h.N)
	from := at + 1 - min(at, forkWindow/2) // some of it may be here
	g.Wants = append(g.Wants, wire.Want{Replica: held.Replica, From: max(from, min(held.Fork, at+1)), To: h.N})
}

// forkNeeds adds what marking the forks that an event tells of takes to know.
func forkNeeds(e *record.Event, need *Need, chains *[]record.ReplicaID) {
	for _, d := range told(e) {
		need.Events = append(need.Events, record.Dot{Replica: d.Replica, N: d.N - 1})
		*chains = append(*chains, d.Replica)
	}
}

// loadForks completes a Have with what marking the forks takes that waiting events tell of.
func loadForks(ctx context.Context, load loader, have *Have) error {
	var need Need
	for _, rows := range have.Waiting {
		for _, row := range rows {
			if e, err := record.DecodeEvent(row.Body); err == nil {
				forkNeeds(&e, &need, &need.Chains)
			}
		}
	}
	if len(need.Events) == 0 {
		return nil
	}
	more, err := load(ctx, need)
	if err != nil {
		return fmt.Errorf("load forks: %w", err)
	}
	have.Chains, have.Events = joined(have.Chains, more.Chains), joined(have.Events, more.Events)
	return nil
}
