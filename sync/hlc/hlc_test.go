package hlc_test

import (
	"errors"
	"math"
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
