package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	recordsFull, recordsQuick = 100_000, 500
	updatesFull, updatesQuick = 10_000, 250
	eventsFull, eventsQuick   = 20_000, 250
	// countEvery is rare enough that asking costs the programs little.
	countEvery = 100 * time.Millisecond
)

// part is one measurement of `estate bench sync`. They run in this order in one estate.
type part struct {
	name string
	run  func(context.Context, *site) error
}

func parts() []part {
	return []part{
		{"reconcile", reconcile},
		{"updates", updates},
		{"peer", peer},
		{"events", events},
		{"first", firstSync},
		{"creates", creates},
		{"media", media},
		{"growth", growth},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

// checkParts refuses a part that there is not.
func checkParts(only []string) error {
	all := append(partNames(), mqttParts()...)
	for _, name := range only {
		if !slices.Contains(all, name) {
			return fmt.Errorf("there is no part %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return nil
}

// runSync runs the parts that were asked for.
func runSync(ctx context.Context, b *bench) error {
	s, err := b.open(ctx)
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	for _, p := range parts() {
		if !b.how.wants(p.name) {
			continue
		}
		b.say("measuring: %s", p.name)
		if err := p.run(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// size is how many of something a run takes.
func (o options) size(full, quick int) int {
	if o.quick {
		return quick
	}
	return full
}

// backlog is how many tickets wait at the edge.
func (o options) backlog() int {
	if o.records > 0 {
		return o.records
	}
	return o.size(recordsFull, recordsQuick)
}
