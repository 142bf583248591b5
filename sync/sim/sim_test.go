package sim_test

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"

	"estate/sync/sim"
)

var (
	seeds = flag.Uint64("sim.seeds", 300, "how many seeds to run (a tenth with -short)")
	seed  = flag.Uint64("sim.seed", 0, "run this seed only")
	steps = flag.Int("sim.steps", sim.StepsUsual, "steps of each run")
)

func replay(c sim.Config) string {
	return fmt.Sprintf("go test ./sync/sim -run TestSeeds -sim.seed %d -sim.steps %d", c.Seed, c.Steps)
}

// faults takes the kinds of a seed: each alone at times, all of them mostly.
func faults(n uint64) sim.Faults {
	switch n % 10 {
	case 0:
		return sim.Faults{Network: true}
	case 1:
		return sim.Faults{Network: true, Refuse: true}
	case 2:
		return sim.Faults{Network: true, Crash: true, Store: true}
	case 3:
		return sim.Faults{Network: true, Restore: true, Clone: true}
	case 4:
		return sim.Faults{Network: true, Clock: true}
	}
	return sim.AllFaults()
}

// shards run side by side; a seed is a world of its own.
const shards = 4

// TestSeeds runs many worlds; nothing may be lost, diverge or wait for ever in any.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), *seeds
	if testing.Short() {
		last /= 10
	}
	if *seed != 0 {
		first, last = *seed, *seed
	}
	var mu sync.Mutex
	total := map[string]int{}
	t.Run("shards", func(t *testing.T) {
		for shard := range uint64(shards) {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for n := first + shard; n <= last; n += shards {
					c := sim.Config{Seed: n, Steps: *steps, Faults: faults(n)}
					report, err := sim.Run(c)
					if err != nil {
						t.Fatalf("%v\nreplay: %s", err, replay(c)) // the shard's next seeds are not run
					}
					mu.Lock()
					for what, times := range report.Counts {
						total[what] += times
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Log(total)
	if *seed != 0 || testing.Short() || t.Failed() {
		return
	}
	for _, what := range covered {
		if total[what] == 0 {
			t.Errorf("%q never happened in %d runs", what, last)
		}
	}
}

// covered is what the runs together must have met.
var covered = strings.Split("write,phone write,phone tag,late page,reordered page refused,answer lost,late push,line cut,frames lost,restart,phone restart,"+
	"commit fails,commit unsure,bad record,restore edge,restore cloud,restore phone,clone,refusal,quarantine,release,clock jump,clock corrected,"+
	"phone reissue,rewound,gap,conflict,kind not yours,write not taken,push not taken,quarantined clock_ahead,quarantined store_failed,digest equal,digest differs", ",")

// A run is the same each time.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	c := sim.Config{Seed: 77, Faults: sim.AllFaults()}
	a, _ := sim.Run(c)
	b, _ := sim.Run(c)
	if a.Digest != b.Digest || fmt.Sprint(a.Counts) != fmt.Sprint(b.Counts) {
		t.Fatalf("two runs of one seed differ:\n%v\n%v", a, b)
	}
	c.Seed++
	if b, _ = sim.Run(c); a.Digest == b.Digest {
		t.Fatal("two seeds make the same run")
	}
}

// The oracle can see a loss: where restored nodes go on under their old replica (SPEC R1
// switched off), dots are used twice and values vanish.
func TestOracleSeesALoss(t *testing.T) {
	t.Parallel()
	lost := 0
	for n := uint64(1); n <= 40; n++ {
		report, _ := sim.Run(sim.Config{Seed: n, Faults: sim.Faults{Restore: true}, KeepBoot: true})
		for _, v := range report.Violations {
			if strings.HasPrefix(v, "lost:") {
				lost++
				break
			}
		}
	}
	if lost == 0 {
		t.Fatal("restored nodes reused their replicas in 40 runs and no loss was found")
	}
	t.Logf("%d of 40 runs lost a value", lost)
}
