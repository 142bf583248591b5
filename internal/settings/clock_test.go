package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"estate/internal/settings"
)

// TestClock: a file shifts the clock while the program runs, in test mode only.
func TestClock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := map[string]string{"ESTATE_CLOCK_FILE": path, "ESTATE_TEST_MODE": "1"}
	write("+3h\n")
	now, err := settings.Clock(in)
	if err != nil {
		t.Fatal(err)
	}
	shows := func(want time.Duration) {
		t.Helper()
		if ahead := time.Until(now()); (ahead - want).Abs() > time.Minute {
			t.Errorf("ahead by %s, want %s", ahead, want)
		}
	}
	shows(3 * time.Hour)
	for text, want := range map[string]time.Duration{"-7200000": -2 * time.Hour, "90m": 90 * time.Minute, "0": 0} {
		write(text)
		shows(want)
	}
	write("+1h")
	shows(time.Hour)
	write("") // in the moment of being replaced
	shows(time.Hour)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	shows(time.Hour)
}

// TestClockRefused: nobody's programs run by a shifted clock because of a forgotten
// variable, and a test's do not run unshifted because of a mistake in the file.
func TestClockRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "clock")
	if err := os.WriteFile(path, []byte("soon"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]map[string]string{
		"OutsideTests": {"ESTATE_CLOCK_FILE": path},
		"ModeOff":      {"ESTATE_CLOCK_FILE": path, "ESTATE_TEST_MODE": "0"},
		"NoOffset":     {"ESTATE_CLOCK_FILE": path, "ESTATE_TEST_MODE": "1"},
		"NoFile":       {"ESTATE_CLOCK_FILE": filepath.Join(dir, "none"), "ESTATE_TEST_MODE": "1"},
	} {
		if now, err := settings.Clock(in); !errors.Is(err, settings.ErrClockFile) || now != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now, err := settings.Clock(map[string]string{"ESTATE_TEST_MODE": "1"}); err != nil || time.Until(now()).Abs() > time.Minute {
		t.Errorf("the system's clock: %v", err)
	}
}
