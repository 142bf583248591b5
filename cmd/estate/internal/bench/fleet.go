package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/internal/synclink"
	"estate/sync/record"
)

const (
	// recordsEach is what every edge has to say when all of them return at once.
	recordsEach = 100
	// idleFull is long enough for two keep-alives of each edge; idleQuick for one of some.
	idleFull, idleQuick = 60 * time.Second, 5 * time.Second
	goalIdleKB          = 64
	fleetTimeout        = 15 * time.Minute
	enrolAtOnce         = 16
	// edgeBytes is what a simulated edge takes of this machine's memory at most, with what
	// the cloud, PostgreSQL and the kernel keep for it.
	edgeBytes = 800 << 10
	// codecsShared are more than there are processors on small machines: an edge that waits
	// for a compressor holds its page twice.
	codecsShared = 8
)

// fleetSizes are how many edges are connected in turn.
func fleetSizes(how options) []int {
	if len(how.edges) > 0 {
		return how.edges
	}
	if how.quick {
		return []int{20, 40}
	}
	return []int{1000, 5000}
}

// armada is a fleet of simulated edges, each of a building of its own.
type armada struct {
	*bench
	clouds []*stack.Cloud
	admin  *apiclient.Client
	db     *pgx.Conn
	ships  []*ship
	words  []string
	// codecs are shared: a compressor takes more memory than all else of a simulated edge.
	codecs []*synclink.Codec
	// writer stands as the author of what the edges write.
	writer record.ID
}

// fleet measures what many edges cost one cloud process while nothing happens, and how they
// come back all at once.
func fleet(ctx context.Context, b *bench) error {
	sizes := fleetSizes(b.how)
	if err := roomFor(fmt.Sprintf("a fleet of %d", slices.Max(sizes)), int64(slices.Max(sizes))*edgeBytes, freeMemory()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fleetTimeout)
	defer cancel()
	defer debug.SetGCPercent(debug.SetGCPercent(simulatedGC))
	a := &armada{bench: b, words: words(), writer: record.DerivedID("bench", "fleet")}
	for range codecsShared {
		codec, err := synclink.NewCodec()
		if err != nil {
			return err
		}
		a.codecs = append(a.codecs, codec)
	}
	for _, name := range []string{"cloud", "cloud-2"} {
		c, err := b.StartCloud(ctx, name)
		if err != nil {
			return err
		}
		a.clouds = append(a.clouds, c)
	}
	var err error
	if a.admin, err = b.SignIn(ctx, a.clouds[0].Base(), "admin"); err != nil {
		return err
	}
	if a.db, err = pgx.Connect(ctx, b.DatabaseURL()); err != nil {
		return fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer func() { _ = a.db.Close(context.WithoutCancel(ctx)) }()
	sailing, anchor := context.WithCancel(ctx)
	defer anchor()
	var crews errgroup.Group
	for _, size := range sizes {
		if err := a.grow(ctx, sailing, &crews, size); err != nil {
			return err
		}
	}
	for _, size := range sizes {
		if err := a.storm(ctx, a.ships[:size]); err != nil {
			return err
		}
	}
	anchor()
	return crews.Wait()
}

// grow enrols and connects edges until there are so many, and measures what an idle one
// costs.
func (a *armada) grow(ctx, sailing context.Context, crews *errgroup.Group, size int) error {
	pid := a.clouds[0].Process().PID()
	_, before := tree(pid)
	had := len(a.ships)
	if err := a.enrol(ctx, size); err != nil {
		return err
	}
	for _, s := range a.ships[had:] {
		s.sail(sailing, crews)
	}
	if err := all(ctx, a.ships, fmt.Sprintf("%d edges to be in step", size)); err != nil {
		return err
	}
	idle := idleFull
	if a.how.quick {
		idle = idleQuick
	}
	in, out := a.traffic()
	m := watch(ctx, map[string]int{"cloud": pid})
	if err := a.rest(ctx, idle); err != nil {
		return err
	}
	spent := m.end()["cloud"]
	moreIn, moreOut := a.traffic()
	_, after := tree(pid)
	perMinute := float64(moreIn-in+moreOut-out) / float64(size) / idle.Minutes()
	a.add(
		plain(fmt.Sprintf("fleet %d idle: memory of the cloud for each edge", size), float64(after-before)/float64(size-had)/1024, "KB").atMost(goalIdleKB),
		plain(fmt.Sprintf("fleet %d idle: bytes on the line for each edge", size), perMinute, "bytes/min"),
		plain(fmt.Sprintf("fleet %d idle: CPU of the cloud", size), 100*spent.cpu.Seconds()/idle.Seconds(), "% of a core"),
		plain(fmt.Sprintf("fleet %d idle: RSS of the cloud", size), float64(after)/mega, "MB"))
	return nil
}

// rest waits while nothing happens; a bench that is ended ends it.
func (a *armada) rest(ctx context.Context, idle time.Duration) error {
	a.say("nothing happens for %s", idle)
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// storm cuts every line, lets each edge of a fleet write, and lets these return at once:
// first one edge with all the records by itself, then the fleet to one process, then the
// fleet to two.
func (a *armada) storm(ctx context.Context, ships []*ship) error {
	size := len(ships)
	total := size * recordsEach
	alone, err := a.drain(ctx, ships[:1], min(total, soloMax), "one edge")
	if err != nil {
		return err
	}
	one, err := a.drain(ctx, ships, recordsEach, fmt.Sprintf("%d edges", size))
	if err != nil {
		return err
	}
	a.add(
		beside(fmt.Sprintf("fleet %d returns at once, %d records each", size, recordsEach), one.rate, "records/s", "one edge with as many", alone.rate).ratioAtLeast(1),
		plain(fmt.Sprintf("fleet %d returns: attempts that failed", size), float64(one.failed), "").atMost(0),
		plain(fmt.Sprintf("fleet %d returns: until the last is in step", size), one.took.Seconds(), "s"))
	a.add(alone.costs("one edge")...)
	a.add(one.costs(fmt.Sprintf("fleet %d returns", size))...)
	for i, s := range ships {
		s.steer(a.clouds[i%2].Base())
	}
	two, err := a.drain(ctx, ships, recordsEach, fmt.Sprintf("%d edges to two processes", size))
	if err != nil {
		return err
	}
	for _, s := range ships {
		s.steer(a.clouds[0].Base())
	}
	a.add(
		beside(fmt.Sprintf("fleet %d returns to two processes", size), two.rate, "records/s", "to one", one.rate).ratioAtLeast(1),
		plain(fmt.Sprintf("fleet %d returns to two processes: attempts that failed", size), float64(two.failed), "").atMost(0))
	a.add(two.costs(fmt.Sprintf("fleet %d returns to two processes", size))...)
	return nil
}

const (
	// soloMax bounds the backlog of the single edge: its rate does not change beyond.
	soloMax = 100_000
	// simulatedGC keeps the garbage of the simulated edges small beside what they hold.
	simulatedGC = 25
)

// drained is how a backlog came in.
type drained struct {
	rate   float64
	took   time.Duration
	failed int64
	// cpu is what a record cost both processes of the cloud, PostgreSQL and the simulated
	// edges, in microseconds.
	cloud, database, edges float64
	// memory is the most that the first process of the cloud held, and own that of the
	// simulated edges when all had written, in megabytes.
	memory, own float64
}

// costs are the lines of the report for what a record took of the processors.
func (d drained) costs(what string) []figure {
	return []figure{
		plain(what+": CPU of the cloud for each record", d.cloud, "µs"),
		plain(what+": CPU of PostgreSQL for each record", d.database, "µs"),
		plain(what+": CPU of the simulated edges for each record", d.edges, "µs"),
		plain(what+": peak RSS of the cloud", d.memory, "MB"),
		plain(what+": RSS of the simulated edges", d.own, "MB"),
	}
}

// drain cuts all lines, has some edges write so many records each, lets these return and
// waits until they are in step. The others stay away.
func (a *armada) drain(ctx context.Context, writers []*ship, each int, what string) (drained, error) {
	for _, s := range a.ships {
		s.away.Store(true)
		s.lose()
	}
	debug.FreeOSMemory() // what the last return left behind
	total := len(writers) * each
	_, err := a.drive(ctx, fmt.Sprintf("writing %d records at %s", total, what), 2, len(writers), func(ctx context.Context, _, i int) error {
		for n := range each {
			if err := writers[i].write(ctx, a.words, a.writer, n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return drained{}, err
	}
	before, err := a.held(ctx)
	if err != nil {
		return drained{}, err
	}
	for _, s := range writers {
		s.failed.Store(0)
		s.away.Store(false)
	}
	memory := ownMemory()
	a.say("%s: all return with %d records", what, total)
	own, meter := ownTime(), watch(ctx, map[string]int{"cloud": a.clouds[0].Process().PID(), "cloud-2": a.clouds[1].Process().PID(), "PostgreSQL": a.Cluster.PID()})
	began := time.Now()
	for _, s := range writers {
		s.uplink().Kick()
	}
	err = stack.PollEvery(ctx, countEvery, what+" to bring "+fmt.Sprint(total)+" records", func() (bool, error) {
		now, err := a.held(ctx)
		return now-before >= int64(total), errors.Join(err, broken(writers))
	})
	took := time.Since(began)
	spent, own := meter.end(), ownTime()-own
	if err := errors.Join(err, all(ctx, writers, what+" to be in step")); err != nil {
		return drained{}, err
	}
	perRecord := func(used time.Duration) float64 { return float64(used.Microseconds()) / float64(total) }
	d := drained{rate: perSecond(total, took), took: time.Since(began), cloud: perRecord(spent["cloud"].cpu + spent["cloud-2"].cpu),
		database: perRecord(spent["PostgreSQL"].cpu), edges: perRecord(own),
		memory: float64(spent["cloud"].rss) / mega, own: float64(memory) / mega}
	reasons := map[string]int64{}
	for _, s := range writers {
		n := s.failed.Load()
		d.failed += n
		if reason := s.reason.Load(); n > 0 && reason != nil {
			reasons[*reason] += n
		}
	}
	for reason, n := range reasons {
		a.say("%d attempts failed: %s", n, reason)
	}
	return d, nil
}

// held counts the events that the cloud holds.
func (a *armada) held(ctx context.Context) (n int64, err error) {
	err = a.db.QueryRow(ctx, `SELECT coalesce(sum(held), 0)::bigint FROM chain`).Scan(&n)
	return n, err
}

// all waits until every one of some edges is in step.
func all(ctx context.Context, ships []*ship, what string) error {
	var missing int
	err := stack.PollEvery(ctx, countEvery, what, func() (bool, error) {
		missing = 0
		for _, s := range ships {
			if !s.inStep() {
				missing++
			}
		}
		return missing == 0, broken(ships)
	})
	if err != nil {
		return fmt.Errorf("%w (%d are not)", err, missing)
	}
	return nil
}

func (a *armada) traffic() (in, out uint64) {
	for _, s := range a.ships {
		in, out = in+s.bytes.in.Load(), out+s.bytes.out.Load()
	}
	return in, out
}

// enrol makes buildings and enrols an edge in each.
func (a *armada) enrol(ctx context.Context, size int) error {
	had := len(a.ships)
	more := make([]*ship, size-had)
	_, err := a.drive(ctx, fmt.Sprintf("enrolling %d edges", len(more)), enrolAtOnce, len(more), func(ctx context.Context, _, i int) error {
		var err error
		more[i], err = a.launch(ctx, had+i)
		return err
	})
	a.ships = append(a.ships, more...)
	return err
}

// berth is the address that an edge speaks from: loopback is a whole network.
func berth(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)})
}
