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
	"math"
	"os"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
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
	// topicMax is the longest topic of MQTT, in bytes.
	topicMax = 65535
	// hungUpMax is at how many messages in a row a broker may end the connection: one that does at
	// each does not want this client.
	hungUpMax = 10
	// refusedShown bounds the list of what was not taken.
	refusedShown = 20
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
perhaps "retain" and "at" (RFC 3339), such as this writes:

  mosquitto_sub -h BROKER -t '#' -F %j > capture.jsonl

or a table (.csv) of one sensor's values. Messages with times keep their pauses, divided by
--speed, an hour at most; others follow each other after --every. A message at which the broker
ends the connection is left out and named at the end.

Replay to an edge needs a login that may publish there, such as estate-edge device add NAME --role
zigbee2mqtt makes; what a login may not say the edge's broker acknowledges and drops. What became
of the messages: estate device list, estate device refused.`,
		Example: `  estate mqtt replay day.jsonl --speed 60 --user zigbee --password-file secret
  estate mqtt replay pump.csv --topic estate/v1/oak/dev/pump/state --key machine_temperature --until-now --user pump --password-file secret`,
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
	if o.qos > 1 || o.speed < 0 || math.IsNaN(o.speed) || o.every < 0 {
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
	if len(all) == 0 {
		return errors.New("the capture holds no message")
	}
	client, err := connect(ctx, o)
	if err != nil {
		return err
	}
	s := &sender{options: o, client: client, bar: bar(len(all), progress)}
	defer func() { s.client.Disconnect(quiesceMillis) }()
	began := time.Now()
	err = s.send(ctx, all)
	word := "acknowledged"
	if o.qos == 0 {
		word = "sent"
	}
	_, _ = fmt.Fprintf(out, "%d of %d messages %s in %s\n", s.acknowledged, len(all), word, time.Since(began).Round(time.Millisecond))
	for i, r := range s.refused {
		if i == refusedShown {
			_, _ = fmt.Fprintf(out, "and %d more\n", len(s.refused)-i)
			break
		}
		_, _ = fmt.Fprintf(out, "not taken: %s: %s\n", r.message, r.reason)
	}
	if err == nil && len(s.refused) > 0 {
		return fmt.Errorf("%d of %d messages were not taken", len(s.refused), len(all))
	}
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
