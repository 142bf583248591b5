package decode_test

import (
	"encoding/json"
	"strings"
	"testing"

	"estate/edge/internal/decode"
)

// TestShellyIsAsked: a Shelly that says that it is there is asked what it is and how everything is,
// and what it answers is read, under a prefix that a person chose as well.
func TestShellyIsAsked(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	say := func(topic, payload string, kept bool) decode.Result {
		m := msg(topic, payload)
		m.Retained = kept
		return d.Decode(m)
	}
	r := say("boiler/online", "true", false)
	if len(r.Ask) > 0 { // only a known prefix is a Shelly's
		t.Fatalf("%+v", r.Ask)
	}
	say("boiler/events/rpc", `{"src":"shellyplus1pm-441793a5d2fc","method":"NotifyStatus","params":{"ts":1772366399.5}}`, false)
	r = say("boiler/online", "true", true)
	var asked []string
	for _, q := range r.Ask {
		var body struct {
			ID          int
			Src, Method string
		}
		if err := json.Unmarshal(q.Payload, &body); err != nil || q.Topic != "boiler/rpc" || body.Src != "boiler/estate" {
			t.Errorf("%s %s: %v", q.Topic, q.Payload, err)
		}
		asked = append(asked, body.Method)
	}
	if strings.Join(asked, " ") != "Shelly.GetDeviceInfo Shelly.GetStatus" {
		t.Fatalf("asked %s", asked)
	}
	if r = say("boiler/online", "true", true); len(r.Ask) > 0 {
		t.Errorf("what the broker kept is asked about again: %+v", r.Ask)
	}
	if r = say("boiler/online", "true", false); len(r.Ask) != 2 {
		t.Errorf("it came back: %+v", r.Ask)
	}
	if r = say("boiler/online", "false", false); len(r.Ask) > 0 {
		t.Errorf("it left: %+v", r.Ask)
	}
	say("boiler/estate/rpc", `{"id":1,"src":"shellyplus1pm-441793a5d2fc","dst":"boiler/estate","result":{"name":"Boiler","id":"shellyplus1pm-441793a5d2fc","mac":"441793A5D2FC","model":"SNSW-001P16EU","gen":2,"ver":"1.1.0","app":"Plus1PM"}}`, false)
	dev, ok := d.Device("mac:441793a5d2fc")
	if !ok || dev.Name != "Boiler" || dev.Firmware != "1.1.0" || dev.Manufacturer != "Shelly" {
		t.Errorf("%+v", dev)
	}
	got := talk(d, `boiler/estate/rpc {"id":2,"src":"shellyplus1pm-441793a5d2fc","result":{"ble":{},"flood:0":{"id":0,"alarm":true},"switch:0":{"id":0,"output":true,"apower":8.9,"temperature":{"tC":43.6,"tF":110.5}}}}
boiler/estate/rpc {"id":2,"error":{"code":-105,"message":"no"}}
boiler/estate/rpc {"id":1,"result":{}}`)
	want := `mac:441793a5d2fc flood:0.alarm=true
mac:441793a5d2fc switch:0.apower=8.9W
mac:441793a5d2fc switch:0.output=true
mac:441793a5d2fc switch:0.temperature.tC=43.6°C
mac:441793a5d2fc switch:0.temperature.tF=110.5°F
(an answer without what was asked for)
? mac: what the device says of itself has no mac`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
