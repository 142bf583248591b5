package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"estate/internal/apiclient"
)

// The names of what is killed.
const (
	killedBackend  = "one PostgreSQL backend"
	killedDatabase = "PostgreSQL"
	killedStarting = ", while it started"
)

// downMax is how long a killed program stays away.
const downMax = 900 * time.Millisecond

// victim is something that can be killed and comes back.
type victim struct {
	name  string
	kill  func() error
	start func(ctx context.Context) error
	// startable says that it can be killed again while it starts.
	startable bool
	// down looks what others say while it is away. May be nil.
	down func(ctx context.Context)
}

// killer kills by its seed.
type killer struct {
	world  *world
	random *rand.Rand
	kills  map[string]int
}

func newKiller(w *world) *killer {
	return &killer{world: w, random: rand.New(rand.NewPCG(w.options.Seed, 0)), kills: map[string]int{}} //nolint:gosec // repeats, is no secret
}

// run does all cycles. In the end everything is up.
func (k *killer) run(ctx context.Context) error {
	pause(ctx, between(k.random, 500*time.Millisecond, time.Second)) // there is load before the first
	for n := range k.world.options.Cycles {
		if err := k.cycle(ctx, n); err != nil {
			return fmt.Errorf("cycle %d: %w", n+1, err)
		}
		if k.world.options.Cycle != nil {
			k.world.options.Cycle(n + 1)
		}
	}
	pause(ctx, time.Second) // and load after the last
	return ctx.Err()
}

func (k *killer) cycle(ctx context.Context, n int) error {
	pause(ctx, between(k.random, 20*time.Millisecond, 1200*time.Millisecond))
	if err := k.disturb(); err != nil {
		return err
	}
	victims := k.choose(n)
	for _, v := range victims {
		if err := v.kill(); err != nil {
			return fmt.Errorf("kill %s: %w", v.name, err)
		}
		k.kills[v.name]++
	}
	for _, v := range victims {
		if v.down != nil {
			v.down(ctx)
		}
	}
	if k.random.IntN(2) == 0 {
		pause(ctx, between(k.random, 0, downMax))
	}
	for _, v := range victims {
		if err := k.bringBack(ctx, v); err != nil {
			return fmt.Errorf("start %s again: %w", v.name, err)
		}
	}
	return ctx.Err()
}

// bringBack starts a program, now and then after killing it once more in its start.
func (k *killer) bringBack(ctx context.Context, v victim) error {
	if v.startable && k.random.IntN(5) == 0 {
		starting, cancel := context.WithTimeout(ctx, between(k.random, 5*time.Millisecond, 500*time.Millisecond))
		err := v.start(starting) // ends with a kill when the time is over
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		k.kills[v.name+killedStarting]++
	}
	return v.start(ctx)
}

// disturb moves the wrong clock or tears a line in the middle of a frame, now and then.
func (k *killer) disturb() error {
	if k.random.IntN(3) == 0 {
		if err := k.world.clock.jump(k.random); err != nil {
			return err
		}
	}
	if k.random.IntN(5) == 0 {
		s := k.world.sites[k.random.IntN(len(k.world.sites))]
		s.edge.Line.CloseAfter(k.random.Int64N(64 << 10))
	}
	return nil
}

// choose takes turns over all kinds, and then by the seed, so that few cycles kill each.
func (k *killer) choose(n int) []victim {
	oak, pine := k.edge(k.world.sites[0]), k.edge(k.world.sites[1])
	first, second := k.cloud("cloud-1"), k.cloud("cloud-2")
	all := [][]victim{{oak}, {k.database()}, {first}, {pine}, {k.backend()}, {second}, {oak, first}, {pine, second}, {k.database(), oak}, {oak}, {pine}, {first, second}}
	if n < 6 {
		return all[n]
	}
	return all[k.random.IntN(len(all))]
}

func (k *killer) edge(s *site) victim {
	return victim{name: "estate-edge " + s.place.Code, kill: s.edge.Kill9, start: s.edge.Start, startable: true}
}

func (k *killer) cloud(name string) victim {
	return victim{name: "estate-cloud " + name, kill: k.world.Cloud(name).Kill9, startable: true, start: func(ctx context.Context) error {
		_, err := k.world.StartCloud(ctx, name)
		return err
	}}
}

func (k *killer) database() victim {
	return victim{name: killedDatabase, kill: k.world.Cluster.Kill, start: k.world.Cluster.Restart, down: k.withoutDatabase}
}

// backend kills one session or helper process; the postmaster then restarts all of them.
func (k *killer) backend() victim {
	return victim{name: killedBackend, kill: func() error { return k.world.Cluster.KillBackend(k.random.IntN) }, start: func(context.Context) error { return nil }}
}

// withoutDatabase looks what a cloud says while PostgreSQL is away: alive, not ready, and
// refusals that a client understands.
func (k *killer) withoutDatabase(ctx context.Context) {
	for _, name := range []string{"cloud-1", "cloud-2"} {
		client, err := apiclient.New(k.world.Cloud(name).Base())
		if err != nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		ready := client.Get(asking, "/readyz", nil)
		alive := client.Get(asking, "/healthz", nil)
		cancel()
		client.Close()
		if alive != nil {
			k.world.findings.add("not alive without PostgreSQL", "%s: %v", name, alive)
		}
		if !apiclient.HasStatus(ready, http.StatusServiceUnavailable) {
			k.world.findings.add("ready without PostgreSQL", "%s: %v", name, cmpErr(ready, errors.New("it says that it is ready")))
		}
	}
}
