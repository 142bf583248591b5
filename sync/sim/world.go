package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// The two buildings of every run.
var (
	north = record.DerivedID("building", "north")
	south = record.DerivedID("building", "south")
)

func buildingName(b record.ID) string {
	if b == north {
		return "north"
	}
	return "south"
}

const (
	tickets  = 4
	startsAt = int64(1_790_000_000_000)
)

// world is one run.
type world struct {
	config   Config
	random   *rand.Rand
	now      int64
	boots    int
	writes   int
	healing  bool
	enrolled map[record.ID]record.Tier
	hosts    []*host
	cloud    *host
	lines    []*line
	strays   []stray
	apps     []*app
	// over maps a value to those that replaced it, knowing it.
	over     map[string][]string
	removals map[string]bool
	seen     map[record.Key]record.Context // an old screen
	report   Report
}

// app is a phone with its paths and what is on its way.
type app struct {
	phone     *Phone
	name      string
	servers   []*host
	skew      int64
	snapshots []PhoneState
	pushes    []wire.Push
}

func newWorld(c Config) *world {
	w := &world{config: c, now: startsAt, enrolled: map[record.ID]record.Tier{}, over: map[string][]string{}, removals: map[string]bool{},
		seen: map[record.Key]record.Context{}, report: Report{Seed: c.Seed, Counts: map[string]int{}}}
	w.random = rand.New(w.stream("choices")) //nolint:gosec // a simulation must be repeatable
	w.cloud = w.newHost("cloud", "cloud", record.TierCloud, north, south)
	one := w.newHost("edge1", "edge1", record.TierEdge, north)
	two := w.newHost("edge2", "edge2", record.TierEdge, north)
	three := w.newHost("edge3", "edge3", record.TierEdge, south)
	for _, e := range []*host{one, two, three} {
		w.newLine(e)
	}
	w.newApp("phone1", north, one, w.cloud)
	w.newApp("phone2", north, two, w.cloud, one)
	w.newApp("phone3", south, three, w.cloud)
	return w
}

func (w *world) newLine(edge *host) {
	l := &line{w: w, building: edge.buildings[0]}
	l.ends = [2]*end{{line: l, host: edge}, {line: l, host: w.cloud}}
	w.lines = append(w.lines, l)
}

func (w *world) newApp(name string, building record.ID, servers ...*host) {
	a := &app{name: name, servers: servers}
	a.phone = NewPhone(building, record.DerivedID("person", name), signingKey(name), w.stream(name), func() int64 { return w.now + a.skew })
	w.apps = append(w.apps, a)
}

func (w *world) count(what string)     { w.report.Counts[what]++ }
func (w *world) chance(p float64) bool { return w.random.Float64() < p }

func (w *world) violate(format string, args ...any) {
	if len(w.report.Violations) < 50 {
		w.report.Violations = append(w.report.Violations, fmt.Sprintf(format, args...))
	}
}

func pick[T any](w *world, list []T) T { return list[w.random.IntN(len(list))] }

func (w *world) value(b record.ID, who string) string {
	w.writes++
	return fmt.Sprintf("%s.%s.%d", buildingName(b), who, w.writes)
}

func (w *world) greeted(g replica.Greeting) {
	if g.Rewound {
		w.count("rewound")
	}
	if len(g.Forks) > 0 {
		w.violate("fork of %d replicas", len(g.Forks))
	}
}

func (w *world) alarms(a replica.Applied) {
	for _, code := range a.Alarms {
		w.count("alarm " + code)
		w.violate("alarm %s", code)
	}
	for _, q := range a.Ack.Quarantined {
		w.count("quarantined " + q.Code)
	}
}

func (w *world) acked(a wire.Ack) {
	for _, q := range a.Quarantined {
		if q.Code == wire.CodeClockAhead {
			w.count("clock corrected")
		}
	}
}

func (w *world) ticket(b record.ID) record.Key {
	return w.key(b, Ticket, w.random.IntN(tickets))
}

func (w *world) key(b record.ID, kind string, n int) record.Key {
	k := record.Key{Building: b, Kind: kind, ID: record.DerivedID(kind, fmt.Sprint(n))}
	return k
}

// write is a local write of a host: fields, sets, facts, and what the tier may not write.
func (w *world) write(h *host) {
	b := pick(w, h.buildings)
	k := w.ticket(b)
	fields := []string{pick(w, []string{"note", "title", "status", "tags", "priority", "mood"})}
	switch {
	case w.chance(.1):
		k, fields = w.key(b, Message, w.writes), []string{"text"}
	case w.chance(.15):
		k, fields = w.key(b, Setting, w.random.IntN(2)), []string{"value"}
	case w.chance(.3):
		if extra := pick(w, []string{"note", "title"}); extra != fields[0] {
			fields = append(fields, extra)
		}
	}
	var before record.Record
	values := map[string]string{}
	out, err := h.node.Write(context.Background(), b, []record.Key{k}, func(c replica.Current) (replica.Intent, error) {
		before = c.Record(k)
		rw := replica.RecordWrite{Key: k}
		if old, ok := w.seen[k]; ok && w.chance(.3) {
			rw.Seen = &old
		}
		for _, f := range fields {
			values[f] = w.value(b, h.name)
			rw.Fields = append(rw.Fields, w.fieldWrite(f, values[f], before))
		}
		if w.chance(.3) {
			w.seen[k] = before.Context
		}
		class := record.Person
		if w.chance(.2) {
			class = record.Automation
		}
		return replica.Intent{Actor: record.Actor{Class: class, Name: h.name}, Action: "write", Writes: []replica.RecordWrite{rw}}, nil
	})
	switch {
	case err == nil || errors.Is(err, replica.ErrUnsure):
		w.count("write")
		for _, f := range fields {
			w.replaced(before.Siblings(f), out.Records[k].Siblings(f), values[f])
		}
	case errors.Is(err, replica.ErrBusy), errors.Is(err, errDisk):
		w.count("write not taken")
	case replica.RefusalCode(err) == wire.CodeKindNotYours && h.node.Tier == record.TierEdge && k.Kind == Setting:
		w.count("kind not yours")
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

// --- phones

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
		peer := replica.Peer{Node: p.ID(), Tier: record.TierPhone}
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
