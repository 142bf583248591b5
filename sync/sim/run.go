package sim

import (
	"errors"
	"fmt"
	"strings"

	"estate/sync/record"
)

// Config is one run. Equal configs make equal runs.
type Config struct {
	Seed uint64
	// Steps is how many things happen before the network heals; zero means StepsUsual.
	Steps  int
	Faults Faults
	// KeepBoot breaks rule R1 on purpose: a restored node does not notice that it was
	// restored. Runs must then fail; it shows that the oracle can see a loss.
	KeepBoot bool
}

// StepsUsual is enough for every kind of fault to meet others.
const StepsUsual = 300

// Faults are the kinds of trouble that a run may meet.
type Faults struct {
	Network bool // cut lines, late, repeated and lost pages, answers and pushes
	Crash   bool // restarts of every node
	Store   bool // commits that fail or whose answer is lost, records that break a store
	Restore bool // old snapshots of edges, the cloud and phones
	Clone   bool // a copy of an edge's disk runs beside it
	Refuse  bool // authorities that refuse what others admit
	Clock   bool // wrong and jumping clocks
}

// AllFaults is everything at once.
func AllFaults() Faults {
	return Faults{Network: true, Crash: true, Store: true, Restore: true, Clone: true, Refuse: true, Clock: true}
}

// Report says what a run met and what it found.
type Report struct {
	Seed   uint64
	Counts map[string]int // how often each thing happened
	// Violations is what the oracle found; empty is good.
	Violations []string
	// Digest is a hash over the final state of all nodes: equal for equal configs.
	Digest record.Hash
}

// ErrViolated says that a run broke an invariant; the Report has the details.
var ErrViolated = errors.New("sim: an invariant is broken")

// Run plays one world and asks the oracle. The error names the seed.
func Run(c Config) (Report, error) {
	if c.Steps == 0 {
		c.Steps = StepsUsual
	}
	w := newWorld(c)
	for range c.Steps {
		w.step()
	}
	w.heal()
	w.judge()
	w.report.Digest = w.digest()
	if len(w.report.Violations) > 0 {
		return w.report, fmt.Errorf("%w: seed %d, %d steps: %s", ErrViolated, c.Seed, c.Steps, strings.Join(w.report.Violations, "; "))
	}
	return w.report, nil
}

// step is one thing that happens.
func (w *world) step() {
	w.now += w.random.Int64N(3000)
	f := w.config.Faults
	switch q := w.random.Float64(); {
	case q < .16:
		w.write(pick(w, w.hosts))
	case q < .26:
		w.phoneWrite(pick(w, w.apps))
	case q < .36:
		a := pick(w, w.apps)
		w.push(a, pick(w, a.servers))
	case q < .44:
		a := pick(w, w.apps)
		w.pull(a, pick(w, a.servers))
	case q < .50:
		if l := pick(w, w.lines); !l.open {
			w.connect(l)
		}
	case q < .80:
		w.move()
	case q < .84:
		w.snapshot()
	case q < .90:
		if f.Network {
			w.network()
		}
	case q < .93:
		if f.Crash {
			w.crash()
		}
	case q < .96:
		if f.Store {
			w.breakStore()
		}
	case q < .98:
		if f.Clock {
			w.clocks()
		}
	default:
		w.restore()
	}
}

// move delivers some frames of some line.
func (w *world) move() {
	l := pick(w, w.lines)
	for range 1 + w.random.IntN(6) {
		if !l.open {
			return
		}
		e := l.ends[w.random.IntN(2)]
		e.notice()
		if l.open && len(e.in) > 0 {
			e.deliver()
		}
	}
}

func (w *world) network() {
	switch w.random.IntN(4) {
	case 0:
		if l := pick(w, w.lines); l.open {
			w.count("line cut")
			l.close()
		}
	case 1, 2:
		w.late()
	default:
		if a := pick(w, w.apps); len(a.pushes) > 0 {
			w.count("late push")
			w.give(a, pick(w, a.servers), pick(w, a.pushes))
		}
	}
}

func (w *world) crash() {
	if w.chance(.4) {
		w.count("phone restart")
		pick(w, w.apps).phone.Restart()
		return
	}
	w.count("restart")
	pick(w, w.hosts).start()
}

func (w *world) breakStore() {
	h := pick(w, w.hosts)
	switch w.random.IntN(4) {
	case 0:
		w.count("commit fails")
		h.commit = "busy"
	case 1:
		w.count("commit unsure")
		h.commit = "unsure"
	case 2:
		w.count("bad record")
		h.bad = w.ticket(pick(w, h.buildings))
	default:
		h.bad = record.Key{}
	}
}

// Clocks are wrong by up to three hours; the cloud's is right.
const skewMax = 3 * 3600_000

func (w *world) clocks() {
	skew := w.random.Int64N(2*skewMax) - skewMax
	if w.chance(.3) {
		skew = 0
	}
	w.count("clock jump")
	if w.chance(.5) {
		pick(w, w.apps).skew = skew
		return
	}
	if h := pick(w, w.hosts); h != w.cloud {
		h.skew = skew
	}
}

func (w *world) snapshot() {
	if w.chance(.3) {
		a := pick(w, w.apps)
		a.snapshots = append(a.snapshots, a.phone.State.Clone())
		return
	}
	h := pick(w, w.hosts)
	h.snapshots = append(h.snapshots, h.disk.clone())
}

func (w *world) restore() {
	f := w.config.Faults
	if f.Clone && len(w.hosts) == 4 && w.chance(.2) {
		w.clone()
		return
	}
	if !f.Restore {
		return
	}
	if a := pick(w, w.apps); w.chance(.25) && len(a.snapshots) > 0 {
		w.count("restore phone")
		a.phone.State = pick(w, a.snapshots).Clone()
		a.phone.Restart()
		return
	}
	h := pick(w, w.hosts)
	if len(h.snapshots) == 0 {
		return
	}
	w.count("restore " + h.node.Tier.String())
	boot := h.boot
	h.disk = pick(w, h.snapshots).clone()
	h.start()
	if w.config.KeepBoot {
		h.boot = boot
	}
}

// clone starts a copy of a running edge's disk beside it: the same key, the same past.
func (w *world) clone() {
	w.count("clone")
	from := w.hosts[1]
	h := w.newHost("clone", "edge1", record.TierEdge, from.buildings...)
	h.disk = from.disk.clone()
	w.newLine(h)
}
