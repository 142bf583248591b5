package decode_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"estate/edge/internal/decode"
	"estate/internal/lab"
	"estate/internal/lab/labtest"
)

var rewriteFlag = flag.Bool("rewrite", false, "rewrite the table of captures in firmware-docs")

// captureTable is what the firmware-docs publish of the recorded messages.
const captureTable = "firmware-docs/captures.md"

// tally is what became of the messages of one sort.
type tally struct {
	lines, valued, values, configuring, nothing, refused int
	reasons                                              map[string]int
}

func (c *tally) count(r decode.Result) {
	c.lines++
	c.values += len(r.Observations)
	switch {
	case len(r.Observations) > 0:
		c.valued++
	case r.Configures:
		c.configuring++
	case r.Nothing != "":
		c.nothing++
	default:
		c.refused++
	}
	if r.Nothing != "" {
		c.reasons[r.Nothing]++
	}
	for _, u := range r.Unrecognised {
		reason, _, _ := strings.Cut(u.Reason, ", got ")
		c.reasons[reason]++
	}
}

// Each recorded message gives values, configures the decoder, or is told with a reason. The
// table of what became of them is published: run with -rewrite to record it anew.
func TestCaptures(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteString(`# What becomes of recorded messages

Messages recorded from real devices, or printed in their makers' documentation, and what the
decoder makes of them. A message *gives values*, *configures* (announces devices), or *holds
none*; what is *refused* is shown with its reason, and its device loses nothing else.

`)
	var reasons strings.Builder
	for _, path := range labtest.Data(t, "mqtt_payloads/*.jsonl") {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		counts := captured(t, path)
		fmt.Fprintf(&b, "## %s\n\n| messages | lines | give values | values | configure | hold none | refused |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n", name)
		fmt.Fprintf(&reasons, "\n### %s\n\n", name)
		all := map[string]int{}
		for _, kind := range slices.Sorted(maps.Keys(counts)) {
			c := counts[kind]
			if c.valued+c.configuring+c.nothing+c.refused != c.lines {
				t.Errorf("%s, %s: %+v", name, kind, c)
			}
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n", kind, c.lines, c.valued, c.values, c.configuring, c.nothing, c.refused)
			for reason, n := range c.reasons {
				all[reason] += n
			}
		}
		for _, reason := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(&reasons, "- %d × %s\n", all[reason], reason)
		}
		b.WriteString("\n")
	}
	b.WriteString("## Why messages or parts of them give no value\n" + reasons.String())
	root, err := lab.ModuleRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, captureTable)
	if *rewriteFlag {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(want, b.Bytes()) {
		t.Errorf("%s is not what the decoder makes of the captures (%v): run with -rewrite and look at the difference\n%s", captureTable, err, b.String())
	}
}

// captured counts what becomes of the messages of a file, by their kind.
func captured(t *testing.T, path string) map[string]*tally {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	d, out := decode.New(decode.Config{Building: "oak"}), map[string]*tally{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, decode.GatewayPayloadBytesMax)
	for lines.Scan() {
		var l struct {
			Topic, Payload, Kind string
			Retain               *bool
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(l.Kind, " (")
		if out[kind] == nil {
			out[kind] = &tally{reasons: map[string]int{}}
		}
		out[kind].count(d.Decode(decode.Message{Topic: l.Topic, Payload: []byte(l.Payload), Retained: l.Retain != nil && *l.Retain, Arrival: arrival}))
	}
	if lines.Err() != nil || len(out) == 0 {
		t.Fatalf("%s: %d kinds, %v", path, len(out), lines.Err())
	}
	return out
}
