package decode_test

import (
	"testing"

	"estate/edge/internal/decode"
)

const plainBranch = "estate/v1/oak/dev/cellar/"

// say gives the decoder a message on the branch of a device of our own topics.
func say(d *decode.Decoder, tail, payload string) decode.Result {
	return d.Decode(decode.Message{Topic: plainBranch + tail, Payload: []byte(payload), Arrival: arrival})
}

// TestPlainAnnouncement: what a device announced gives its own keys a meaning, and what can be
// ordered an order; taken back, they mean nothing again.
func TestPlainAnnouncement(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	const hardware = "plain:oak/cellar"
	if r := say(d, "state", `{"valve":"open","flow":3}`); len(r.Observations) != 0 {
		t.Errorf("keys that nobody announced: %+v", r)
	}
	r := say(d, "announcement", `{"name":"Cellar valve","area":"Cellar","battery":true,"entities":{"valve":{"component":"valve","expire_after":900},
		"flow":{"component":"sensor","device_class":"volume_flow_rate","unit":"l/min"},"set":{"component":"number","min":5,"max":30},"bad":{"component":"tap"},"worse":{"component":7}}}`)
	if !r.Configures || len(r.Unrecognised) != 2 || r.Unrecognised[0].Key != "bad" || r.Unrecognised[1].Key != "worse" || r.Unrecognised[0].Code != decode.WrongAnnouncement {
		t.Errorf("announced: %+v", r)
	}
	dev, ok := d.Device(hardware)
	if !ok || dev.Name != "Cellar valve" || !dev.Battery || len(dev.Entities) != 3 {
		t.Fatalf("device: %+v", dev)
	}
	valve := dev.Entities["valve"]
	if valve.Kind != decode.Valve || valve.ExpireAfter != 900 || valve.Command == nil || valve.Command.Topic != plainBranch+"set" ||
		valve.Command.Payloads["close"] != `{"entity":"valve","value":"close"}` {
		t.Errorf("valve: %+v", valve)
	}
	if c := dev.Entities["set"].Command; c == nil || c.Min != "5" || c.Max != "30" {
		t.Errorf("number: %+v", c)
	}
	if dev.Entities["flow"].Command != nil {
		t.Error("a sensor can be ordered")
	}
	r = say(d, "state", `{"valve":"closing","flow":3.5,"set":31}`)
	want := map[string]decode.Value{"valve": {Type: decode.Text, Text: "closing"}, "flow": decode.NumberValue(3.5)}
	for _, o := range r.Observations {
		if want[o.Key] != o.Value {
			t.Errorf("%s: %v", o.Key, o.Value)
		}
		if o.Key == "flow" && (o.Kind != decode.FlowRate || o.Unit != "l/min") {
			t.Errorf("flow: %+v", o)
		}
	}
	if len(r.Observations) != 2 || len(r.Unrecognised) != 1 || r.Unrecognised[0].Code != decode.OutOfRange {
		t.Errorf("state: %+v", r)
	}
	r = say(d, "answer", `{"id":"1","entity":"valve","result":"done","value":"closed"}`)
	if len(r.Observations) != 1 || r.Observations[0].Value.Text != "closed" || r.Observations[0].Kind != decode.Valve {
		t.Errorf("answer: %+v", r)
	}
	if r = say(d, "answer", `{"entity":"valve","result":"done","value":"ajar"}`); len(r.Unrecognised) != 1 || r.Unrecognised[0].Code != decode.WrongValue {
		t.Errorf("a word that valves do not know: %+v", r)
	}
	if r = say(d, "announcement", ""); len(r.Removed) != 1 || len(dev.Entities) != 0 {
		t.Errorf("taken back: %+v, %+v", r, dev.Entities)
	}
	if r = say(d, "state", `{"valve":"open"}`); len(r.Observations) != 0 {
		t.Errorf("after it was taken back: %+v", r)
	}
	if r = say(d, "set", `{"entity":"valve","value":"open"}`); r.Nothing == "" || len(r.Unrecognised) != 0 {
		t.Errorf("the edge's own order: %+v", r)
	}
}
