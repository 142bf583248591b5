package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// ApplyPush admits a phone's transactions, in one transaction of the store. Of each it
// takes only the phone's own dots, in fields that the author may write; what is refused
// enters no record: value, code and reason stay in this node's audit, and the phone is
// told (SPEC R7). A gap in the phone's chain holds up nothing.
func (n *Node) ApplyPush(ctx context.Context, building record.ID, peer Peer, admit Admit, p wire.Push) (wire.Pushed, error) {
	if len(p.Transactions) > wire.PushItemsMax {
		return wire.Pushed{}, refuse(wire.CodeFrameTooLarge, "%d transactions, limit %d", len(p.Transactions), wire.PushItemsMax)
	}
	if len(p.Heads) > wire.PushProofsMax || len(p.Cards) > wire.PushProofsMax {
		return wire.Pushed{}, refuse(wire.CodeFrameTooLarge, "%d heads and %d cards, limit %d", len(p.Heads), len(p.Cards), wire.PushProofsMax)
	}
	push := &push{node: n, building: building, peer: peer, admit: admit, head: p.Head, heads: p.Heads}
	var err error
	events, codes := decodeEvents(record.NewDecoder(len(p.Transactions)), building, p.Transactions)
	if len(codes) > 0 && len(events) < len(p.Transactions) {
		return wire.Pushed{}, refuse(codes[0], "a transaction is not readable and names no place in its chain")
	}
	push.events = events
	if push.cards, err = n.newCards(ctx, building, peer, p.Cards, p.Heads); err != nil {
		return wire.Pushed{}, err
	}
	if err := push.waiting(ctx); err != nil {
		return wire.Pushed{}, err
	}
	need, err := push.need(ctx)
	if err != nil {
		return wire.Pushed{}, err
	}
	var out wire.Pushed
	for err = errUnproven; errors.Is(err, errUnproven); {
		err = n.step(ctx, building, need, push.chains(), func(l *ledger) error {
			out = wire.Pushed{ID: p.ID, Time: l.now}
			return push.apply(l, &out)
		})
	}
	if err != nil {
		return wire.Pushed{}, err
	}
	receipts, err := n.receipts(ctx, building, []record.ReplicaID{p.Head.Replica})
	if err != nil {
		return wire.Pushed{}, err
	}
	if len(receipts) == 1 {
		out.Receipt = &receipts[0]
		if out.Beyond, err = n.beyond(ctx, building, receipts[0]); err != nil {
			return wire.Pushed{}, err
		}
	}
	return out, nil
}

// push is one push being admitted.
type push struct {
	node     *Node
	building record.ID
	peer     Peer
	admit    Admit
	head     record.Head
	events   []*incoming
	heads    []record.Head // of replicas whose numbers the transactions replace
	cards    []*incoming   // of such replicas that this node does not know yet
	held     []*incoming   // of earlier pushes, that waited for a record whose rights theirs share
	refused  []refusal
	taken    []*incoming // the events that are no branch of a fork; set anew by each decision
	// unproven is the lowest number that no head would prove: its push leads to another history
	// than the one here. Zero for none.
	unproven uint64
}

// refusal is one part that was not admitted, with the values that the audit keeps.
type refusal struct {
	part   record.Refused
	values []record.Value
}

func (p *push) need(ctx context.Context) (Need, error) {
	need := Need{Waiting: []record.ReplicaID{p.head.Replica}, Events: []record.Dot{{Replica: p.head.Replica, N: p.head.N}}}
	for _, e := range p.events {
		need.Events = append(append(need.Events, e.event.Dot()), predecessor(&e.event)...)
		need.Keys = append(need.Keys, keysOf(p.building, e.event)...)
	}
	for _, e := range p.held {
		need.Keys = append(need.Keys, keysOf(p.building, e.event)...)
	}
	for _, h := range p.heads {
		need.Events = append(need.Events, record.Dot{Replica: h.Replica, N: h.N})
	}
	for _, c := range p.cards {
		need.Events = append(append(need.Events, c.event.Dot()), predecessor(&c.event)...)
		need.Waiting = append(need.Waiting, c.event.Replica)
		need.Keys = append(need.Keys, keysOf(p.building, c.event)...)
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	parents, err := p.parents(ctx, need.Keys)
	need.Keys = append(need.Keys, parents...)
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	return need, err
}

// chains lists the phone's replica, the one before it where its card is new, and those
// whose numbers the transactions replace.
func (p *push) chains() []record.ReplicaID {
	out := []record.ReplicaID{p.head.Replica}
	for _, h := range p.heads {
		out = append(out, h.Replica)
	}
	for _, d := range replacedBy(p.events) {
		out = append(out, d.Replica)
	}
	for _, e := range slices.Concat(p.events, p.cards) {
		out = append(out, e.event.Replica)
		if card := e.event.Card; card != nil && card.Predecessor.N > 0 {
			out = append(out, card.Predecessor.Replica)
		}
	}
	return out
}

func (p *push) apply(l *ledger, out *wire.Pushed) error {
	p.refused, p.taken = nil, nil
	if c := l.chains[p.head.Replica]; c != nil && c.Card != nil && c.Card.Node != p.peer.Node {
		return refuse(wire.CodeNodeUnknown, "replica %s is not this phone's", p.head.Replica)
	}
	if err := p.room(l); err != nil {
		return err
	}
	p.prove(l)
	fresh := p.fresh(l)
	for _, e := range p.events {
		if e.row.N > p.head.N {
			return refuse(wire.CodeBadSignature, "transaction %d beyond the signed head %d", e.row.N, p.head.N)
		}
		code := wire.CodeChainFork
		if !follows(out, e) {
			if err := p.own(l, e); err != nil {
				return err
			}
			if !p.branches(l, e) && !p.parted(l, e) && !p.leads(l, e) {
				code = l.admitEvent(e)
			}
		}
		switch {
		case code == "" || l.holds(e):
			p.taken = append(p.taken, e)
		case code == wire.CodeChainFork && (e.row.N > 1 || p.parted(l, e)):
			out.Results = append(out.Results, wire.PushResult{Dot: e.event.Dot(), Refused: []wire.RefusedPart{{Code: code}}})
		default:
			return refuse(code, "transaction %d of replica %s", e.row.N, e.row.Replica)
		}
	}
	if err := p.proves(l, fresh); err != nil {
		return err
	}
	p.admitAll(l, out)
	// What waits behind a card that the phone brought is not its to fill.
	out.Wants = slices.DeleteFunc(l.gaps(), func(w wire.Want) bool { return w.Replica != p.head.Replica })
	return p.record(l)
}

// branches reports whether a transaction is of another branch of the phone's chain than the
// one here: the app was copied while it ran. Nothing of it is taken; the app begins a new
// replica and writes it again there (SPEC R33).
func (p *push) branches(l *ledger, e *incoming) bool {
	c := l.chain(e.row.Replica)
	known, held := l.known[e.event.Dot()]
	switch {
	case e.row.N < 2:
		return false // two cards under one id have nothing in common
	case c.beyond(e.row.N):
		return true
	case held:
		return known != e.row.Hash
	case !e.unreadable && e.row.N == c.Held+1 && c.Held > 0 && e.event.Prev != c.Hash:
		return true
	}
	return false
}

// parted reports whether an app was started anew in another branch than the one here: its
// card names a number of its own one.
func (p *push) parted(l *ledger, e *incoming) bool {
	return e.event.Card != nil && e.event.Card.Predecessor.N > 1 && e.event.Card.Validate() == nil && l.otherBranch(e.event.Card)
}

// follows reports whether a transaction comes after one of another branch: it is of that
// branch, too.
func follows(out *wire.Pushed, e *incoming) bool {
	return slices.ContainsFunc(out.Results, func(r wire.PushResult) bool { return r.Dot.Replica == e.row.Replica && r.Dot.N < e.row.N })
}

// holds reports whether an event is part of its chain by now.
func (l *ledger) holds(e *incoming) bool {
	return l.chain(e.row.Replica).Held >= e.row.N && l.known[e.event.Dot()] == e.row.Hash
}

// own holds a push to the session's own replica: a phone speaks for no other node.
func (p *push) own(l *ledger, e *incoming) error {
	card := e.event.Card
	if card == nil {
		if c := l.chains[e.row.Replica]; c != nil {
			card = c.Card
		}
	}
	if e.row.Replica != p.head.Replica {
		return refuse(wire.CodeBadSignature, "head of %s with transactions of %s", p.head.Replica, e.row.Replica)
	}
	if card == nil {
		return refuse(wire.CodeReplicaUnknown, "replica %s: send its card first", e.row.Replica)
	}
	if card.Tier != record.TierPhone || card.Node != p.peer.Node {
		return refuse(wire.CodeNodeUnknown, "replica %s is not this phone's", e.row.Replica)
	}
	author := e.event.Actor.Person
	unsaid := e.event.Card != nil && author.IsZero() // a card is the app's
	if !e.unreadable && author != p.peer.Person && !unsaid {
		return refuse(wire.CodeAuthorForged, "transaction %d is in the name of %s", e.row.N, author)
	}
	return nil
}

// Limits of what a phone may leave behind a gap: all of it is read with each push. An app
// sends its transactions in order, so a gap is at most what another path has taken.
const (
	waitingMax      = 4096
	waitingBytesMax = 16 << 20
)

// room refuses a push that would leave too much behind a gap.
func (p *push) room(l *ledger) error {
	count, size, held := 0, 0, uint64(0)
	if c := l.chains[p.head.Replica]; c != nil {
		held = c.Held
	}
	for _, row := range l.waiting[p.head.Replica] {
		count, size = count+1, size+len(row.Body)+len(row.Details)
	}
	for _, e := range p.events {
		if e.row.N == held+1 {
			return nil // what waits begins to be taken in
		}
		count, size = count+1, size+len(e.row.Body)+len(e.row.Details)
	}
	if len(p.events) > 0 && (count > waitingMax || size > waitingBytesMax) {
		return refuse(wire.CodeTooManyInFlight, "%d transactions behind the gap after %d", count, held)
	}
	return nil
}

// admitOne decides on the parts of a transaction. What waits for another record is neither
// admitted nor refused.
func (p *push) admitOne(l *ledger, e *incoming) (result wire.PushResult, waits bool) {
	result = wire.PushResult{Dot: e.event.Dot(), Refused: []wire.RefusedPart{}}
	if e.unreadable {
		result.Refused = append(result.Refused, wire.RefusedPart{Code: wire.CodeEventMalformed})
		return result, false
	}
	details, err := record.DecodeDetails(e.row.Details)
	if err != nil {
		details = nil
	}
	allowed := map[record.Key]map[string]bool{}
	for i, t := range e.event.Touches {
		k := record.Key{Building: p.building, Kind: t.Kind, ID: t.ID}
		var values []record.Value
		if i < len(details) {
			values = details[i].New
		}
		code, earlier := p.judge(l, e.event, k, t, values, len(details) > 0)
		if code == undecided {
			waits = true
			continue
		}
		if code == standing {
			details[i].New, code = nil, "" // decoded for this look alone
		}
		if code != "" {
			result.Refused = append(result.Refused, wire.RefusedPart{Kind: t.Kind, ID: t.ID, Field: t.Field, Code: code})
			if !earlier {
				p.refuse(l, e.event, k, t.Field, code, values)
			}
			continue
		}
		if allowed[k] == nil {
			allowed[k] = map[string]bool{}
		}
		allowed[k][t.Field] = true
	}
	proven := l.proven(e.event, details)
	for _, k := range slices.SortedFunc(maps.Keys(allowed), record.Key.Compare) {
		delta := record.Delta(proven, details, k, func(f string) bool { return allowed[k][f] })
		if _, err := merge.Merge(l.work(k).record, delta, l).Encode(); err != nil {
			p.full(e.event, details, k, allowed[k], &result, l)
			continue
		}
		l.join(k, delta, nil)
		l.observe(&delta)
	}
	return result, waits
}

// full refuses what a record at its limit has no room for: it may not fail what else the
// push brings.
func (p *push) full(e record.Event, details record.Details, k record.Key, fields map[string]bool, result *wire.PushResult, l *ledger) {
	for i, t := range e.Touches {
		if t.Kind != k.Kind || t.ID != k.ID || !fields[t.Field] {
			continue
		}
		result.Refused = append(result.Refused, wire.RefusedPart{Kind: t.Kind, ID: t.ID, Field: t.Field, Code: wire.CodeRecordFull})
		if i < len(details) {
			p.refuse(l, e, k, t.Field, wire.CodeRecordFull, details[i].New)
		}
	}
}

func (p *push) refuse(l *ledger, e record.Event, k record.Key, field, code string, values []record.Value) {
	p.refused = append(p.refused, refusal{part: record.Refused{Dot: e.Dot(), Kind: k.Kind, ID: k.ID, Field: field, Code: code}, values: values})
	l.note(PhoneTouch{Key: k, Field: field, Dot: e.Dot(), Refused: true})
}

// refusalBytesGoal ends an event of refusals: one value more, of whatever size, still fits
// the limit of an event's details.
const refusalBytesGoal = record.DetailsBytesMax / 4

// record writes what was refused into this node's own chain: a refusal is an event, and
// what does not fit one is several.
func (p *push) record(l *ledger) error {
	if len(p.refused) == 0 {
		return nil
	}
	if err := l.identity(); err != nil {
		return err
	}
	for from, to, size := 0, 0, 0; to < len(p.refused); from = to {
		for size = 0; to < len(p.refused) && to-from < record.TouchesMax; to++ {
			more := 0
			for _, v := range p.refused[to].values {
				more += len(v)
			}
			if size += more; to > from && size > refusalBytesGoal {
				break
			}
		}
		if err := p.recordSome(l, p.refused[from:to]); err != nil {
			return err
		}
	}
	return nil
}

func (p *push) recordSome(l *ledger, refused []refusal) error {
	e := record.Event{Actor: record.Actor{Class: record.Automation, Name: "admission"}, Action: "refuse", EventTime: l.now}
	var details record.Details
	for _, r := range refused {
		kind, _ := l.node.Rules.Kind(r.part.Kind)
		d := record.Detail{Salt: []byte{}, Old: []record.Value{}, New: []record.Value{}}
		if !kind.Secret && len(r.values) > 0 {
			// Nothing hashes these values, but details have one form: no salt means erased.
			d.New, d.Salt = append(d.New, r.values...), make([]byte, record.SaltBytes)
			if _, err := io.ReadFull(l.node.Random, d.Salt); err != nil {
				return fmt.Errorf("salt: %w", err)
			}
		}
		e.Refusals, details = append(e.Refusals, r.part), append(details, d)
	}
	_, err := l.append(e, details)
	return err
}
