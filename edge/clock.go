package edge

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Clock is the box's clock: the system's, or in tests one that a file shifts, for Go reads
// the time where no library can stand in between.
func Clock(environment map[string]string) (func() time.Time, error) {
	path := environment[clockFileVariable]
	if path == "" {
		return time.Now, nil
	}
	if environment[testModeVariable] != "1" {
		return nil, fmt.Errorf("%s is for tests: it needs %s=1", clockFileVariable, testModeVariable)
	}
	if _, err := clockOffset(path); err != nil {
		return nil, err
	}
	return func() time.Time {
		// A file that is being replaced counts as no shift for that moment.
		offset, _ := clockOffset(path)
		return time.Now().Add(offset)
	}, nil
}

// clockOffset reads the shift in milliseconds.
func clockOffset(path string) (time.Duration, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", clockFileVariable, err)
	}
	ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", clockFileVariable, err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}
