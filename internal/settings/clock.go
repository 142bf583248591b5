package settings

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The variables of the test clock. A shifted clock is for tests only, so it takes both.
const (
	ClockFileVariable = "ESTATE_CLOCK_FILE"
	TestModeVariable  = "ESTATE_TEST_MODE"
)

// ErrClockFile says that the clock may not or cannot be shifted. Its text begins with the
// code that operators look for.
var ErrClockFile = errors.New("clock_file_refused")

// Clock is a program's clock: the system's, or in tests one that a file shifts, for Go
// reads the time where no library can stand in between. The file holds a duration such as
// "+3h" or a number of milliseconds, and counts as it is at each look.
func Clock(environment map[string]string) (func() time.Time, error) {
	path := environment[ClockFileVariable]
	if path == "" {
		return time.Now, nil
	}
	if environment[TestModeVariable] != "1" {
		return nil, fmt.Errorf("%w: %s is for tests and shifts all times; take it away, or set %s=1 if this is one", ErrClockFile, ClockFileVariable, TestModeVariable)
	}
	first, err := readClockOffset(path)
	if err != nil {
		return nil, err
	}
	var last atomic.Int64
	last.Store(int64(first))
	return func() time.Time {
		// A file that is just being replaced says nothing new.
		if offset, err := readClockOffset(path); err == nil {
			last.Store(int64(offset))
		}
		return time.Now().Add(time.Duration(last.Load()))
	}, nil
}

func readClockOffset(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("%w: read %s: %w", ErrClockFile, ClockFileVariable, err)
	}
	shift := strings.TrimSpace(string(text))
	if ms, err := strconv.ParseInt(shift, 10, 64); err == nil {
		return time.Duration(ms) * time.Millisecond, nil
	}
	offset, err := time.ParseDuration(shift)
	if err != nil {
		return 0, fmt.Errorf("%w: %s holds %.40q, neither milliseconds nor a duration such as +3h", ErrClockFile, path, shift)
	}
	return offset, nil
}
