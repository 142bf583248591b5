package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"estate/sync/record"
)

// Config is one run. Equal configs make equal runs.
type Config struct {
	Seed uint64
	// Steps is how many things happen before the network heals; zero means StepsUsual.
	Steps  int
	Faults Faults
	// Often are kinds of trouble that come oftenTimes as often as usual, to aim at what only
	// few of many runs would meet. They come only where they are among Faults, too.
	Often Faults
	// Without are rules that nobody keeps; empty for none. Runs must then fail: it shows
	// that the rules are needed, and that the oracle can see what they prevent.
	Without RuleSet
	// Drop are steps that do not happen, ascending: Shrink finds them.
	Drop []int
	// Trace, where set, is told what happens, step by step.
	Trace func(step int, what string)
}

// StepsUsual is enough for every kind of fault to meet others.
const StepsUsual = 300

// Report says what a run met and what it found.
type Report struct {
	Seed   uint64
	Counts map[string]int // how often each thing happened
	Checks int            // how many safety checks were made
	Rounds int            // how many rounds the healed network took to come to rest
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
	for w.at = 1; w.at <= c.Steps; w.at++ {
		if _, dropped := slices.BinarySearch(c.Drop, w.at); dropped {
			continue
		}
		w.random = w.dice(w.at)
		w.step()
		w.endStep()
	}
	w.random = w.dice(-1)
	w.heal()
	w.judge()
	w.report.Digest = w.digest()
	if len(w.report.Violations) > 0 {
		return w.report, fmt.Errorf("%w: seed %d, %d steps: %s", ErrViolated, c.Seed, c.Steps, strings.Join(w.report.Violations, "; "))
	}
	return w.report, nil
}

// step is one thing that happens. What a step does is drawn before it is known whether its
// kind of trouble is wanted: leaving out a kind changes no other step's choice.
func (w *world) step() {
	w.now += w.random.Int64N(3000)
	switch q := w.random.Float64(); {
	case q < .15:
		w.write(pick(w, w.hosts))
	case q < .25:
		w.phoneWrite(pick(w, w.apps))
	case q < .35:
		a := pick(w, w.apps)
		if h := w.server(a); h != nil {
			w.push(a, h)
		}
	case q < .43:
		a := pick(w, w.apps)
		if h := w.server(a); h != nil {
			w.pull(a, h)
		}
	case q < .49:
		if l := pick(w, w.lines); !l.open {
			w.connect(l)
		}
	case q < .77:
		w.move()
	case q < .81:
		w.snapshot()
	default:
		w.trouble()
	}
}

// endStep starts what died in it again and asks whether all is still safe.
func (w *world) endStep() {
	for _, h := range w.hosts {
		if h.down {
			h.start()
		}
	}
	w.safe()
}

// move delivers some frames of some line.
func (w *world) move() {
	l := pick(w, w.lines)
	if len(w.halves) > 0 && w.chance(.3) {
		l = pick(w, w.halves)
	}
	for range 1 + w.random.IntN(6) {
		if !l.open {
			break
		}
		e := l.ends[w.random.IntN(2)]
		if e == nil {
			continue
		}
		e.notice()
		if l.open && len(e.in) > 0 {
			e.deliver()
		}
	}
	w.halves = slices.DeleteFunc(w.halves, func(l *line) bool { return !l.open })
	w.glance(l)
}

// glance has a phone look at its edge while the line behind it is at work: what the cloud
// has of a page and what it has not yet is when its word is easily more than it holds.
func (w *world) glance(l *line) {
	a := pick(w, w.apps)
	if !w.chance(.2) || !l.open || l.ends[0] == nil || l.ends[1] == nil || !slices.Contains(a.servers, l.edge) || a.apart > w.at || !l.edge.reachable() {
		return
	}
	w.push(a, l.edge)
	l.ends[0].notice()
	for _, e := range []*end{l.ends[1], l.ends[0], l.ends[0]} {
		if l.open && len(e.in) > 0 {
			e.deliver()
		}
	}
	if l.edge.reachable() {
		w.pull(a, l.edge)
	}
}

func (w *world) snapshot() {
	if w.chance(.3) {
		a := pick(w, w.apps)
		a.snapshots = append(a.snapshots, a.phone.State.Clone())
		return
	}
	h := pick(w, w.hosts)
	if h.isCloud() {
		h = w.clouds[0]
	}
	h.snapshots = append(h.snapshots, h.disk.clone())
}
