package sim

import (
	"context"
	"maps"
	"math"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// This file is what the world is like where a rule is not kept (see Rule).

// without changes what a decision reads.
func (t *hostTx) without(have *replica.Have) {
	rules := t.h.w.config.Without
	if rules.Has(FreshIdentity) {
		have.State.Boot = t.h.disk.boot
	}
	if rules.Has(ExactRaising) {
		for k, touches := range have.Touches {
			var refused []replica.PhoneTouch
			for _, p := range touches {
				if p.Refused {
					refused = append(refused, p)
				}
			}
			have.Touches[k] = refused
		}
	}
	if rules.Has(NamedNumbers) {
		if t.loaded == nil {
			t.loaded = map[record.ReplicaID]replica.Chain{}
		}
		have.Chains = maps.Clone(have.Chains)
		for id, c := range have.Chains {
			if c.Card == nil || c.Card.Predecessor.N == 0 || c.Card.Tier == record.TierPhone {
				continue
			}
			t.loaded[id] = c
			c.Card = allOf(c.Card)
			have.Chains[id] = c
		}
	}
}

// allOf is a card that covers all of its predecessor, whatever it names.
func allOf(c *record.Card) *record.Card {
	all := *c
	all.Predecessor.N = math.MaxUint64
	return &all
}

// restore takes out of what is saved what without put in.
func (t *hostTx) restore(e *replica.Effects) {
	for i, c := range e.Chains {
		if was, ok := t.loaded[c.Replica]; ok {
			e.Chains[i].Card = was.Card
		}
	}
	if t.h.w.config.Without.Has(Unproven) {
		e.Quarantine = slices.DeleteFunc(slices.Clone(e.Quarantine), func(q replica.QuarantineRow) bool { return q.Code == wire.CodeChainUnproven })
	}
	if t.h.w.config.Without.Has(QuarantineJoin) {
		for i, q := range e.Quarantine {
			if body, ok := t.h.incoming[q.Key]; ok && !q.Theirs {
				e.Quarantine[i].Body = body
			}
		}
	}
}

// unplaced is what a store reads of events, without where they lie in its feed: by that a
// greeting tells whether a cursor fits its reader.
func (h *host) unplaced(rows []replica.EventRow) []replica.EventRow {
	if !h.w.config.Without.Has(CursorCheck) {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Position = 0
	}
	return rows
}

// ready leaves out what is not to be read yet.
func (h *host) ready(page replica.FeedPage, after uint64) replica.FeedPage {
	if !h.w.config.Without.Has(PositionLock) || h.w.healing {
		return page
	}
	end := page.End
	if n := len(page.Items); n > 0 && page.Items[n-1].Position == page.End {
		end = after
	}
	var items []replica.FeedItem
	for _, item := range page.Items {
		if h.disk.unready[item.Position] > h.w.at {
			h.w.count("position not ready")
			continue
		}
		items = append(items, item)
		end = max(end, item.Position)
	}
	page.Items, page.End = items, end
	return page
}

// unlocked lets the positions of a commit be readable later than those of the next ones.
func (h *host) unlocked(c change) {
	if !h.w.config.Without.Has(PositionLock) || !h.w.chance(.5) {
		return
	}
	until := h.w.at + 1 + h.w.random.IntN(40)
	for _, row := range c.effects.Records {
		h.disk.unready[row.Position] = until
	}
}

// trusts has an app let go of what a server says that it holds, whichever server it is.
func (w *world) trusts(a *app, r *record.Receipt) {
	if r == nil || !w.config.Without.Has(SettledReceipts) {
		return
	}
	s := &a.phone.State
	s.Log = slices.DeleteFunc(s.Log, func(t Transaction) bool {
		held := t.Event.Replica == r.Replica && t.Event.N <= r.N
		if held && t.Event.Card == nil {
			w.count("let go of what a server holds")
			s.Chains[r.Replica].Events[t.Event.N-1] = wire.EventItem{}
		}
		return held
	})
}

// arrived is a page of the past as its receiver looks at it.
func (w *world) arrived(p wire.Page) wire.Page {
	if w.config.Without.Has(ContiguousCursor) {
		p.From = 0
	}
	if w.config.Without.Has(PageReader) {
		p.Reader = record.ID{}
	}
	return p
}

// undo takes out what was merged and should have been refused.
func (w *world) undo(h *host, k record.Key, field, value string) {
	_, err := h.node.Write(context.Background(), k.Building, []record.Key{k}, func(c replica.Current) (replica.Intent, error) {
		in := replica.Intent{Actor: record.Actor{Class: record.Automation, Name: "undo"}, Action: "undo"}
		for _, s := range c.Record(k).Siblings(field) {
			if v, _ := s.Value.AsText(); v == value {
				seen := record.Context{Dots: []record.FieldDot{{Field: field, Dot: s.Dot}}}
				in.Writes = append(in.Writes, replica.RecordWrite{Key: k, Seen: &seen, Fields: []replica.FieldWrite{{Field: field}}})
			}
		}
		return in, nil
	})
	if err != nil && !stumbles(err) {
		w.violate("undo at %s: %v", h.name, err)
	}
	w.undone[value] = true
}
