package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"estate/internal/problem"
)

// TestFailures: what fails again and again for one cause is logged once in a while, with how
// often; another cause is logged at once.
func TestFailures(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	f := newFailures(slog.New(slog.NewTextHandler(&out, nil)), func() time.Time { return now })
	away := errors.New("connection refused")
	lines := func() []string { defer out.Reset(); return strings.Split(strings.TrimSpace(out.String()), "\n") }
	for i := range 100 {
		f.note(t.Context(), problem.Unavailable, fmt.Errorf("load ticket %d: %w", i, away))
	}
	f.note(t.Context(), problem.Internal, fmt.Errorf("load ticket 7: %w", errors.New("a bug")))
	if got := lines(); len(got) != 2 || !strings.Contains(got[0], "load ticket 0") || !strings.Contains(got[1], "a bug") {
		t.Fatalf("logged %q", got)
	}
	now = now.Add(failureEvery)
	f.note(t.Context(), problem.Unavailable, fmt.Errorf("load ticket 200: %w", away))
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "not_logged=99") {
		t.Fatalf("logged %q", got)
	}
	for i := range 3 * failuresMax {
		f.note(t.Context(), problem.Internal, fmt.Errorf("cause %d", i))
	}
	if len(f.causes) > failuresMax {
		t.Fatalf("%d causes are kept", len(f.causes))
	}
}
