package ingest_test

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"estate/edge/internal/decode"
	"estate/internal/lab/labtest"
)

// captured is one line of the recorded corpus.
type captured struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
	Kind    string `json:"kind"`
	Retain  *bool  `json:"retain"`
}

// corpus reads the recorded messages.
func corpus(t *testing.T) []captured {
	t.Helper()
	f, err := os.Open(labtest.Data(t, "mqtt_payloads/zigbee2mqtt.jsonl")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var out []captured
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, decode.GatewayPayloadBytesMax)
	for lines.Scan() {
		var c captured
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if len(out) == 0 || lines.Err() != nil {
		t.Fatalf("%d lines: %v", len(out), lines.Err())
	}
	return out
}

// TestReplay sends the recorded building through a real broker. Nobody adopted anything:
// no alarm and no reading may come of it, though leaks are among the messages. Then the
// leak sensors are adopted and the same messages raise one alarm each.
func TestReplay(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) server{
		"Embedded":  func(t *testing.T) server { return startEmbedded(t, nil) },
		"Mosquitto": func(t *testing.T) server { return startMosquitto(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := corpus(t)
			s := start(t)
			sink := newStore()
			in := run(t, s, sink)
			p := connect(t, s, true)
			sent, spaces := replay(p, all, name == "Embedded")
			eventually(t, "all taken", func() bool { return in.Status().Counts.Messages >= int64(sent) })
			if !sink.alarms(0, 0)() || len(sink.rows) != 0 {
				t.Fatalf("alarms %v, %d rows of unadopted devices", sink.raised, len(sink.rows))
			}
			c := in.Status().Counts
			t.Logf("sent %d of %d (%d have white space in the topic), %+v, %d candidates, %d refusals",
				sent, len(all), spaces, c, len(in.Quarantine()), len(in.Refusals()))
			leaks := map[string]bool{}
			for _, cand := range in.Quarantine() {
				if v, ok := cand.Values[decode.Leak]; ok && v.Bool {
					leaks[cand.Hardware] = true
				}
			}
			if len(leaks) == 0 {
				t.Fatal("the corpus holds no leak: the test proves nothing")
			}
			sink.change(func(s *store) {
				for h := range leaks {
					s.adopted[h] = true
				}
			})
			replay(p, all, name == "Embedded")
			eventually(t, "adopted and live raises", sink.alarms(len(leaks), 0))
			eventually(t, "all taken twice", func() bool { return in.Status().Counts.Messages >= int64(2*sent) })
			if !sink.alarms(len(leaks), 0)() {
				t.Errorf("raised %v", sink.raised)
			}
		})
	}
}

// replay publishes the messages that belong to the gateway's base. On the embedded broker
// those with white space in the topic are left out: it closes the connection on them.
func replay(p *publisher, all []captured, skipSpaces bool) (sent, spaces int) {
	for _, c := range all {
		if !strings.HasPrefix(c.Topic, "zigbee2mqtt/") {
			continue
		}
		if strings.ContainsAny(c.Topic, " \t") {
			spaces++
			if skipSpaces {
				continue
			}
		}
		p.send(c.Topic, c.Payload, c.Retain != nil && *c.Retain)
		sent++
	}
	return sent, spaces
}
