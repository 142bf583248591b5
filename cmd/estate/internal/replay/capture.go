package replay

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// message is one that was captured.
type message struct {
	file    string
	line    int
	topic   string
	payload []byte
	retain  bool
	at      time.Time // zero where the capture does not say
}

// String names the message for people.
func (m message) String() string { return fmt.Sprintf("%s:%d %q", m.file, m.line, m.topic) }

const (
	// lineBytesMax is a gateway's whole device list, with JSON's quotes around it.
	lineBytesMax = 32 << 20
	// messagesMax bounds what is held in memory.
	messagesMax = 5_000_000
)

// column says which values of a table are sent, and how.
type column struct {
	topic, key  string
	time, value string // names of the columns
	untilNow    bool
}

// read reads a capture: JSON lines with topic and payload, or a table of values.
func read(path string, c column) ([]message, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	reader := readLines
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		reader = func(r io.Reader) ([]message, error) { return readTable(r, c) }
	}
	list, err := reader(f)
	for i := range list {
		list[i].file = filepath.Base(path)
	}
	return list, err
}

func readLines(r io.Reader) ([]message, error) {
	var out []message
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, lineBytesMax)
	n := 0
	for lines.Scan() {
		n++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		m, err := readLine(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		m.line = n
		if out = append(out, m); len(out) > messagesMax {
			return nil, fmt.Errorf("the capture holds more than %d messages: split it", messagesMax)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is longer than %d MiB", n+1, lineBytesMax>>20)
	}
	return out, lines.Err()
}

// readLine reads one message, in our words or in mosquitto_sub's.
func readLine(text []byte) (message, error) {
	var l struct {
		Topic   *string
		Payload json.RawMessage
		Retain  json.RawMessage
		At, Tst *string
	}
	if err := json.Unmarshal(text, &l); err != nil || l.Topic == nil || l.Payload == nil {
		return message{}, errors.New("not a JSON object with \"topic\" and \"payload\"")
	}
	m := message{topic: *l.Topic, payload: payloadOf(l.Payload)}
	switch string(l.Retain) {
	case "", "null", "false", "0":
	case "true", "1":
		m.retain = true
	default:
		return message{}, fmt.Errorf("retain is true or false, not %s", l.Retain)
	}
	said, err := l.At, error(nil)
	if said == nil {
		said = l.Tst
	}
	if said != nil {
		m.at, err = parseTime(*said)
	}
	return m, err
}

// payloadOf is the text of a payload; one that was captured as JSON is sent as that JSON.
func payloadOf(raw json.RawMessage) []byte {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

// readTable makes a message of each row, as a plain sensor would send it.
func readTable(r io.Reader, c column) ([]message, error) {
	if c.topic == "" || c.key == "" {
		return nil, errors.New("a table needs --topic and --key: where its values are sent, and as what")
	}
	table := csv.NewReader(r)
	table.FieldsPerRecord = -1
	head, err := table.Read()
	if err != nil {
		return nil, fmt.Errorf("read the head of the table: %w", err)
	}
	stamp, value := slices.Index(head, c.time), slices.Index(head, c.value)
	if stamp < 0 || value < 0 {
		return nil, fmt.Errorf("the table has the columns %s: name two of them with --time and --value", strings.Join(head, ", "))
	}
	var times []time.Time
	var values []string
	for {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		more := len(row) - len(head) // a table may number its rows without saying so in its head
		if more < 0 {
			return nil, fmt.Errorf("row %d is too short", len(times)+2)
		}
		at, err := parseTime(row[stamp+more])
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", len(times)+2, err)
		}
		if n, err := strconv.ParseFloat(row[value+more], 64); err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("row %d: %q is no number", len(times)+2, row[value+more])
		}
		if times, values = append(times, at), append(values, row[value+more]); len(times) > messagesMax {
			return nil, fmt.Errorf("the table holds more than %d rows: split it", messagesMax)
		}
	}
	shift := time.Duration(0)
	if c.untilNow && len(times) > 0 {
		shift = time.Since(times[len(times)-1])
	}
	out := make([]message, len(times))
	for i, at := range times {
		stamp := at.Add(shift).UTC().Format(time.RFC3339Nano)
		out[i] = message{line: i + 2, topic: c.topic, at: at, payload: fmt.Appendf(nil, `{"ts":%q,%q:%s}`, stamp, c.key, values[i])}
	}
	return out, nil
}

// The times of mosquitto_sub, of a version before 2.0.16 and now.
const (
	mosquittoTime    = "2006-01-02T15:04:05.999999Z-0700"
	mosquittoTimeNow = "2006-01-02T15:04:05.999999-0700"
)

func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", mosquittoTime, mosquittoTimeNow} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-03-01 12:00:00", s)
}
