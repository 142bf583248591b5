// Package replay feeds recorded MQTT messages to a broker: to see what an edge makes of a
// building before its devices are there, or of a day again.
//
// It must never send to a broker that it was not told.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"estate/internal/lab"
)

const (
	connectTimeout = 10 * time.Second
	publishTimeout = 30 * time.Second
	// pauseMax bounds a pause of the recording: nights are not waited for.
	pauseMax = time.Hour
	// quiesceMillis lets the last acknowledgements come.
	quiesceMillis = 250
	// inFlight is how many messages wait for their acknowledgement at once.
	inFlight = 64
)

type options struct {
	broker, user, passwordFile, clientID string
	qos                                  uint8
	every                                time.Duration
	speed                                float64
	column                               column
}

// Command makes "estate mqtt".
func Command() *cobra.Command {
	root := &cobra.Command{Use: "mqtt", Short: "Feed recorded device messages to a broker"}
	var o options
	cmd := &cobra.Command{
		Use: "replay FILE...", Short: "Send captured messages, in real or compressed time", Args: cobra.MinimumNArgs(1),
		Long: `Send the messages of captures to a broker, in their order.

A capture is JSON lines with "topic", "payload" (a text, or JSON that is sent as it is) and
perhaps "retain" and "at" (RFC 3339), or a table (.csv) of one sensor's values. Messages with times keep their pauses, divided by
--speed; others follow each other after --every.`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return run(cmd.Context(), o, files, cmd.ErrOrStderr(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.broker, "broker", "tcp://127.0.0.1:1883", "broker to send to")
	f.StringVar(&o.user, "user", "", "user name at the broker")
	f.StringVar(&o.passwordFile, "password-file", "", "file that holds the password")
	f.StringVar(&o.clientID, "client-id", "", "client id; the user name where empty, as an edge's broker wants it")
	f.Uint8Var(&o.qos, "qos", 1, "quality of service: 0 or 1")
	f.DurationVar(&o.every, "every", 10*time.Millisecond, "pause between messages without a time")
	f.Float64Var(&o.speed, "speed", 1, "how many times faster than recorded; 0 means without pauses")
	f.StringVar(&o.column.topic, "topic", "", "of a table: topic to send to")
	f.StringVar(&o.column.key, "key", "", "of a table: what the values are, such as temperature")
	f.StringVar(&o.column.time, "time", "timestamp", "of a table: column of the times")
	f.StringVar(&o.column.value, "value", "value", "of a table: column of the values")
	f.BoolVar(&o.column.untilNow, "until-now", false, "of a table: move the times so that the last is now")
	root.AddCommand(cmd)
	return root
}

func run(ctx context.Context, o options, files []string, progress, out io.Writer) error {
	if o.qos > 1 || o.speed < 0 || o.every < 0 {
		return errors.New("--qos is 0 or 1, --speed and --every are not negative")
	}
	var all []message
	for _, path := range files {
		list, err := read(path, o.column)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, list...)
	}
	client, err := connect(ctx, o)
	if err != nil {
		return err
	}
	defer client.Disconnect(quiesceMillis)
	began := time.Now()
	sent, err := send(ctx, o, client, all, progress)
	_, _ = fmt.Fprintf(out, "%d of %d messages acknowledged in %s\n", sent, len(all), time.Since(began).Round(time.Millisecond))
	return err
}

func connect(ctx context.Context, o options) (mqtt.Client, error) {
	password := ""
	if o.passwordFile != "" {
		text, err := os.ReadFile(o.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("read the broker's password: %w", err)
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	id := o.clientID
	if id == "" {
		id = o.user
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	client, err := lab.SignIn(ctx, mqtt.NewClientOptions().AddBroker(o.broker).SetClientID(id).SetUsername(o.user).SetPassword(password).
		SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(connectTimeout).SetMessageChannelDepth(inFlight))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", o.broker, err)
	}
	return client, nil
}

// send sends messages in their order and waits for each to be acknowledged.
func send(ctx context.Context, o options, client mqtt.Client, all []message, progress io.Writer) (acknowledged int, err error) {
	bar := progressbar.NewOptions(len(all), progressbar.OptionSetWriter(progress), progressbar.OptionSetDescription("messages"),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { _, _ = fmt.Fprintln(progress) }))
	var waiting []mqtt.Token
	settle := func(most int) error {
		for len(waiting) > most {
			if t := waiting[0]; !t.WaitTimeout(publishTimeout) || t.Error() != nil {
				return fmt.Errorf("message %d was not acknowledged: %w", acknowledged+1, errors.Join(t.Error(), ctx.Err()))
			}
			waiting = waiting[1:]
			acknowledged++
			_ = bar.Add(1) // a bar that cannot be drawn stops nothing
		}
		return nil
	}
	for i, m := range all {
		if i > 0 {
			if err := pause(ctx, o, all[i-1], m, func() error { return settle(0) }); err != nil {
				return acknowledged, err
			}
		}
		waiting = append(waiting, client.Publish(m.topic, o.qos, m.retain, m.payload))
		if err := settle(inFlight - 1); err != nil {
			return acknowledged, err
		}
	}
	return acknowledged, settle(0)
}

// pause waits as long as the recording did, or as told; what was sent settles meanwhile.
func pause(ctx context.Context, o options, before, next message, settle func() error) error {
	wait := o.every
	switch {
	case o.speed == 0:
		wait = 0
	case !before.at.IsZero() && !next.at.IsZero():
		wait = min(max(0, time.Duration(float64(next.at.Sub(before.at))/o.speed)), pauseMax)
	}
	if wait == 0 {
		return ctx.Err()
	}
	if err := settle(); err != nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
