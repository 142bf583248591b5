package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

const (
	// cutOff is the exit status of mosquitto_pub whose connection was lost.
	cutOff = 7
	// cutOffPause is before it is started again, and cutOffTries how often it is started: the
	// second try may still be early.
	cutOffPause = 200 * time.Millisecond
	cutOffTries = 5
)

// Publish sends one message with a program that has mosquitto_pub's flags, which is started for
// it and ends with it; input is what the program reads. Where the broker cut the program off it
// is started again a few times, as a device would connect again: the embedded broker holds a
// client id for a second and hangs up when its connection before was not quite gone.
func Publish(ctx context.Context, program, input string, arguments ...string) error {
	for tries := 1; ; tries++ {
		cmd := exec.CommandContext(ctx, program, arguments...) //nolint:gosec // the caller names the program
		cmd.Stdin = strings.NewReader(input)
		output, err := cmd.CombinedOutput()
		var ended *exec.ExitError
		switch {
		case err == nil && !strings.Contains(string(output), "not authorised"):
			return nil
		case err == nil:
			return fmt.Errorf("%s: %s", program, output)
		case tries == cutOffTries || !errors.As(err, &ended) || ended.ExitCode() != cutOff:
			return fmt.Errorf("%s: %w: %s", program, err, output)
		}
		pause := time.NewTimer(cutOffPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%s: %w: %s", program, ctx.Err(), output)
		case <-pause.C:
		}
	}
}
