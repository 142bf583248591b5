// Package crash kills the real programs with SIGKILL at random moments while load runs, and
// then looks for every write that was acknowledged.
//
// It must never read a store: what it looks for it finds through the public API, as a
// person, a phone or a sensor would. What was acknowledged it keeps outside of the programs
// that it kills.
package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"estate/internal/lab"
	"estate/internal/lab/stack"
)

const (
	// healMax bounds how long everything may take to be in step again after the last kill:
	// twice the longest pause of an uplink, and the work itself on a busy machine.
	healMax = 90 * time.Second
	// findingsMax is what a person reads of one kind of failure.
	findingsMax = 20
	// sensorsMin and sensorsMax bound the simulated devices of a building: each has an alarm
	// and a few readings to give.
	sensorsMin, sensorsMax = 8, 400
	// sensorsACycle is how many sensors a cycle uses up at most.
	sensorsACycle = 2
)

// Options say what to run.
type Options struct {
	// Dir keeps everything while it runs. PostgreSQL's account must be able to enter it.
	Dir      string
	Binaries lab.Binaries
	// Cycles is how many times something is killed; Seed decides what and when.
	Cycles int
	Seed   uint64
	// Progress takes a line per step, Cycle the count of cycles; nil for none.
	Progress func(line string)
	Cycle    func(done int)
}

// Run kills, heals and looks. The error says why it could not be carried out; what was
// found wrong is in the report.
func Run(ctx context.Context, o Options) (report Report, err error) {
	began := time.Now()
	w, err := open(ctx, o)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	w.say("load begins")
	killed := newKiller(w)
	if err := w.underLoad(ctx, killed.run); err != nil {
		return Report{}, err
	}
	w.say("all is up again: waiting until nothing waits")
	healed, err := w.heal(ctx)
	if err != nil {
		return Report{}, err
	}
	w.say("looking for %d writes", w.ledger.count())
	if err := w.verify(ctx); err != nil {
		return Report{}, err
	}
	if err := w.honestTime(ctx); err != nil {
		return Report{}, err
	}
	report = w.ledger.report()
	report.Seed, report.Cycles, report.Kills, report.Healed = o.Seed, o.Cycles, killed.kills, healed
	report.Took, report.Findings, report.Notes = time.Since(began), w.findings.all(), append(w.notes.all(), w.answers.notes()...)
	return report, nil
}

// world is one run.
type world struct {
	*stack.Stack
	options  Options
	sites    []*site
	clock    *clockFile
	ledger   *ledger
	findings *list
	notes    *list
	answers  *answers
}

func (w *world) say(format string, args ...any) {
	if w.options.Progress != nil {
		w.options.Progress(fmt.Sprintf(format, args...))
	}
}

// underLoad runs the killer while everybody writes, and ends both.
func (w *world) underLoad(ctx context.Context, kill func(context.Context) error) error {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var load sync.WaitGroup
	for n, s := range w.sites {
		for m, work := range s.workers() {
			random := rand.New(rand.NewPCG(w.options.Seed, uint64(n*1000+m))) //nolint:gosec // repeats, is no secret
			load.Go(func() { work(writing, random) })
		}
	}
	err := kill(ctx)
	stop()
	load.Wait()
	return err
}

// pause waits for a while or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// between is a random time within bounds.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}
