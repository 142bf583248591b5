package replica

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// Return says what became of the records that a phone brought back. All of it is durable.
type Return struct {
	Taken wire.Taken
	// Restored are the records that this store had lost something of.
	Restored []record.Key
}

// ApplyReturn takes records back that a phone was served and this store may have lost. What
// counts is the server's seal and the signatures of the numbers, not the phone's rights
// now: it brings nothing of its own. Records go in by the one merge; what this store holds
// already changes nothing, and what does not pass is answered with a code and blocks
// nothing (SPEC R30). It returns ErrBusy when the store cannot take anything now, and a
// Refusal when the message as a whole does not fit.
func (n *Node) ApplyReturn(ctx context.Context, building record.ID, peer Peer, v View, in wire.Returned) (Return, error) {
	if len(in.Records) > wire.ReturnItemsMax || len(in.Heads) > wire.PushProofsMax || len(in.Cards) > wire.PushProofsMax || len(in.Issuers) > wire.ReturnKeysMax {
		return Return{}, refuse(wire.CodeFrameTooLarge, "%d records, %d heads, %d cards, %d keys returned", len(in.Records), len(in.Heads), len(in.Cards), len(in.Issuers))
	}
	if len(in.Doubts) > wire.PullChainsMax {
		return Return{}, refuse(wire.CodeFrameTooLarge, "%d doubts", len(in.Doubts))
	}
	r := &returning{doubts: in.Doubts, phone: peer.Node, application: application{node: n, building: building}, proofs: push{node: n, building: building, peer: peer, heads: in.Heads}}
	var err error
	if r.items, err = n.unseal(ctx, building, in); err != nil {
		return Return{}, err
	}
	if r.proofs.cards, err = n.newCards(ctx, building, peer, in.Cards, in.Heads); err != nil {
		return Return{}, err
	}
	r.readOwn()
	if err := r.run(ctx, r.items); err != nil {
		return Return{}, err
	}
	out := Return{Taken: wire.Taken{ID: in.ID}, Restored: r.restored}
	hidden, err := n.hidden(ctx, building, v, r.items)
	if err != nil {
		return Return{}, err
	}
	for _, i := range r.items {
		// Who brought no seal proved nothing, and is told nothing about what is here.
		out.Taken.Results = append(out.Taken.Results, wire.TakenResult{Kind: i.key.Kind, ID: i.key.ID, Code: i.code, Forget: i.code == "" && hidden[i.key]})
	}
	return out, nil
}

// returned is one record with the server that sealed it.
type returned struct {
	candidate
	sealer Server
}

// unseal holds each record to its seal, and finds out what the server that sealed it may
// say.
func (n *Node) unseal(ctx context.Context, building record.ID, in wire.Returned) ([]*returned, error) {
	keys := map[record.ID][]byte{}
	for _, k := range in.Issuers {
		if len(k) == ed25519.PublicKeySize {
			keys[record.NodeID(k)] = k
		}
	}
	known := map[record.ID]Server{}
	out := make([]*returned, 0, len(in.Records))
	for _, item := range in.Records {
		r := &returned{}
		r.decode(new(record.Decoder), building, &item)
		out = append(out, r)
		kind, ok := n.Rules.Kind(item.Kind)
		switch {
		case r.code != "":
			continue
		case !ok || kind.Secret:
			r.code = wire.CodeKindUnknown // never served to a phone
			continue
		case !kind.EdgeWrites && n.Tier != record.TierCloud:
			// The cloud would not take it from below without its event, which a phone cannot
			// bring. From the phone it does.
			r.code = wire.CodeKindNotYours
			continue
		case item.Seal == nil || wire.CheckSeal(keys[item.Seal.Node], building, item) != nil:
			r.code = wire.CodeBadSignature
			continue
		}
		server, asked := known[item.Seal.Node]
		if !asked {
			var err error
			if server, err = n.server(ctx, building, item.Seal.Node); err != nil {
				return nil, fmt.Errorf("look up node %s: %w", item.Seal.Node, err)
			}
			known[item.Seal.Node] = server
		}
		r.sealer = server
		switch {
		case server.Tier != record.TierCloud && server.Tier != record.TierEdge:
			r.code = wire.CodeNodeUnknown
		case server.Revoked:
			if err := n.bound(ctx, building, r); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// bound cuts a record that a revoked key sealed to what this store can vouch for itself:
// values whose events it holds or was told that the cloud holds, as those events have them.
// The context then covers these values alone: it takes nothing away.
func (n *Node) bound(ctx context.Context, building record.ID, r *returned) error {
	var c record.Context
	for _, f := range r.record.Fields {
		for _, s := range f.Siblings {
			ok, err := n.vouched(ctx, building, r.key, f.Name, s)
			if err != nil {
				return err
			}
			if !ok {
				r.code = wire.CodeNodeRevoked
				return nil
			}
			c.Dots = append(c.Dots, record.FieldDot{Field: f.Name, Dot: s.Dot})
		}
	}
	slices.SortFunc(c.Dots, record.FieldDot.Compare)
	c.Dots = slices.Compact(c.Dots)
	r.record.Context = c
	return nil
}

// vouched reports whether a value is one that its event, which is held here in an unbroken
// chain, gave to this field. At an edge the chain counts as far as the cloud has receipted
// it.
func (n *Node) vouched(ctx context.Context, building record.ID, k record.Key, field string, s record.Sibling) (bool, error) {
	have, err := n.Store.Load(ctx, building, Need{Chains: []record.ReplicaID{s.Dot.Replica}})
	if err != nil {
		return false, fmt.Errorf("load chain: %w", err)
	}
	c := have.Chains[s.Dot.Replica]
	upTo := c.Held
	if n.Tier != record.TierCloud && c.Card != nil && c.Card.Node != n.ID() {
		upTo = min(upTo, c.Receipted)
	}
	if s.Dot.N > upTo {
		return false, nil
	}
	rows, err := n.Store.Events(ctx, building, s.Dot.Replica, s.Dot.N, s.Dot.N, 1)
	if err != nil {
		return false, fmt.Errorf("read event %d: %w", s.Dot.N, err)
	}
	if len(rows) == 0 {
		return false, nil
	}
	e, err := record.DecodeEvent(rows[0].Body)
	if err != nil || e.Actor.Class != s.Class || e.Stamp != s.Stamp {
		return false, nil //nolint:nilerr // an event that cannot be read vouches for nothing
	}
	d, err := record.DecodeDetails(rows[0].Details)
	for i, t := range e.Touches {
		if err == nil && i < len(d) && t.Kind == k.Kind && t.ID == k.ID && t.Field == field {
			return slices.ContainsFunc(d[i].New, func(v record.Value) bool { return bytes.Equal(v, s.Value) }), nil
		}
	}
	return false, nil
}

// returning is one message of returned records being applied.
type returning struct {
	application
	items    []*returned
	proofs   push
	restored []record.Key
	phone    record.ID
	doubts   []record.Dot // of the phone's own replicas: see wire.Returned
}

// run takes all in one transaction; where that fails, each record by itself, so that one
// which breaks the store breaks nothing else.
func (r *returning) run(ctx context.Context, items []*returned) error {
	err := r.withCited(ctx, func() error { return r.once(ctx, items) })
	if err == nil || final(ctx, err) {
		return err
	}
	if len(items) == 1 {
		items[0].code = wire.CodeStoreFailed
		return nil
	}
	for _, i := range items {
		if err := r.run(ctx, []*returned{i}); err != nil {
			return err
		}
	}
	return nil
}

func (r *returning) once(ctx context.Context, items []*returned) error {
	need, chains := r.need(items)
	codes := make([]string, len(items))
	var written []record.Key
	err := r.node.step(ctx, r.building, need, chains, func(l *ledger) error {
		l.brought = true
		r.proofs.prove(l)
		for _, i := range items {
			if i.code == "" {
				r.suspect(l, i)
			}
		}
		for at, i := range items {
			codes[at] = i.code
			if i.code == "" {
				codes[at] = r.passes(l, i)
			}
		}
		if len(r.cited) > 0 {
			return errCited
		}
		return nil
	}, func(l *ledger) {
		written = nil
		for _, row := range l.out.Records {
			written = append(written, row.Key)
		}
	})
	if err != nil {
		return err
	}
	for at, i := range items {
		i.code = codes[at]
	}
	r.restored = append(r.restored, written...)
	return nil
}

func (r *returning) need(items []*returned) (Need, []record.ReplicaID) {
	var need Need
	var chains []record.ReplicaID
	for _, i := range items {
		need.Keys = append(need.Keys, i.key)
		for _, d := range numbers(i.record) {
			chains = append(chains, d.Replica)
		}
	}
	for _, h := range r.proofs.heads {
		need.Events = append(need.Events, record.Dot{Replica: h.Replica, N: h.N})
		chains = append(chains, h.Replica)
	}
	for _, c := range r.proofs.cards {
		need.Events = append(append(need.Events, c.event.Dot()), predecessor(&c.event)...)
		need.Waiting = append(need.Waiting, c.event.Replica)
		chains = append(chains, c.event.Replica)
		if p := c.event.Card.Predecessor; p.N > 0 {
			chains = append(chains, p.Replica)
		}
	}
	slices.SortFunc(need.Keys, record.Key.Compare)
	need.Keys = slices.Compact(need.Keys)
	return need, chains
}

// passes takes a returned record in, or says why not: every number that it reaches was signed
// by its own replica's node. What an edge sealed is held, above the edge, to what the edge might
// have sent itself.
func (r *returning) passes(l *ledger, i *returned) string {
	tangled := false
	for _, d := range numbers(i.record) {
		if r.foreign(l, d) {
			tangled = true
		} else if code := l.signedTo(d); code != "" {
			return code
		}
	}
	r.peer = Peer{Tier: i.sealer.Tier}
	if tangled {
		return r.valuesOf(l, i)
	}
	if i.sealer.Revoked {
		i.record.Context = merge.Normalise(i.record.Context, l)
	}
	code := r.check(l, &i.candidate)
	if code == "" {
		l.join(i.key, i.record, nil)
		l.brings(i.key, &i.record)
		l.observe(&i.record)
	}
	return code
}

// suspect finds values of a returned record under numbers that are other events here: the
// phone was shown another branch of a fork, whose contexts would take away what the branch
// held here gave. Nothing that reaches that replica is taken from this phone then.
func (r *returning) suspect(l *ledger, i *returned) {
	for _, f := range i.record.Fields {
		for _, s := range f.Siblings {
			e, read := r.own[s.Dot]
			if !read {
				r.cited = append(r.cited, s.Dot)
				continue
			}
			if e != nil && (e.Stamp != s.Stamp || e.Actor.Class != s.Class ||
				!slices.ContainsFunc(e.Touches, func(t record.Touch) bool { return t.Kind == i.key.Kind && t.ID == i.key.ID && t.Field == f.Name })) {
				l.forks.proven[s.Dot.Replica] = true
			}
		}
	}
}

// hidden says which of the records that came under a good seal are not the reader's to see
// any more.
func (n *Node) hidden(ctx context.Context, building record.ID, v View, items []*returned) (map[record.Key]bool, error) {
	var need Need
	for _, i := range items {
		if i.code == "" {
			need.Keys = append(need.Keys, i.key)
		}
	}
	have, err := n.Store.Load(ctx, building, need)
	if err != nil {
		return nil, fmt.Errorf("load returned records: %w", err)
	}
	var rows []FeedItem
	for k, s := range have.Records {
		rows = append(rows, FeedItem{Position: s.Position, Key: k, Body: s.Body})
	}
	all, err := n.judge(ctx, building, v, rows)
	if err != nil {
		return nil, err
	}
	out := map[record.Key]bool{}
	for _, j := range all {
		out[j.item.Key] = !j.may
	}
	return out, nil
}
