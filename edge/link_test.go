package edge

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"estate/sync/record"
)

// Whatever time an app gives its event, the link's status can be written.
func TestWaitsSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for claimed, want := range map[int64]time.Time{
		math.MaxInt64: now, math.MinInt64: time.UnixMilli(1).UTC(), now.UnixMilli() - 1000: now.Add(-time.Second),
	} {
		got := waitsSince(record.Event{EventTime: claimed}, now)
		if !got.Equal(want) || got.IsZero() {
			t.Errorf("%d: %s, want %s", claimed, got, want)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%d: %v", claimed, err)
		}
	}
}
