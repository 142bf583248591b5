// Package crash_test kills the real programs a few times; `estate crash` does it as often
// as one likes.
package crash_test

import (
	"os"
	"strings"
	"testing"

	"estate/internal/lab/crash"
	"estate/internal/lab/labtest"
)

// cycles kill each kind of program once: an edge, a cloud, PostgreSQL, one of its backends,
// and the edge whose clock is wrong.
const cycles = 7

func TestMain(m *testing.M) { labtest.Main(m) }

// TestKilledUnderLoad: whatever is killed at whatever moment, each acknowledged write is
// found afterwards, on both sides, once.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/var/tmp", "estate-crash-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's account passes through
		t.Fatal(err)
	}
	report, err := crash.Run(t.Context(), crash.Options{Dir: dir, Binaries: labtest.Binaries(t), Cycles: cycles, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report.Print(&out); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
	for _, finding := range report.Findings {
		t.Error(finding)
	}
	for _, row := range report.Rows {
		if row.Acknowledged == 0 {
			t.Errorf("nothing of the kind %q was acknowledged: the load did not run", row.Kind)
		}
	}
	if len(report.Rows) != crash.Kinds() || len(report.Kills) < cycles-1 {
		t.Errorf("%d kinds of writes, killed: %v", len(report.Rows), report.Kills)
	}
}
