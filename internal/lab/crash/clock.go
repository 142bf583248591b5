package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// clockFile is the clock of the edge that is wrong.
type clockFile struct {
	path   string
	offset time.Duration
}

// wrongBy is how wrong the clock is from the start and most of the time.
const wrongBy = 3 * time.Hour

// jumps is where the clock goes: within what is tolerated, beyond it, back, and far back.
func jumps() []time.Duration {
	return []time.Duration{wrongBy, wrongBy, wrongBy + 4*time.Minute, wrongBy + 7*time.Minute, 0, 2 * time.Hour, 4 * time.Hour, -time.Hour, -wrongBy}
}

func newClockFile(dir string) (*clockFile, error) {
	c := &clockFile{path: filepath.Join(dir, "clock")}
	return c, c.set(wrongBy)
}

func (c *clockFile) environment() []string {
	return []string{"ESTATE_TEST_MODE=1", "ESTATE_CLOCK_FILE=" + c.path}
}

// set moves the clock at once.
func (c *clockFile) set(offset time.Duration) error {
	if err := os.WriteFile(c.path+".new", fmt.Appendf(nil, "%+d", offset.Milliseconds()), 0o600); err != nil {
		return fmt.Errorf("move the wrong clock: %w", err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		return fmt.Errorf("move the wrong clock: %w", err)
	}
	c.offset = offset
	return nil
}

// jump moves it somewhere else.
func (c *clockFile) jump(random *rand.Rand) error {
	all := jumps()
	return c.set(all[random.IntN(len(all))])
}
