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

// A box takes nobody for a box or a cloud by himself but itself and its own cloud: a phone
// could vouch for a made-up one.
func TestTrusted(t *testing.T) {
	t.Parallel()
	self, cloud, other := record.DerivedID("node", "self"), record.DerivedID("node", "cloud"), record.DerivedID("node", "other")
	for _, c := range []struct {
		node record.ID
		tier record.Tier
		want bool
	}{
		{cloud, record.TierCloud, true}, {self, record.TierCloud, false}, {other, record.TierCloud, false},
		{self, record.TierEdge, true}, {cloud, record.TierEdge, false}, {other, record.TierEdge, false},
		{other, record.TierPhone, true},
	} {
		if got := trusted(c.node, c.tier, self, cloud); got != c.want {
			t.Errorf("%s as tier %d: %v, want %v", c.node, c.tier, got, c.want)
		}
	}
}
