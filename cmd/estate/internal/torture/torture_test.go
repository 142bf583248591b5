package torture

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"estate/sync/sim"
)

func torture(args ...string) (string, error) {
	cmd := Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--quiet"))
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func TestWhatHoldsPrintsATable(t *testing.T) {
	t.Parallel()
	out, err := torture("--seeds", "3", "--steps", "120")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"3 seeds in", "seeds/s", "safety checks", "came to rest within", "line cut", "nothing lost"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// A failure prints a command, and that command, run, fails in the same way.
func TestAFailurePrintsACommandThatFails(t *testing.T) {
	t.Parallel()
	out, err := torture("--seed", "3", "--without", string(sim.FreshIdentity))
	if !errors.Is(err, ErrFailed) || !strings.Contains(out, "FAILED seed 3") {
		t.Fatalf("%v\n%s", err, out)
	}
	_, smallest, _ := strings.Cut(out, "Smallest run found that still fails:")
	line, _, _ := strings.Cut(strings.TrimSpace(smallest), "\n")
	args := strings.Fields(strings.TrimPrefix(line, "estate torture "))
	again, err := torture(append(args, "--no-shrink")...)
	if !errors.Is(err, ErrFailed) {
		t.Fatalf("%q does not fail: %v\n%s", line, err, again)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]string{{"--steps", "0"}, {"--jobs", "0"}, {"--faults", "rain"}, {"--often", "rain"}, {"--without", "luck"}, {"--drop", "3-1"},
		{"--drop", "0"}, {"--drop", "301"}, {"--drop", "x"}, {"more"}} {
		if out, err := torture(bad...); err == nil || errors.Is(err, ErrFailed) {
			t.Errorf("%q: %v\n%s", bad, err, out)
		}
	}
	steps, err := parseSteps("2-4,7", 9)
	if err != nil || !slices.Equal(steps, []int{2, 3, 4, 7}) {
		t.Errorf("steps %v, %v", steps, err)
	}
}
