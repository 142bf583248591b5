package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// write is a local write of a host: fields, sets, facts, and what the tier may not write.
func (w *world) write(h *host) {
	if h.relay {
		return
	}
	b := pick(w, h.buildings)
	k := w.ticket(b)
	fields := []string{pick(w, []string{"note", "title", "status", "tags", "priority", "mood"})}
	switch {
	case w.chance(.1):
		k, fields = w.key(b, Message, w.writes), []string{"text"}
	case w.chance(.15):
		k, fields = w.key(b, Setting, w.random.IntN(2)), []string{"value"}
	case w.config.Faults.Has(Schema) && w.chance(.15):
		k, fields = w.key(b, Survey, w.random.IntN(2)), []string{"answer"}
	case w.chance(.3):
		if extra := pick(w, []string{"note", "title"}); extra != fields[0] {
			fields = append(fields, extra)
		}
	}
	var before record.Record
	values := map[string]string{}
	seen, stale := w.seen[k]
	stale, keep := stale && w.chance(.3), w.chance(.3)
	class := record.Person
	if w.chance(.2) {
		class = record.Automation
	}
	out, err := h.node.Write(context.Background(), b, []record.Key{k}, func(c replica.Current) (replica.Intent, error) {
		before = c.Record(k)
		rw := replica.RecordWrite{Key: k}
		if stale {
			rw.Seen = &seen
		}
		for _, f := range fields {
			values[f] = w.value(b, h.name)
			rw.Fields = append(rw.Fields, w.fieldWrite(f, values[f], before))
		}
		return replica.Intent{Actor: record.Actor{Class: class, Name: h.name}, Action: "write", Writes: []replica.RecordWrite{rw}}, nil
	})
	if keep {
		w.seen[k] = before.Context
	}
	code := replica.RefusalCode(err)
	switch {
	case err == nil || errors.Is(err, replica.ErrUnsure):
		w.count("write", h.name, k.Kind, fmt.Sprint(values))
		if k.Kind == Survey {
			w.count("unknown kind written")
		}
		for _, f := range fields {
			w.replaced(before.Siblings(f), out.Records[k].Siblings(f), values[f])
			w.acknowledge(h, values[f], err == nil)
		}
		w.erase(h, b)
	case stumbles(err):
		w.count("write not taken")
	case code == wire.CodeKindNotYours && h.node.Tier == record.TierEdge && k.Kind == Setting:
		w.count("kind not yours")
	case (code == wire.CodeFieldUnknown || code == wire.CodeKindUnknown) && h.old:
		w.count("release before cannot write it")
	default:
		w.violate("write at %s: %v", h.name, err)
	}
}

// replaced notes which values a write took away.
func (w *world) replaced(before, after []record.Sibling, by string) {
	for _, s := range before {
		if o, ok := s.Value.AsText(); ok && !slices.ContainsFunc(after, func(n record.Sibling) bool { return n.CompareIdentity(s) == 0 }) {
			w.over[o] = append(w.over[o], by)
		}
	}
	if !slices.ContainsFunc(after, func(n record.Sibling) bool { v, _ := n.Value.AsText(); return v == by }) {
		w.removals[by] = true // of a member of a set: there is no value that could stand
	}
}

func (w *world) fieldWrite(field, v string, r record.Record) replica.FieldWrite {
	members := r.Siblings(field)
	switch {
	case field == "tags" && len(members) > 0 && w.chance(.5):
		return replica.FieldWrite{Field: field, Remove: []record.Value{pick(w, members).Value}}
	case field == "tags":
		return replica.FieldWrite{Field: field, Add: []record.Value{record.Text(v)}}
	}
	return replica.FieldWrite{Field: field, Value: record.Text(v)}
}

func (w *world) phoneWrite(a *app) {
	p := a.phone
	k := w.ticket(p.Building)
	field := pick(w, []string{"note", "title", "status", "mood"})
	switch {
	case w.chance(.05):
		k, field = w.key(p.Building, Setting, 0), "value" // nobody admits it
	case w.config.Faults.Has(Schema) && w.chance(.1):
		k, field = w.key(p.Building, Survey, w.random.IntN(2)), "answer"
	case w.chance(.2):
		w.phoneTag(a, k)
		return
	}
	if a.old && (field == "mood" || k.Kind == Survey) {
		w.count("release before cannot write it")
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
	w.count("phone write", a.name, fmt.Sprint(over))
	for o, by := range over {
		w.over[o] = append(w.over[o], by...)
	}
}

// phoneTag adds a member to a set, or removes one.
func (w *world) phoneTag(a *app, k record.Key) {
	p := a.phone
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
