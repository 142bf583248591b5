package sim

import (
	"context"
	"errors"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

func (w *world) phoneWrite(a *app) {
	p := a.phone
	k := w.ticket(p.Building)
	field := pick(w, []string{"note", "title", "status", "mood"})
	if w.chance(.05) {
		k, field = w.key(p.Building, Setting, 0), "value" // nobody admits it
	}
	if w.chance(.2) {
		w.phoneTag(a, k)
		return
	}
	var puts []Put
	over := map[string][]string{}
	for range 1 + w.random.IntN(2) {
		v := w.value(p.Building, a.name)
		put := p.Set(k, field, v)
		for _, s := range put.Replaced {
			if o, ok := s.Value.AsText(); ok {
				over[o] = append(over[o], v)
			}
		}
		puts = append(puts, put)
		next := w.ticket(p.Building)
		if next == k {
			break
		}
		k, field = next, "title"
	}
	if _, err := p.Write(puts...); err != nil {
		w.violate("%s: %v", a.name, err)
		return
	}
	w.count("phone write")
	for o, by := range over {
		w.over[o] = append(w.over[o], by...)
	}
}

// phoneTag adds a member to a set, or removes one.
func (w *world) phoneTag(a *app, k record.Key) {
	p := a.phone
	k.Kind = Ticket
	v := w.value(p.Building, a.name)
	put := Put{Key: k, Field: "tags", Values: []record.Value{record.Text(v)}}
	if members := p.View(k).Siblings("tags"); len(members) > 0 && w.chance(.5) {
		gone := pick(w, members)
		put.Values, put.Replaced = nil, []record.Sibling{gone}
		o, _ := gone.Value.AsText()
		w.over[o] = append(w.over[o], v)
		w.removals[v] = true
	}
	if _, err := p.Write(put); err != nil {
		w.violate("%s: %v", a.name, err)
		return
	}
	w.count("phone tag")
}

// admit refuses what nobody may write, and at times what somebody may.
func (w *world) admit(k record.Key, field string, _ []record.Value, _, _ record.Record) string {
	if k.Kind == Setting {
		return wire.CodeRecordForbidden
	}
	if w.config.Faults.Refuse && !w.healing && field == "note" && w.chance(.4) {
		w.count("refusal")
		return wire.CodeFieldForbidden
	}
	return ""
}

func (w *world) push(a *app, h *host) {
	p := a.phone
	for _, r := range p.Outbox() {
		limit := 50
		if !w.healing && w.chance(.4) {
			limit = 1 + w.random.IntN(3)
		}
		push := p.Push(r, limit)
		a.pushes = append(a.pushes, push)
		if len(a.pushes) > strayMax {
			a.pushes = a.pushes[1:]
		}
		w.give(a, h, push)
	}
}

// give hands a push to a server, and its answer to the phone unless it is lost.
func (w *world) give(a *app, h *host, push wire.Push) {
	p := a.phone
	for range 4 {
		peer := replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: p.Person}
		answer, err := h.node.ApplyPush(context.Background(), p.Building, peer, w.admit, push)
		if errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure) || errors.Is(err, errDisk) {
			w.count("push not taken")
			return
		}
		if err != nil {
			w.violate("%s pushes to %s: %v", a.name, h.name, err)
			return
		}
		if !w.healing && w.chance(.15) {
			w.count("answer lost")
			return
		}
		if err := p.Pushed(answer, h.node.Tier, h.public()); err != nil {
			w.violate("%s: %v", a.name, err)
		}
		w.reissue(a, answer)
		if len(answer.Wants) == 0 {
			return
		}
		var ok bool
		if push, ok = p.Answer(answer.Wants[0]); !ok {
			return
		}
	}
}

// reissue corrects a phone's clock and writes what was refused for it again.
func (w *world) reissue(a *app, answer wire.Pushed) {
	p := a.phone
	if d := answer.Time - (p.Now() + p.State.Offset); d > 60_000 || d < -60_000 {
		p.State.Offset += d
		p.State.Stamp = min(p.State.Stamp, hlc.At(answer.Time))
	}
	var puts []Put
	for _, result := range answer.Results {
		for _, part := range result.Refused {
			if part.Code != wire.CodeClockAhead {
				continue
			}
			for _, t := range p.State.Log {
				i := slices.IndexFunc(t.Event.Touches, func(t record.Touch) bool { return t.Kind == part.Kind && t.ID == part.ID && t.Field == part.Field })
				if t.Event.Dot() != result.Dot || i < 0 {
					continue
				}
				k := record.Key{Building: p.Building, Kind: part.Kind, ID: part.ID}
				old := p.View(k).Siblings(part.Field)
				if part.Field == "tags" {
					old = slices.DeleteFunc(slices.Clone(old), func(s record.Sibling) bool { return !slices.Contains(t.Event.Touches[i].Replaced, s.Dot) })
				}
				puts = append(puts, Put{Key: k, Field: part.Field, Values: t.Details[i].New, Replaced: old})
			}
		}
	}
	for _, put := range puts {
		w.count("phone reissue")
		if _, err := p.Write(put); err != nil {
			w.violate("%s: %v", a.name, err)
		}
		if len(put.Values) == 0 {
			continue
		}
		v, _ := put.Values[0].AsText()
		for _, s := range put.Replaced {
			if o, ok := s.Value.AsText(); ok && o != v {
				w.over[o] = append(w.over[o], v)
			}
		}
	}
}

func (w *world) pull(a *app, h *host) {
	p := a.phone
	for range 200 {
		page, err := h.node.ReadView(context.Background(), p.Building, replica.View{May: w.shown}, wire.Pull{Cursor: p.State.Cursors[h.node.ID()]})
		if err != nil {
			w.violate("%s pulls from %s: %v", a.name, h.name, err)
			return
		}
		if !w.healing && w.chance(.15) {
			w.count("answer lost")
			return
		}
		if err := p.Pulled(h.node.ID(), page); err != nil {
			w.violate("%s: %v", a.name, err)
			return
		}
		if page.Last {
			return
		}
	}
	w.violate("%s: the pull from %s never ends", a.name, h.name)
}

// shown hides what phones may not see.
func (w *world) shown(k record.Key, _, _ record.Record) bool { return k.Kind != Setting }
