package demo

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSupervise: what ends is started again after a pause that grows and has a bound, a start
// that fails is tried again, and who has run for long begins with a short pause.
func TestSupervise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		run, lives, fails := make(chan struct{}), time.Duration(0), 0
		close(run)
		var starts []time.Duration
		var said []string
		last := time.Now()
		p := program{name: "the edge of Oak House", ended: func() <-chan struct{} { return run }, why: func() string { return "signal: killed" },
			run: func(context.Context) error {
				starts, last = append(starts, time.Since(last)), time.Now()
				if fails > 0 {
					fails--
					return errors.New("address in use")
				}
				ended := make(chan struct{})
				run = ended
				time.AfterFunc(lives, func() { close(ended) })
				return nil
			}}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.supervise(ctx, func(line string) { said = append(said, line) })
		}()
		after := func(d time.Duration, want ...time.Duration) {
			t.Helper()
			starts = nil
			<-time.After(d)
			synctest.Wait()
			if len(starts) != len(want) {
				t.Fatalf("started after %v, want %v", starts, want)
			}
			for i, pause := range starts {
				if pause.Round(time.Second) != want[i] {
					t.Fatalf("started after %v, want %v", starts, want)
				}
			}
		}
		const s = time.Second
		after(63*s+s/2, 1*s, 2*s, 4*s, 8*s, 16*s, 30*s)
		lives, fails = 10*time.Minute, 1
		after(63*s, 30*s, 30*s)
		lives = 0
		after(10*time.Minute+12*s, 10*time.Minute+s, 2*s, 4*s, 8*s)
		text := strings.Join(said, "\n")
		for _, want := range []string{"ended by itself (signal: killed)", "in 1s", "in 30s", "runs again", "cannot start", "address in use"} {
			if !strings.Contains(text, want) {
				t.Errorf("nothing like %q was said:\n%s", want, text)
			}
		}
		stop()
		<-done
	})
}
