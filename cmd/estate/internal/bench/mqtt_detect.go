package bench

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	// detectQuick is how many rows a small run replays.
	detectQuick = 100
	// goalWolves is how many false alarms a day an operator bears: one in three weeks.
	goalWolves = 0.05
	// takenEvery is how often it is looked whether a message was read.
	takenEvery = time.Millisecond
	// seasons is a year of whole weeks.
	seasons = 364 * 24 * time.Hour
	// confirmed is for how long a temperature must be unusual before the shipped rule says so.
	confirmed = time.Hour
)

// recording is a series that people have recorded, and labelled.
type recording struct {
	name, file, login string
	stamp             int
	// columns are the values of a row, by the words of our own topics.
	columns map[string]int
	// fahrenheit says that the values are to be turned into degrees Celsius.
	fahrenheit bool
	// labels is the name in the file of labels; empty where nothing is wrong in the recording.
	labels string
}

func recordings() []recording {
	const nab, office = "sensor_timeseries/nab_temperature/", "sensor_timeseries/occupancy_uci/"
	climate := map[string]int{"temperature": 2, "humidity": 3, "illuminance": 4, "co2": 5}
	return []recording{
		{"a machine's temperature", nab + "machine_temperature_system_failure.csv", "machine", 0, map[string]int{"machine_temperature": 1}, true, "realKnownCause/machine_temperature_system_failure.csv"},
		{"an office's temperature", nab + "ambient_temperature_system_failure.csv", "ambient", 0, map[string]int{"temperature": 1}, true, "realKnownCause/ambient_temperature_system_failure.csv"},
		{"an office with people, 1", office + "datatraining.csv", "office-1", 1, climate, false, ""},
		{"an office with people, 2", office + "datatest.csv", "office-2", 1, climate, false, ""},
		{"an office with people, 3", office + "datatest2.csv", "office-3", 1, climate, false, ""},
	}
}

// failure is a time in which people found something wrong, and the moment at which it was.
type failure struct{ from, to, point time.Time }

// detection replays recordings over MQTT to the real edge and counts its alarms. The edge runs by
// a clock that is moved to each message's time before it is sent, so that durations and learnt
// periods are those of the recording; each message was read before the clock moves on.
func (m *messages) detection(ctx context.Context) error {
	folder := os.Getenv("ESTATE_DATA")
	if folder == "" {
		folder = filepath.Join("..", "shared", "data")
	}
	if found, err := filepath.Glob(filepath.Join(folder, "sensor_timeseries", "*")); err != nil || len(found) == 0 {
		m.say("there are no recordings in %s (set ESTATE_DATA): left out", folder)
		return err
	}
	clock := filepath.Join(m.Dir(), "clock")
	if err := setClock(clock, 0); err != nil {
		return err
	}
	m.edge.Env = append(m.edge.Env, "ESTATE_TEST_MODE=1", "ESTATE_CLOCK_FILE="+clock)
	if err := m.restart(ctx, nil); err != nil {
		return err
	}
	m.edge.Line.Cut() // the cloud would not believe in such times
	for _, r := range recordings() {
		if err := m.replay(ctx, r, folder, clock); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// replay sends one recording and says what the edge made of it.
func (m *messages) replay(ctx context.Context, r recording, folder, clock string) error {
	rows, err := readRows(filepath.Join(folder, r.file))
	if err != nil {
		return err
	}
	if m.how.quick {
		rows = rows[:detectQuick]
	}
	login, err := m.edge.AddDevice(ctx, r.login)
	if err != nil {
		return err
	}
	device, err := m.atEdge[0].CreateDevice(ctx, m.edge.Place.ID, apiclient.NewDevice{Hardware: "plain:oak/" + r.login, Name: r.login})
	if err != nil {
		return err
	}
	times := make([]time.Time, len(rows))
	for i, row := range rows {
		if times[i], err = time.Parse(time.DateTime, row[r.stamp]); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	// A box does not believe times of before it was built; the season and the day of the week
	// stay what they were.
	shift := time.Since(times[len(times)-1]) / seasons * seasons
	if err := m.send(ctx, r, rows, times, shift, login, clock); err != nil {
		return err
	}
	if err := setClock(clock, 0); err != nil {
		return err
	}
	return m.judge(ctx, r, folder, device.ID, shift, times)
}

// send sends the rows, each at its own time by the edge's clock.
func (m *messages) send(ctx context.Context, r recording, rows [][]string, times []time.Time, shift time.Duration, login stack.Login, clock string) error {
	clients, err := dialMQTT(ctx, m.edge.MQTT(), []stack.Login{login})
	defer hangUp(clients)
	if err != nil {
		return err
	}
	before, err := m.outcome(ctx, "received")
	if err != nil {
		return err
	}
	done := int64(0)
	defer m.bar(len(rows), r.name, func() int64 { return done })()
	for i, row := range rows {
		at := times[i].Add(shift)
		if err := setClock(clock, time.Until(at)); err != nil {
			return err
		}
		payload := map[string]any{"ts": at.UTC().Format(time.RFC3339)}
		for key, column := range r.columns {
			v, err := strconv.ParseFloat(row[column], 64)
			if err != nil {
				return fmt.Errorf("row %d: %w", i+1, err)
			}
			if r.fahrenheit {
				v = (v - 32) / 1.8
			}
			payload[key] = v
		}
		if err := m.taken(ctx, clients[0], login.Topic, payload, before+float64(i+1)); err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
		done++
	}
	return nil
}

// taken publishes a message and waits until the edge has read so many.
func (m *messages) taken(ctx context.Context, c mqtt.Client, topic string, payload map[string]any, want float64) error {
	text, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	if t := c.Publish(topic, 1, false, text); !t.WaitTimeout(settleTimeout) || t.Error() != nil {
		return fmt.Errorf("publish to %s: no acknowledgement: %w", topic, t.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return stack.PollEvery(ctx, takenEvery, "the edge to read a message", func() (bool, error) {
		now, err := m.outcome(ctx, "received")
		return now >= want, err
	})
}

// judge compares the alarms of a device with what people have labelled.
func (m *messages) judge(ctx context.Context, r recording, folder string, device record.ID, shift time.Duration, times []time.Time) error {
	all, err := m.atEdge[0].Alarms(ctx, m.edge.Place.ID)
	if err != nil {
		return err
	}
	failures, err := failuresOf(filepath.Join(folder, "sensor_timeseries/nab_temperature/labels.json"), r.labels)
	if err != nil {
		return err
	}
	found, causes, wolves := map[int]time.Duration{}, map[string]int{}, 0
	for _, a := range all {
		if a.Device != device || a.RaisedAt == nil {
			continue
		}
		hit, at := -1, a.RaisedAt.Add(-shift)
		for i, f := range failures {
			if !at.Before(f.from) && at.Before(f.to) {
				hit = i
			}
		}
		if hit < 0 {
			wolves++
			causes[a.Cause]++
			continue
		}
		if delay, again := at.Add(confirmed).Sub(failures[hit].point), found[hit]; again == 0 || delay < again {
			found[hit] = delay
		}
	}
	days := times[len(times)-1].Sub(times[0]).Hours() / 24
	name := "detection: " + r.name
	m.add(plain(name+": messages", float64(len(times)), "messages"), plain(name+": days", days, "days"),
		plain(name+": false alarms", float64(wolves)/days, "a day").atMost(goalWolves))
	for cause, n := range causes {
		m.add(plain(name+": of these "+cause, float64(n), "alarms"))
	}
	for i, f := range failures {
		label := fmt.Sprintf("%s: failure of %s", name, f.point.Format(time.DateOnly))
		if delay, ok := found[i]; ok {
			m.add(plain(label+": alarm after the labelled moment", delay.Hours(), "h"))
		} else {
			m.add(plain(label+": not found", 1, "failure"))
		}
	}
	return nil
}

// failuresOf reads what people have labelled.
func failuresOf(path, name string) (out []failure, err error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var labels map[string]struct {
		Points  []string    `json:"anomaly_points"`
		Windows [][2]string `json:"anomaly_windows"`
	}
	if err := json.Unmarshal(text, &labels); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	for i, w := range labels[name].Windows {
		var f failure
		for text, at := range map[string]*time.Time{w[0]: &f.from, w[1]: &f.to, labels[name].Points[i]: &f.point} {
			if *at, err = time.Parse(time.DateTime, strings.TrimSuffix(text, ".000000")); err != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
		}
		out = append(out, f)
	}
	return out, nil
}

func readRows(path string) ([][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1 // some number their rows without saying so in their head
	rows, err := r.ReadAll()
	if err != nil || len(rows) <= detectQuick {
		return nil, fmt.Errorf("read %s: %d rows: %w", path, len(rows), err)
	}
	return rows[1:], nil
}

// setClock moves a clock that the edge looks at, at once.
func setClock(path string, offset time.Duration) error {
	if err := os.WriteFile(path+".new", strconv.AppendInt(nil, offset.Milliseconds(), 10), 0o600); err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("move the clock: %w", err)
	}
	return nil
}
