package lab

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

const (
	// cutOff is the exit status of mosquitto_pub whose connection was lost.
	cutOff = 7
	// cutOffPause is before it is started again, or a client connects again, and cutOffTries how often it is started: the
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
		if err := rest(ctx); err != nil {
			return fmt.Errorf("%s: %w: %s", program, err, output)
		}
	}
}

// SignIn connects an MQTT client, again a few times where the broker hung up without an answer,
// for the reason that Publish has. A broker that refuses is not asked again.
func SignIn(ctx context.Context, options *mqtt.ClientOptions) (mqtt.Client, error) {
	for tries := 1; ; tries++ {
		client := mqtt.NewClient(options)
		token := client.Connect()
		select {
		case <-ctx.Done():
			client.Disconnect(0)
			return nil, fmt.Errorf("sign %s in: %w", options.ClientID, ctx.Err())
		case <-token.Done():
		}
		if token.Error() == nil {
			return client, nil
		}
		answer, ok := token.(*mqtt.ConnectToken)
		if tries == cutOffTries || !ok || answer.ReturnCode() != packets.ErrNetworkError {
			return nil, fmt.Errorf("sign %s in: %w", options.ClientID, token.Error())
		}
		if err := rest(ctx); err != nil {
			return nil, fmt.Errorf("sign %s in: %w", options.ClientID, errors.Join(err, token.Error()))
		}
	}
}

// rest waits for as long as a client does that was cut off.
func rest(ctx context.Context) error {
	pause := time.NewTimer(cutOffPause)
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
		return nil
	}
}
