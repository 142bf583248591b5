package phone

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Pull asks for the next page of a server's view.
func (o *Outbox) Pull(server string) wire.Pull {
	at := o.state.cursors[server]
	p := wire.Pull{Cursor: at, Holds: len(o.state.copies.Held) > 0, Heads: o.state.proofs.Ask(o.state.issuers[server], at.Position == 0)}
	for _, t := range o.state.transactions {
		if id := t.event.Replica; !t.settled && !slices.Contains(p.Replicas, id) && len(p.Replicas) < wire.PullChainsMax {
			p.Replicas = append(p.Replicas, id)
		}
	}
	o.state.copies.Contest(o.state.issuers[server], &p, func(d record.Dot) (record.Hash, bool) {
		h, wrote := o.state.hashes[d]
		return h, wrote
	}, func(d record.Dot, h record.Hash) record.Head {
		return record.SignHead(o.config.Key, o.config.Building, d.Replica, d.N, h)
	})
	return p
}

// Met notes a server's hello. It reports whether what was known of the server in this run
// no longer holds, so that everything unsettled must be offered again. A cloud that was
// started anew may have been restored: what it had settled and this phone still keeps counts
// as unsettled.
func (o *Outbox) Met(server string, h wire.Hello) (again bool) {
	if h.Node == record.NodeID(o.config.Cloud) && o.state.cloud != h.Generation {
		again = !o.state.cloud.IsZero()
		o.state.cloud = h.Generation
		for i := range o.state.transactions {
			o.state.transactions[i].settled = false
		}
	}
	known, ok := o.held[server]
	if ok && known.generation == h.Generation {
		return again
	}
	o.held[server] = heldBy{generation: h.Generation, upTo: map[record.ReplicaID]uint64{}, asked: map[wire.Want]struct{}{}}
	return again || ok
}

// TakePushed takes a server's answer to a push. Values that were refused for the phone's
// clock are written again with the server's time, author and event time kept.
func (o *Outbox) TakePushed(server string, now int64, p wire.Pushed) error {
	var late []int
	known := o.held[server]
	if err := o.branched(now, p.Results); err != nil {
		return err
	}
	for _, result := range p.Results {
		if known.upTo != nil {
			// Answered is enough: a gap before it is the server's to ask about.
			known.upTo[result.Dot.Replica] = max(known.upTo[result.Dot.Replica], result.Dot.N)
		}
		at := slices.IndexFunc(o.state.transactions, func(t transaction) bool { return t.event.Dot() == result.Dot })
		if at < 0 {
			continue // settled by another path meanwhile
		}
		for _, part := range result.Refused {
			if o.refuse(o.state.transactions[at], part) && part.Code == wire.CodeClockAhead && !slices.Contains(late, at) {
				late = append(late, at)
			}
		}
	}
	if p.Receipt != nil {
		if err := o.TakeReceipt(server, now, *p.Receipt); err != nil {
			return err
		}
	}
	if p.Beyond != nil {
		if err := o.takeBeyond(server, *p.Beyond); err != nil {
			return err
		}
	}
	for _, w := range p.Wants {
		// Once each: what this phone has let go of, the cloud has, or nobody any more.
		if _, again := known.asked[w]; !again && known.upTo[w.Replica] >= w.From && w.From > 0 {
			known.asked[w] = struct{}{}
			known.upTo[w.Replica] = w.From - 1
		}
		if !slices.ContainsFunc(o.state.transactions, func(t transaction) bool { return t.event.Replica == w.Replica && t.event.N == w.From }) {
			o.leave(w)
		}
	}
	if len(late) > 0 && p.Time > 0 {
		o.state.offset = p.Time - now
		o.state.stamp = hlc.At(p.Time)
		for _, at := range late {
			if err := o.reissue(now, o.state.transactions[at]); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuse keeps a refusal with its value; false if it was known.
func (o *Outbox) refuse(t transaction, part wire.RefusedPart) bool {
	r := Refusal{Dot: t.event.Dot(), Kind: part.Kind, ID: part.ID, Field: part.Field, Code: part.Code}
	if slices.ContainsFunc(o.state.refusals, func(k Refusal) bool {
		return k.Dot == r.Dot && k.Kind == r.Kind && k.ID == r.ID && k.Field == r.Field
	}) {
		return false
	}
	for i, touch := range t.event.Touches {
		if touch.Kind == r.Kind && touch.ID == r.ID && touch.Field == r.Field && i < len(t.details) {
			r.Value = append(r.Value, t.details[i].New...)
		}
	}
	o.state.refusals = append(o.state.refusals, r)
	return true
}

// reissue writes the refused values of a transaction again.
func (o *Outbox) reissue(now int64, t transaction) error {
	var changes []Change
	for i, touch := range t.event.Touches {
		key := record.Key{Building: o.config.Building, Kind: touch.Kind, ID: touch.ID}
		if !o.refused(t.event.Dot(), key, touch.Field) {
			continue
		}
		rule, _ := o.config.Rules.Field(touch.Kind, touch.Field)
		f := replica.FieldWrite{Field: touch.Field}
		switch {
		case rule.Policy.Kind == merge.Set:
			f.Add, f.Remove = t.details[i].New, t.details[i].Old
		case len(t.details[i].New) > 0:
			f.Value = t.details[i].New[0]
		}
		// One change a record: what a change implies is written once.
		same := func(c Change) bool { return c.Kind == touch.Kind && c.ID == touch.ID }
		of := slices.IndexFunc(changes, same)
		if of < 0 {
			of, changes = len(changes), append(changes, Change{Kind: touch.Kind, ID: touch.ID})
		}
		changes[of].Fields = append(changes[of].Fields, f)
	}
	dot, err := o.Write(now, t.event.Action, t.event.EventTime, changes...)
	if err != nil {
		return fmt.Errorf("write %d again: %w", t.event.N, err)
	}
	for i, r := range o.state.refusals {
		if r.Dot == t.event.Dot() && r.Code == wire.CodeClockAhead {
			o.state.refusals[i].Reissued = dot
		}
	}
	return nil
}

// TakeReceipt takes a statement about an own replica. Only the cloud's, signed, settles;
// any server's saves pushing again. A receipt for another history than this phone's says
// that a copy of the app writes under the same replica: it goes on under a new one.
func (o *Outbox) TakeReceipt(server string, now int64, r record.Receipt) error {
	if _, ours := o.state.hashes[record.Dot{Replica: r.Replica, N: 1}]; !ours {
		return nil // of another node
	}
	cloud := r.Issuer == record.NodeID(o.config.Cloud)
	if cloud {
		if err := r.Verify(o.config.Building, o.config.Cloud); err != nil {
			return &replica.Refusal{Code: wire.CodeBadSignature, Detail: err.Error()}
		}
	}
	own, written := o.state.hashes[record.Dot{Replica: r.Replica, N: r.N}]
	switch {
	case written && own != r.Hash:
		_, err := o.fork(now, record.Dot{Replica: r.Replica, N: firstOwn})
		return err
	case !written && o.minted && r.Replica == o.state.replica && r.N > o.state.n:
		_, err := o.fork(now, record.Dot{Replica: r.Replica, N: o.state.n + 1}) // somebody else writes under it
		return err
	}
	upTo := r.N
	if known, ok := o.held[server]; ok && written {
		known.upTo[r.Replica] = max(known.upTo[r.Replica], r.N)
	} else if !written {
		// This app was restored from an old copy, or another was copied from it: the receipt is
		// for numbers that it never wrote, and counts for those of which the server said here
		// that it has the same.
		upTo = o.held[server].upTo[r.Replica]
	}
	for i, t := range o.state.transactions {
		if cloud && t.event.Replica == r.Replica && t.event.N <= min(r.Settled, upTo) {
			o.state.transactions[i].settled = true
		}
	}
	return nil
}

// takeBeyond takes the cloud's statement on transactions above a number that it lacks. It
// names no hashes: it counts where the server has answered for these very transactions in
// this run, and not for those of a copy of the app.
func (o *Outbox) takeBeyond(server string, b record.Beyond) error {
	if b.Issuer != record.NodeID(o.config.Cloud) {
		return nil
	}
	if err := b.Verify(o.config.Building, o.config.Cloud); err != nil {
		return &replica.Refusal{Code: wire.CodeBadSignature, Detail: err.Error()}
	}
	for i, t := range o.state.transactions {
		if t.event.Replica == b.Replica && b.Has(t.event.N) && t.event.N <= o.held[server].upTo[b.Replica] {
			o.state.transactions[i].settled = true
		}
	}
	return nil
}

// leave ends the use of a replica of which a server lacks numbers that this phone has let
// go of. The next write begins another, whose lineage goes on at the last number before
// them: there its entries can be raised (SPEC R8), whatever became of the gap.
func (o *Outbox) leave(w wire.Want) {
	if w.From < 2 || !o.standsOn(w.Replica) {
		return
	}
	if !slices.Contains(o.state.missing, w) && len(o.state.missing) < missingMax {
		o.state.missing = append(o.state.missing, w)
	}
	last := record.Dot{Replica: w.Replica, N: w.From - 1}
	if o.state.base.N == 0 || last.Compare(o.state.base) < 0 {
		o.state.base = last
	}
	o.minted = false
}

// missingMax bounds the list of gaps for the status screen.
const missingMax = 100

// standsOn reports whether the next write would be in the lineage of a replica.
func (o *Outbox) standsOn(id record.ReplicaID) bool {
	next := o.state.replica
	if o.state.base.N > 0 {
		next = o.state.base.Replica
	}
	for !next.IsZero() {
		if next == id {
			return true
		}
		next = o.state.cards[next].Predecessor.Replica
	}
	return false
}

// Missing lists numbers of own replicas that some server asked for and this phone no longer
// has: events that may be lost for good.
func (o *Outbox) Missing() []wire.Want { return slices.Clone(o.state.missing) }

// TakePage merges a page of a server's view and lets go of transactions that the cloud
// has settled and that what was pulled covers. It reports whether there was more.
func (o *Outbox) TakePage(server string, now int64, p wire.Page) (more bool, err error) {
	if err := o.learn(now, p); err != nil {
		return false, err
	}
	o.state.proofs.Take(o.config.Building, p)
	if len(p.Issuer) == ed25519.PublicKeySize {
		o.state.issuers[server] = record.NodeID(p.Issuer)
	}
	for _, item := range p.Events {
		e, err := record.DecodeEvent(item.Body)
		if err != nil || e.Building != o.config.Building || e.Card == nil || e.Card.Validate() != nil {
			continue // a phone has no use for other events
		}
		if _, known := o.state.cards[e.Replica]; !known {
			o.state.cards[e.Replica] = *e.Card
		}
	}
	for _, item := range p.Records {
		r, err := record.Decode(item.Body)
		if err != nil {
			return false, fmt.Errorf("pulled %s %s: %w", item.Kind, item.ID, err)
		}
		key := record.Key{Building: o.config.Building, Kind: item.Kind, ID: item.ID}
		o.state.pulled[key] = merge.Merge(o.state.pulled[key], o.state.copies.Cut(r, o), o)
		delete(o.state.forgotten, key)
		for _, f := range r.Fields {
			for _, s := range f.Siblings {
				o.state.stamp = hlc.Observe(o.state.stamp, s.Stamp, now+o.state.offset)
			}
		}
	}
	forget, err := o.state.copies.Take(o.config.Building, p, o)
	if err != nil {
		return false, err
	}
	o.forget(forget)
	if p.Last && len(p.Issuer) > 0 && record.NodeID(p.Issuer) == record.NodeID(o.config.Cloud) {
		o.unseen()
	}
	for _, r := range p.Receipts {
		if err := o.TakeReceipt(server, now, r); err != nil {
			return false, err
		}
	}
	for _, b := range p.Beyond {
		if err := o.takeBeyond(server, b); err != nil {
			return false, err
		}
	}
	o.state.cursors[server] = wire.Cursor{Generation: p.Generation, View: p.View, Position: p.To, Anchor: p.Anchor}
	o.state.transactions = slices.DeleteFunc(o.state.transactions, func(t transaction) bool {
		return t.event.Card == nil && t.settled && o.covered(t)
	})
	return !p.Last && (p.To > p.From || p.To == 0), nil // an empty one says to begin at zero
}

// covered reports whether what was pulled includes every admitted part of a transaction.
func (o *Outbox) covered(t transaction) bool {
	for _, touch := range t.event.Touches {
		key := record.Key{Building: o.config.Building, Kind: touch.Kind, ID: touch.ID}
		if !o.refused(t.event.Dot(), key, touch.Field) && !o.state.forgotten[key] && !merge.Covers(o.state.pulled[key].Context, touch.Field, t.event.Dot(), o) {
			return false
		}
	}
	return true
}

// unseen notes, at the end of a pull from the cloud, the records of transactions that it
// settled before and did not show: they are not in this person's view, and never will cover
// them.
func (o *Outbox) unseen() {
	for _, t := range o.state.transactions {
		if !t.settled {
			continue
		}
		for _, touch := range t.event.Touches {
			key := record.Key{Building: o.config.Building, Kind: touch.Kind, ID: touch.ID}
			if _, held := o.state.pulled[key]; !held {
				o.state.forgotten[key] = true
			}
		}
	}
}
