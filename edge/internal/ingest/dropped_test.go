package ingest

import (
	"testing"
	"time"
)

// TestDrops: the broker's count goes on over its restarts, and what is no count changes nothing.
func TestDrops(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var d drops
	for n, c := range []struct {
		said  string
		count int64
		last  int // the step that changed it last
	}{{"0", 0, -1}, {"12", 12, 1}, {"12", 12, 1}, {"x", 12, 1}, {"-3", 12, 1}, {"", 12, 1}, {"40", 40, 6}, {"0", 40, 6}, {"5", 45, 8}, {"99999999999999999999", 45, 8}, {"6", 46, 10}} {
		d.said([]byte(c.said), at.Add(time.Duration(n)*time.Minute))
		got := d.all()
		if got.Count != c.count || c.last < 0 && !got.During.To.IsZero() || c.last >= 0 && !got.During.To.Equal(at.Add(time.Duration(c.last)*time.Minute)) {
			t.Errorf("step %d, %q: %+v, want %d", n, c.said, got, c.count)
		}
	}
	if from := d.all().During.From; !from.Equal(at.Add(time.Minute)) {
		t.Errorf("first heard of at %s", from)
	}
}
