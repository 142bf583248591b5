package replay

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// write makes a file of a test's folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRead: captures in our form and in mosquitto_sub's.
func TestRead(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 500_000_000, time.UTC)
	for name, c := range map[string]struct {
		line string
		want message
	}{
		"Text":         {`{"topic":"a/b","payload":"on","retain":null}`, message{topic: "a/b", payload: []byte("on")}},
		"JSON":         {`{"topic":"a/b","payload":{"t": 21.50},"retain":true}`, message{topic: "a/b", payload: []byte(`{"t": 21.50}`), retain: true}},
		"Number":       {`{"topic":"a/b","payload":21.50,"retain":false}`, message{topic: "a/b", payload: []byte(`21.50`)}},
		"Empty":        {`{"topic":"a/b","payload":"","retain":true}`, message{topic: "a/b", retain: true}},
		"TakenAway":    {`{"topic":"a/b","payload":null,"retain":1}`, message{topic: "a/b", retain: true}},
		"At":           {`{"topic":"a/b","payload":"x","at":"2026-03-01T13:00:00.5+01:00"}`, message{topic: "a/b", payload: []byte("x"), at: noon}},
		"Mosquitto":    {`{"tst":"2026-03-01T12:00:00.500000Z+0000","topic":"a/b","qos":1,"retain":1,"payloadlen":1,"payload":"x"}`, message{topic: "a/b", payload: []byte("x"), retain: true, at: noon}},
		"MosquittoNow": {`{"tst":"2026-03-01T14:00:00.500000+0200","topic":"a/b","qos":1,"retain":0,"payloadlen":1,"payload":"x"}`, message{topic: "a/b", payload: []byte("x"), at: noon}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := read(write(t, "capture.jsonl", "\n"+c.line+"\n\n"), column{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			got := list[0]
			if got.topic != c.want.topic || string(got.payload) != string(c.want.payload) || got.retain != c.want.retain || !got.at.Equal(c.want.at) {
				t.Errorf("got %+v, wanted %+v", got, c.want)
			}
			if want := `capture.jsonl:2 "a/b"`; got.String() != want {
				t.Errorf("named %s, wanted %s", got, want)
			}
		})
	}
}

// TestReadBadFiles: what cannot be read is named with its line, and with what is wrong.
func TestReadBadFiles(t *testing.T) {
	t.Parallel()
	table := column{topic: "a/b", key: "temperature", time: "timestamp", value: "value"}
	for name, c := range map[string]struct {
		file, text string
		column     column
		want       string
	}{
		"NotJSON":      {"a.jsonl", `{"topic":"a","payload":"x"}` + "\nzigbee2mqtt/lamp {}\n", column{}, `line 2: not a JSON object with "topic" and "payload"`},
		"Truncated":    {"a.jsonl", `{"topic":"a","payload":"x"}` + "\n" + `{"topic":"a","pay`, column{}, "line 2: not a JSON object"},
		"NoPayload":    {"a.jsonl", `{"topic":"a"}`, column{}, "line 1: not a JSON object"},
		"Array":        {"a.jsonl", `["a","x"]`, column{}, "line 1: not a JSON object"},
		"TopicNumber":  {"a.jsonl", `{"topic":7,"payload":"x"}`, column{}, "line 1: not a JSON object"},
		"WrongTime":    {"a.jsonl", `{"topic":"a","payload":"x","at":"yesterday"}`, column{}, `line 1: "yesterday" is no time`},
		"WrongRetain":  {"a.jsonl", `{"topic":"a","payload":"x","retain":"maybe"}`, column{}, `line 1: retain is true or false, not "maybe"`},
		"Binary":       {"a.jsonl", "\x00\x01\xff\xfe", column{}, "line 1: not a JSON object"},
		"LongLine":     {"a.jsonl", `{"topic":"a","payload":"x"}` + "\n" + strings.Repeat("x", lineBytesMax+1), column{}, "line 2 is longer than 32 MiB"},
		"NoTopic":      {"a.csv", "timestamp,value\n", column{time: "timestamp", value: "value"}, "a table needs --topic and --key"},
		"NoColumn":     {"a.csv", "when,what\n", table, "the table has the columns when, what: name two of them"},
		"EmptyTable":   {"a.csv", "", table, "read the head of the table"},
		"NoNumber":     {"a.csv", "timestamp,value\n2026-03-01 12:00:00,warm\n", table, `row 2: "warm" is no number`},
		"NoTimeInRow":  {"a.csv", "timestamp,value\n2026-03-01 12:00:00,1\nnoon,2\n", table, `row 3: "noon" is no time`},
		"ShortRow":     {"a.csv", "timestamp,value\n2026-03-01 12:00:00\n", table, "row 2 is too short"},
		"NoSuchFile":   {"", "", column{}, "no such file"},
		"NaN":          {"a.csv", "timestamp,value\n2026-03-01 12:00:00,NaN\n", table, `row 2: "NaN" is no number`},
		"UnknownEnd":   {"a.txt", "a/b 21", column{}, "line 1: not a JSON object"},
		"InfinityUp":   {"a.csv", "timestamp,value\n2026-03-01 12:00:00,Inf\n", table, `row 2: "Inf" is no number`},
		"UnclosedText": {"a.csv", "timestamp,value\n\"2026-03-01 12:00:00,1\n", table, "parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "missing.jsonl")
			if c.file != "" {
				path = write(t, c.file, c.text)
			}
			list, err := read(path, c.column)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d messages, %v; wanted %q", len(list), err, c.want)
			}
		})
	}
}

// TestReadTable: rows become what a plain sensor would send, the last one now where asked.
func TestReadTable(t *testing.T) {
	t.Parallel()
	c := column{topic: "estate/v1/oak/dev/pump/state", key: "machine_temperature", time: "timestamp", value: "value"}
	path := write(t, "pump.csv", "timestamp,value\n2014-01-01 12:00:00,71.5\n2014-01-01 12:05:00,72\n")
	list, err := read(path, c)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	if got, want := string(list[0].payload), `{"ts":"2014-01-01T12:00:00Z","machine_temperature":71.5}`; got != want || list[0].topic != c.topic {
		t.Errorf("got %s on %s, wanted %s", got, list[0].topic, want)
	}
	fast := write(t, "fast.csv", "timestamp,value\n2014-01-01 12:00:00.25,71.5\n2014-01-01 12:00:00.75,71.5\n")
	if list, err = read(fast, c); err != nil || string(list[0].payload) == string(list[1].payload) {
		t.Errorf("two values of a second became one: %s, %v", list[1].payload, err)
	}
	c.untilNow = true
	before := time.Now()
	if list, err = read(path, c); err != nil {
		t.Fatal(err)
	}
	var last struct{ TS time.Time }
	if err := json.Unmarshal(list[1].payload, &last); err != nil || last.TS.Before(before) || last.TS.After(time.Now()) {
		t.Errorf("the last is not now: %s, %v", list[1].payload, err)
	}
}

// TestSchedule: real and compressed time, from pause to pause.
func TestSchedule(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(after ...time.Duration) (list []message) {
		for _, d := range after {
			m := message{}
			if d >= 0 {
				m.at = noon.Add(d)
			}
			list = append(list, m)
		}
		return list
	}
	const unknown = -1
	for name, c := range map[string]struct {
		speed float64
		list  []message
		want  []time.Duration
	}{
		"Real":       {1, at(0, time.Second, 5*time.Second), []time.Duration{0, time.Second, 5 * time.Second}},
		"Compressed": {60, at(0, time.Minute, 3*time.Minute), []time.Duration{0, time.Second, 3 * time.Second}},
		"Slower":     {0.5, at(0, time.Second), []time.Duration{0, 2 * time.Second}},
		"AtOnce":     {0, at(0, time.Hour, unknown), []time.Duration{0, 0, 0}},
		"OutOfOrder": {1, at(10*time.Second, 0, 12*time.Second), []time.Duration{0, 0, 12 * time.Second}},
		"Night":      {1, at(0, 8*time.Hour, 8*time.Hour+time.Second), []time.Duration{0, pauseMax, pauseMax + time.Second}},
		"NoTimes":    {1, at(unknown, unknown, unknown), []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond}},
		"SomeTimes":  {1, at(0, unknown, time.Second), []time.Duration{0, 10 * time.Millisecond, 20 * time.Millisecond}},
		"Nothing":    {1, nil, []time.Duration{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := schedule(options{speed: c.speed, every: 10 * time.Millisecond}, c.list)
			if len(got) != len(c.want) {
				t.Fatalf("%v", got)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("message %d after %s, wanted %s", i, got[i], c.want[i])
				}
			}
		})
	}
}
