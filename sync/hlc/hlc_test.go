package hlc_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/hlc"
)

const noon = int64(1_800_000_000_000)

// Cites SPEC R16.
func TestNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last hlc.Stamp
		wall int64
		want hlc.Stamp
		err  error
	}{
		"FollowsWall":          {hlc.At(noon), noon + 1, hlc.At(noon + 1), nil},
		"SameMillisecond":      {hlc.At(noon), noon, hlc.At(noon) + 1, nil},
		"WallWentBack":         {hlc.At(noon), noon - 9999, hlc.At(noon) + 1, nil},
		"CounterFull":          {hlc.At(noon) + 0xffff, noon, hlc.At(noon + 1), nil},
		"NeverZero":            {0, 0, 1, nil},
		"BeforeTheEpoch":       {0, -5, 1, nil},
		"WallBeyond48Bits":     {hlc.At(noon), hlc.MillisMax + 1, 0, hlc.ErrExhausted},
		"LastStampOfAll":       {math.MaxUint64, noon, 0, hlc.ErrExhausted},
		"LastMillisecondOfAll": {0, hlc.MillisMax, hlc.At(hlc.MillisMax), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := hlc.Next(c.last, c.wall)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("Next = %s, %v; want %s, %v", got, err, c.want, c.err)
			}
		})
	}
}

// TestLaws: stamps of one replica never repeat or go back, what was seen comes before what
// is written next, and a clock far ahead drags nobody along. Cites SPEC R16.
func TestLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var last hlc.Stamp
		wall := noon
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			wall += rapid.Int64Range(-2000, 5000).Draw(t, "pass")
			if rapid.Bool().Draw(t, "observe") {
				seen := hlc.At(wall+rapid.Int64Range(-hlc.AheadMax, 2*hlc.AheadMax).Draw(t, "other")) + hlc.Stamp(rapid.Uint16().Draw(t, "counter"))
				after := hlc.Observe(last, seen, wall)
				ahead := seen.Millis() > wall+hlc.AheadMax
				if hlc.Ahead(seen, wall) != ahead {
					t.Fatalf("Ahead(%s, %d) = %v", seen, wall, !ahead)
				}
				if ahead && after != last || !ahead && after < seen || after < last {
					t.Fatalf("Observe(%s, %s, %d) = %s", last, seen, wall, after)
				}
				last = after
			}
			next, err := hlc.Next(last, wall)
			if err != nil || next <= last || next.Millis() < wall || next.Millis() > max(wall, last.Millis()+1) {
				t.Fatalf("Next(%s, %d) = %s, %v", last, wall, next, err)
			}
			last = next
		}
	})
}

// TestBounds: over every stamp and every wall time, sane or not, the clock moves forward or
// says that its range is used up; nothing wraps. Cites SPEC R16.
func TestBounds(t *testing.T) {
	t.Parallel()
	edges := []int64{math.MinInt64, -1, 0, 1, noon, hlc.MillisMax - 1, hlc.MillisMax, hlc.MillisMax + 1, math.MaxInt64 - hlc.AheadMax, math.MaxInt64}
	walls := rapid.OneOf(rapid.Int64(), rapid.SampledFrom(edges))
	stamps := rapid.OneOf(rapid.Map(rapid.Uint64(), func(n uint64) hlc.Stamp { return hlc.Stamp(n) }),
		rapid.SampledFrom([]hlc.Stamp{0, 1, 0xffff, hlc.At(noon) + 0xffff, hlc.At(hlc.MillisMax), math.MaxUint64 - 1, math.MaxUint64}))
	rapid.Check(t, func(t *rapid.T) {
		last, seen, wall := stamps.Draw(t, "last"), stamps.Draw(t, "seen"), walls.Draw(t, "wall")
		next, err := hlc.Next(last, wall)
		switch exhausted := wall > hlc.MillisMax || last == math.MaxUint64; {
		case exhausted != errors.Is(err, hlc.ErrExhausted), exhausted != (err != nil):
			t.Fatalf("Next(%d, %d): %v", last, wall, err)
		case !exhausted && (next <= last || next.Millis() < wall):
			t.Fatalf("Next(%d, %d) = %d", last, wall, next)
		}
		ahead := new(big.Int).Sub(big.NewInt(seen.Millis()), big.NewInt(wall)).Cmp(big.NewInt(hlc.AheadMax)) > 0
		if hlc.Ahead(seen, wall) != ahead {
			t.Fatalf("Ahead(%d, %d) = %v", seen, wall, !ahead)
		}
		after := hlc.Observe(last, seen, wall)
		if after < last || after != last && (after != seen || ahead) || !ahead && after < seen {
			t.Fatalf("Observe(%d, %d, %d) = %d", last, seen, wall, after)
		}
	})
}

// TestManyClocks: replicas with skewed, jumping clocks exchange stamps in any order. Each
// one's stamps rise, what was seen comes before what is written after it, and a clock that
// runs far ahead moves nobody else's beyond the limit. Cites SPEC R16.
func TestManyClocks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const replicas = 4
		var last [replicas]hlc.Stamp
		var skew [replicas]int64
		var sent []hlc.Stamp
		now := noon
		for i := range skew {
			skew[i] = rapid.Int64Range(-2*hlc.AheadMax, 2*hlc.AheadMax).Draw(t, "skew")
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now += rapid.Int64Range(0, 3).Draw(t, "pass") // many events in one millisecond
			i := rapid.IntRange(0, replicas-1).Draw(t, "replica")
			if rapid.IntRange(0, 15).Draw(t, "jump") == 0 {
				skew[i] = rapid.Int64Range(-2*hlc.AheadMax, 2*hlc.AheadMax).Draw(t, "new skew")
			}
			wall := now + skew[i]
			if len(sent) > 0 && rapid.Bool().Draw(t, "receive") {
				seen := rapid.SampledFrom(sent).Draw(t, "stamp")
				before := last[i]
				last[i] = hlc.Observe(before, seen, wall)
				if moved := last[i] != before; moved && last[i].Millis() > wall+hlc.AheadMax {
					t.Fatalf("replica %d was dragged to %s at %d", i, last[i], wall)
				}
				if !hlc.Ahead(seen, wall) && last[i] < seen {
					t.Fatalf("replica %d saw %s and stands at %s", i, seen, last[i])
				}
				continue
			}
			next, err := hlc.Next(last[i], wall)
			if err != nil || next <= last[i] || next.Millis() < wall {
				t.Fatalf("replica %d wrote %s after %s at %d: %v", i, next, last[i], wall, err)
			}
			last[i], sent = next, append(sent, next)
		}
	})
}

// TestCounterOverflow: more events in a millisecond than the counter holds borrow from the
// next, and order stays. Cites SPEC R16.
func TestCounterOverflow(t *testing.T) {
	t.Parallel()
	last := hlc.At(noon)
	for range 3 << 16 {
		next, err := hlc.Next(last, noon)
		if err != nil || next <= last {
			t.Fatalf("Next(%s) = %s, %v", last, next, err)
		}
		last = next
	}
	if last.Millis() != noon+3 {
		t.Errorf("three counters' worth of events end at %s", last)
	}
}

func TestStampParts(t *testing.T) {
	t.Parallel()
	s := hlc.At(noon) + 7
	if s.Millis() != noon || s.Counter() != 7 || s.Time().UnixMilli() != noon {
		t.Errorf("parts of %d: %d, %d, %s", uint64(s), s.Millis(), s.Counter(), s.Time())
	}
	if got, want := s.String(), "2027-01-15T08:00:00.000Z+7"; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if hlc.At(-1) != 0 {
		t.Error("a time before the epoch has a stamp")
	}
}
