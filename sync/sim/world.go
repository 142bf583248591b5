package sim

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

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
	at       int // the step
	boots    int
	writes   int
	healing  bool
	enrolled map[record.ID]record.Tier
	revoked  map[record.ID]bool
	hosts    []*host // the living ones
	clouds   []*host // the processes of the cloud
	lines    []*line
	halves   []*line // what is left of lines of which one side knows nothing
	strays   []stray
	apps     []*app
	book
	seen   map[record.Key]record.Context // an old screen
	report Report
}

// app is a phone with its paths and what is on its way.
type app struct {
	phone     *Phone
	name      string
	servers   []*host
	skew      int64
	apart     int // it has no network until this step
	old       bool
	manager   bool
	gone      bool // its person was revoked
	snapshots []PhoneState
	pushes    []wire.Push
	roles     int
}

func newWorld(c Config) *world {
	w := &world{config: c, now: startsAt, enrolled: map[record.ID]record.Tier{}, revoked: map[record.ID]bool{}, book: newBook(),
		seen: map[record.Key]record.Context{}, report: Report{Seed: c.Seed, Counts: map[string]int{}}}
	w.random = w.dice(0)
	shared := newDisk()
	w.clouds = append(w.clouds, w.newHost("cloud", "cloud", record.TierCloud, shared, north, south))
	if c.Faults.Has(CloudPair) {
		w.clouds = append(w.clouds, w.newHost("cloud2", "cloud", record.TierCloud, shared, north, south))
	}
	one := w.newHost("edge1", "edge1", record.TierEdge, newDisk(), north)
	two := w.newHost("edge2", "edge2", record.TierEdge, newDisk(), north)
	three := w.newHost("edge3", "edge3", record.TierEdge, newDisk(), south)
	three.relay = c.Seed/7%2 == 0
	for _, e := range []*host{one, two, three} {
		w.newLine(e)
	}
	w.newApp("phone1", north, one)
	w.newApp("phone2", north, two, one)
	w.newApp("phone3", south, three)
	if c.Faults.Has(Schema) {
		w.release()
	}
	return w
}

// dice are the choices of one step: leaving out another step changes none of them.
func (w *world) dice(step int) *rand.Rand {
	return rand.New(rand.NewPCG(w.config.Seed, uint64(step))) //nolint:gosec // a simulation must be repeatable
}

func (w *world) newLine(edge *host) {
	w.lines = append(w.lines, &line{w: w, building: edge.buildings[0], edge: edge})
}

func (w *world) newApp(name string, building record.ID, edges ...*host) {
	a := &app{name: name, servers: edges}
	a.phone = NewPhone(building, record.DerivedID("person", name), signingKey(name), w.stream(name), a.clock(w))
	w.apps = append(w.apps, a)
}

func (a *app) clock(w *world) func() int64 { return func() int64 { return w.now + a.skew } }

// server picks whom a phone talks to: one of its edges, or any process of the cloud. It is
// nil while nobody is in reach.
func (w *world) server(a *app) *host {
	h := pick(w, append(slices.Clone(a.servers), w.clouds[0]))
	if h.isCloud() {
		h = pick(w, w.clouds)
	}
	if a.apart > w.at || !h.reachable() {
		w.count("not reachable")
		return nil
	}
	return h
}

// view is what a server shows to an app's person now.
func (w *world) view(a *app) replica.View {
	v := replica.View{Node: a.phone.ID(), May: func(k record.Key, _, _ record.Record) bool { return a.may(k) }}
	if !w.config.Without.Has(ViewHash) {
		v.Hash = sha256.Sum256(fmt.Appendf(nil, "%s %d", a.name, a.roles))
	}
	return v
}

// may says what an app's person may see: settings are for managers.
func (a *app) may(k record.Key) bool { return k.Kind != Setting || a.manager }

// count notes that something happened, where and to whom if that helps a reader.
func (w *world) count(what string, where ...string) {
	w.report.Counts[what]++
	w.trace(what, where...)
}

func (w *world) trace(what string, where ...string) {
	if w.config.Trace != nil {
		w.config.Trace(w.at, strings.Join(append([]string{what}, where...), " "))
	}
}

func (w *world) chance(p float64) bool { return w.random.Float64() < p }

// violationsMax keeps a report readable: the first ones tell most.
const violationsMax = 50

func (w *world) violate(format string, args ...any) {
	if len(w.report.Violations) < violationsMax {
		w.report.Violations = append(w.report.Violations, fmt.Sprintf("step %d: ", w.at)+fmt.Sprintf(format, args...))
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
	if g.From == 0 {
		w.count("from zero")
	} else {
		w.count("from cursor")
	}
	if len(g.Wants) > 0 {
		w.count("gap wanted")
	}
	if len(g.Forks) > 0 {
		w.count("fork told")
	}
	if len(g.Forks) > 0 && len(w.forks) == 0 {
		w.violate("fork of %d replicas", len(g.Forks))
	}
}

func (w *world) alarms(a replica.Applied) {
	for _, code := range a.Alarms {
		w.count("alarm " + code)
		if code != wire.CodeChainFork || len(w.forks) == 0 {
			w.violate("alarm %s", code)
		}
	}
	for _, q := range a.Ack.Quarantined {
		w.count("quarantined " + q.Code)
	}
	if len(a.Wants) > 0 {
		w.count("gap wanted")
	}
}

func (w *world) acked(a wire.Ack) {
	for _, q := range a.Quarantined {
		if q.Code == wire.CodeClockAhead {
			w.count("clock corrected")
		}
	}
}

// ticket picks one; one that some store cannot take attracts writes, for that is where two
// states of a record are held back.
func (w *world) ticket(b record.ID) record.Key {
	draw := w.chance(.4)
	for _, h := range w.hosts {
		if draw && h.bad.Building == b {
			return h.bad
		}
	}
	return w.key(b, Ticket, w.random.IntN(tickets))
}

func (w *world) tickets(b record.ID) []record.Key {
	var out []record.Key
	for n := range tickets {
		out = append(out, w.key(b, Ticket, n))
	}
	return out
}

func (w *world) key(b record.ID, kind string, n int) record.Key {
	return record.Key{Building: b, Kind: kind, ID: record.DerivedID(kind, fmt.Sprint(n))}
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
