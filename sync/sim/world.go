package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

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

// digested notes what a digest round met.
func (w *world) digested(d wire.Digest, c replica.Checked) {
	if len(c.Echoes) > 0 {
		w.count("digest equal")
	}
	if len(c.Echoes) < len(d.Items) {
		w.count("digest differs")
	}
}
