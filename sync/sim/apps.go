package sim

import (
	"context"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// merged is a part that was merged and should have been refused (without AdmissionFirst).
type merged struct {
	key   record.Key
	field string
	value string
}

// admit refuses what nobody may write, what its author may no longer write as far as this
// server knows, and at times what another admits.
func (w *world) admit(h *host, a *app, wrong *[]merged) replica.Admit {
	judge := func(field string) string {
		switch {
		case a.gone && h.disk.gone[a.phone.Person]:
			w.count("revoked person refused")
			return wire.CodeAuthorRevoked
		case w.config.Faults.Has(Refuse) && !w.healing && field == "note" && w.chance(.4):
			w.count("refusal")
			return wire.CodeFieldForbidden
		}
		return ""
	}
	return func(k record.Key, field string, values []record.Value, _, _ record.Record) string {
		code := judge(field)
		if code != "" && w.config.Without.Has(AdmissionFirst) && len(values) == 1 && field != "tags" {
			v, _ := values[0].AsText()
			*wrong = append(*wrong, merged{key: k, field: field, value: v})
			return ""
		}
		return code
	}
}

func (w *world) push(a *app, h *host) {
	p := a.phone
	w.trace("push", a.name, h.name)
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
		var wrong []merged
		answer, err := h.node.ApplyPush(context.Background(), p.Building, peer, w.admit(h, a, &wrong), push)
		if err != nil && stumbles(err) {
			w.count("push not taken")
			return
		}
		if err != nil {
			w.violate("%s pushes to %s: %v", a.name, h.name, err)
			return
		}
		for _, m := range wrong {
			w.undo(h, m.key, m.field, m.value)
		}
		if !w.healing && w.config.Faults.Has(Network) && w.chance(.15) {
			w.count("answer lost")
			return
		}
		before, running := p.State.Log, p.State.Replica
		if err := p.Pushed(answer, h.node.Tier, h.public()); err != nil {
			w.violate("%s: %v", a.name, err)
		}
		w.letGo(a, before)
		w.foundOut(a, running)
		w.trusts(a, answer.Receipt)
		w.told(answer)
		w.reissue(a, answer)
		if len(answer.Wants) == 0 {
			return
		}
		w.count("phone fills a gap")
		var ok bool
		if push, ok = p.Answer(answer.Wants[0]); !ok {
			return
		}
	}
}

// foundOut notes that an app learnt that the replica which it was writing under is a copy's,
// too.
func (w *world) foundOut(a *app, running record.ReplicaID) {
	c := a.phone.State.Chains[running]
	if c == nil || c.Fork == 0 || a.phone.State.Replica == running {
		return
	}
	w.count("app found copied", a.name)
	// What runs may stand on a number that another copy wrote, too, and a server that has that
	// number of the other copy refuses its card: the copied one is an earlier run of the app.
	for r, steps := running, 0; steps < 100; steps++ {
		before := a.phone.State.Cards[r].Predecessor
		if w.forks[r] > 0 || w.forks.beyond(before) {
			return
		}
		r = before.Replica
	}
	w.violate("%s takes itself for copied", a.name)
}

func (w *world) told(answer wire.Pushed) {
	for _, result := range answer.Results {
		for _, part := range result.Refused {
			w.count("refused " + part.Code)
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
			if part.Code == wire.CodeClockAhead {
				puts = append(puts, w.again(p, result.Dot, part)...)
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

// again finds a refused part in the outbox and makes the same write of it anew.
func (w *world) again(p *Phone, dot record.Dot, part wire.RefusedPart) []Put {
	var puts []Put
	for _, t := range p.State.Log {
		i := slices.IndexFunc(t.Event.Touches, func(t record.Touch) bool { return t.Kind == part.Kind && t.ID == part.ID && t.Field == part.Field })
		if t.Event.Dot() != dot || i < 0 {
			continue
		}
		k := record.Key{Building: p.Building, Kind: part.Kind, ID: part.ID}
		old := p.View(k).Siblings(part.Field)
		if part.Field == "tags" {
			old = slices.DeleteFunc(slices.Clone(old), func(s record.Sibling) bool { return !slices.Contains(t.Event.Touches[i].Replaced, s.Dot) })
		}
		puts = append(puts, Put{Key: k, Field: part.Field, Values: t.Details[i].New, Replaced: old})
	}
	return puts
}

// pagesMax is far beyond what a pull of a whole building takes.
const pagesMax = 200

func (w *world) pull(a *app, h *host) {
	p := a.phone
	if a.gone && h.disk.gone[p.Person] {
		w.count("revoked person turned away")
		return
	}
	w.trace("pull", a.name, h.name)
	p.State.Copies.Retry(h.node.ID())
	for range pagesMax {
		view := w.view(a)
		page, err := h.node.ReadView(context.Background(), p.Building, view, p.Pull(h.node.ID()))
		if err != nil && stumbles(err) {
			return
		}
		if replica.RefusalCode(err) == wire.CodeOtherHistory && len(w.forks) > 0 {
			w.count("other history", a.name, h.name)
			return
		}
		if err != nil {
			w.violate("%s pulls from %s: %v", a.name, h.name, err)
			return
		}
		if !w.healing && w.config.Faults.Has(Network) && w.chance(.15) {
			w.count("answer lost")
			return
		}
		w.received(a, page)
		before, running := p.State.Log, p.State.Replica
		err = p.Told(page.Receipts, w.clouds[0].public())
		if err == nil {
			err = p.Pulled(h.node.ID(), page)
		}
		if err != nil {
			w.violate("%s: %v", a.name, err)
			return
		}
		w.letGo(a, before)
		w.foundOut(a, running)
		if page.Last {
			w.giveBack(a, h)
			return
		}
	}
	w.violate("%s: the pull from %s never ends", a.name, h.name)
}

// giveBack returns what a server did not send in a whole pass.
func (w *world) giveBack(a *app, h *host) {
	p := a.phone
	for range pagesMax {
		back, some := p.Return(h.node.ID())
		if !some || w.config.Without.Has(Seals) {
			return
		}
		w.count("return", a.name, h.name)
		peer := replica.Peer{Node: p.ID(), Tier: record.TierPhone, Person: p.Person}
		answer, err := h.node.ApplyReturn(context.Background(), p.Building, peer, w.view(a), back)
		if err != nil && stumbles(err) {
			w.count("return not taken")
			return
		}
		if err != nil {
			w.violate("%s returns to %s: %v", a.name, h.name, err)
			return
		}
		for range answer.Restored {
			w.count("restored by a phone")
		}
		for _, r := range answer.Taken.Results {
			if r.Code != "" {
				w.count("return refused " + r.Code)
			}
			if r.Forget {
				w.count("return forgotten")
			}
		}
		if !w.healing && w.config.Faults.Has(Network) && w.chance(.15) {
			w.count("answer lost")
			return
		}
		p.Taken(h.node.ID(), answer.Taken)
	}
	w.violate("%s: the return to %s never ends", a.name, h.name)
}
