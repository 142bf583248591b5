package decode_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/lab/fuzztest"
)

var arrival = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func msg(topic, payload string) decode.Message {
	return decode.Message{Topic: topic, Payload: []byte(payload), Arrival: arrival}
}

// show writes observations as "hardware kind=value unit @seconds-before-arrival".
func show(r decode.Result) string {
	var b strings.Builder
	for _, o := range r.Observations {
		fmt.Fprintf(&b, "%s %s=%s%s", o.Hardware, o.Kind, o.Value, o.Unit)
		if !o.EventTime.IsZero() {
			fmt.Fprintf(&b, " @%d", int(o.EventTime.Sub(arrival).Seconds()))
		}
		b.WriteString("\n")
	}
	for _, u := range r.Unrecognised {
		fmt.Fprintf(&b, "? %s\n", u.Key)
	}
	return strings.TrimSpace(b.String())
}

const list = `[{"ieee_address":"0x00158D0000000001","friendly_name":"cellar"},
 {"ieee_address":"0x00158d0000000002","friendly_name":"cellar/pump room"},{"ieee_address":null,"friendly_name":"x"}]`

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, topic, payload, want string }{
		{"Plain", "estate/v1/oak/dev/s1/state", `{"ts":"2026-03-01T11:59:00Z","leak":true,"temperature":21.4,"battery":87,"note":"x"}`,
			"plain:oak/s1 battery=87% @-60\nplain:oak/s1 leak=true @-60\nplain:oak/s1 temperature=21.4°C @-60"},
		{"PlainNoTime", "estate/v1/oak/dev/s1/state", `{"leak":"off"}`, "plain:oak/s1 leak=false"},
		{"NullIsNoObservation", "estate/v1/oak/dev/s1/state", `{"leak":null,"humidity":null,"ts":null}`, ""},
		{"PlainAvailability", "estate/v1/oak/dev/s1/availability", "online", "plain:oak/s1 availability=true"},
		{"OtherBuilding", "estate/v1/elm/dev/s1/state", `{"leak":true}`, "?"},
		{"WhatTheEdgeSends", "estate/v1/oak/dev/s1/error", `{}`, ""},
		{"OtherBranch", "estate/v1/oak/dev/s1/thing", `{}`, "?"},
		{"SpaceInName", "estate/v1/oak/dev/s 1/state", `{"leak":true}`, "?"},
		{"WrongTypeSpoilsOnlyItsKey", "estate/v1/oak/dev/s1/state", `{"leak":"banana","temperature":[1],"humidity":"55.5"}`,
			"plain:oak/s1 humidity=55.5%\n? leak\n? temperature"},
		{"NaN", "estate/v1/oak/dev/s1/state", `{"temperature":NaN}`, "?"},
		{"NaNText", "estate/v1/oak/dev/s1/state", `{"temperature":"NaN","leak":1}`, "plain:oak/s1 leak=true\n? temperature"},
		{"OutOfRange", "estate/v1/oak/dev/s1/state", `{"temperature":1e300,"battery":101}`, "? battery\n? temperature"},
		{"Truncated", "estate/v1/oak/dev/s1/state", `{"leak":tr`, "?"},
		{"NotAnObject", "estate/v1/oak/dev/s1/state", `null`, "?"},
		{"Empty", "estate/v1/oak/dev/s1/state", ``, "?"},
		{"NotUTF8", "estate/v1/oak/dev/s1/state", "{\"leak\":true,\"n\":\"\xff\"}", "?"},
		{"TopicNotUTF8", "estate/v1/oak/dev/\xff/state", `{"leak":true}`, "?"},
		{"ClockAhead", "estate/v1/oak/dev/s1/state", `{"ts":"2027-03-01T12:00:00Z","leak":true}`, "plain:oak/s1 leak=true\n? ts"},
		{"ClockLostPower", "estate/v1/oak/dev/s1/state", `{"ts":"1970-01-01T00:00:09Z","leak":true}`, "plain:oak/s1 leak=true\n? ts"},

		{"BridgePlain", "zigbee2mqtt/bridge/state", "online", "z2m:bridge:zigbee2mqtt availability=true"},
		{"BridgeJSON", "zigbee2mqtt/bridge/state", `{"state":"offline"}`, "z2m:bridge:zigbee2mqtt availability=false"},
		{"BridgeUnknownIsNotOffline", "zigbee2mqtt/bridge/state", `{"status":"ok"}`, "?"},
		{"BridgeLogging", "zigbee2mqtt/bridge/logging", `{"level":"info"}`, ""},
		{"ByAddress", "zigbee2mqtt/cellar", `{"water_leak":true,"linkquality":97,"state":"ON"}`,
			"z2m:0x00158d0000000001 link_quality=97lqi\nz2m:0x00158d0000000001 switched=true\nz2m:0x00158d0000000001 leak=true"},
		{"LongestNameWins", "zigbee2mqtt/cellar/pump room", `{"contact":false}`, "z2m:0x00158d0000000002 contact=false"},
		{"NameUnderAKnownName", "zigbee2mqtt/cellar/new", `{"contact":true}`, "z2m:name:zigbee2mqtt/cellar/new contact=true"},
		{"UnknownName", "zigbee2mqtt/attic", `{"contact":true}`, "z2m:name:zigbee2mqtt/attic contact=true"},
		{"AddressAsName", "zigbee2mqtt/0x00158D00000000AA", `{"smoke":false}`, "z2m:0x00158d00000000aa smoke=false"},
		{"AvailabilityJSON", "zigbee2mqtt/cellar/pump room/availability", `{"state":"Offline"}`, "z2m:0x00158d0000000002 availability=false"},
		{"AvailabilityUnknownIsNotOffline", "zigbee2mqtt/cellar/availability", `gone`, "?"},
		{"LastSeenISO", "zigbee2mqtt/cellar", `{"occupancy":true,"last_seen":"2026-03-01T14:00:00+02:00"}`, "z2m:0x00158d0000000001 occupancy=true @0"},
		{"LastSeenMillis", "zigbee2mqtt/cellar", `{"gas":false,"last_seen":1772366340000}`, "z2m:0x00158d0000000001 gas=false @-60"},
		{"LastSeenSeconds", "zigbee2mqtt/cellar", `{"carbon_monoxide":false,"last_seen":1772366340}`, "z2m:0x00158d0000000001 carbon_monoxide=false @-60"},
		{"LastSeenWrong", "zigbee2mqtt/cellar", `{"tamper":false,"last_seen":1000}`, "z2m:0x00158d0000000001 tamper=false\n? last_seen"},
		{"Command", "zigbee2mqtt/cellar/set", `{"water_leak":true}`, ""},
		{"CommandAttribute", "zigbee2mqtt/unknown/set/state", `ON`, ""},
		{"AttributeOutput", "zigbee2mqtt/cellar/water_leak", `true`, "z2m:0x00158d0000000001 leak=true"},
		{"AttributeOfNobody", "zigbee2mqtt/attic/wing", `true`, "?"},
		{"ForeignTopic", "garage/door", `open`, "?"},
		{"BaseAlone", "zigbee2mqtt/", `{}`, "?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decode.New(decode.Config{Building: "oak"})
			if r := d.Decode(msg("zigbee2mqtt/bridge/devices", list)); !r.Configures || len(r.Unrecognised) != 1 {
				t.Fatalf("device list: %+v", r)
			}
			if got := show(d.Decode(msg(c.topic, c.payload))); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestMarksPassThrough(t *testing.T) {
	t.Parallel()
	m := msg("estate/v1/oak/dev/s1/state", `{"leak":true}`)
	m.Retained, m.Duplicate = true, true
	r := decode.New(decode.Config{Building: "oak"}).Decode(m)
	if len(r.Observations) != 1 || r.Device != "s1" || r.Building != "oak" {
		t.Fatalf("got %+v", r)
	}
	if o := r.Observations[0]; !o.Retained || !o.Duplicate || !o.ArrivalTime.Equal(arrival) || o.Name != "s1" {
		t.Errorf("got %+v", o)
	}
}

func TestSizeLimits(t *testing.T) {
	t.Parallel()
	d := decode.New(decode.Config{Building: "oak"})
	pad := func(n int) string { return `{"leak":true,"pad":"` + strings.Repeat("x", n) + `"}` }
	for _, c := range []struct {
		topic string
		bytes int
		ok    bool
	}{
		{"estate/v1/oak/dev/s1/state", 200 << 10, true},
		{"estate/v1/oak/dev/s1/state", 256 << 10, false},
		{"zigbee2mqtt/a", 1 << 20, true},
		{"zigbee2mqtt/a", 8 << 20, false},
	} {
		r := d.Decode(msg(c.topic, pad(c.bytes)))
		if (len(r.Observations) > 0) != c.ok || (len(r.Unrecognised) == 0) != c.ok {
			t.Errorf("%s with %d bytes: %+v", c.topic, c.bytes, r.Unrecognised)
		}
	}
}

func TestNamesSurviveRestartAndRename(t *testing.T) {
	t.Parallel()
	next := decode.New(decode.Config{Building: "oak", Gateways: []string{"z1", "z2"}})
	next.Seed([]decode.Message{msg("z1/bridge/devices", list)})
	if got := show(next.Decode(msg("z1/cellar", `{"leak":true}`))); got != "z2m:0x00158d0000000001 leak=true" {
		t.Errorf("after restart: %s", got)
	}
	renamed := strings.Replace(list, `"cellar"`, `"basement"`, 1)
	if r := next.Decode(msg("z1/bridge/devices", renamed)); !r.Configures {
		t.Error("a rename was not seen")
	}
	if got := show(next.Decode(msg("z1/basement", `{"leak":true}`))); got != "z2m:0x00158d0000000001 leak=true" {
		t.Errorf("after rename: %s", got)
	}
	if r := next.Decode(msg("z1/bridge/devices", "")); r.Configures || r.Nothing == "" {
		t.Errorf("a cleared list: %+v", r)
	}
	for _, bad := range []string{`{}`, `[`, "[\"\xff\"]"} {
		if r := next.Decode(msg("z1/bridge/devices", bad)); r.Configures || len(r.Unrecognised) != 1 {
			t.Errorf("list %q: %+v", bad, r)
		}
	}
	if got := show(next.Decode(msg("z1/basement", `{"leak":true}`))); got != "z2m:0x00158d0000000001 leak=true" {
		t.Errorf("a bad list forgot names: %s", got)
	}
}

func TestObservationID(t *testing.T) {
	t.Parallel()
	one := func(payload string, at time.Time) [16]byte {
		m := msg("estate/v1/oak/dev/s1/state", payload)
		m.Arrival = at
		return decode.New(decode.Config{Building: "oak"}).Decode(m).Observations[0].ID()
	}
	later := arrival.Add(time.Minute)
	dated := `{"ts":"2026-03-01T11:59:00Z","leak":true}`
	if one(dated, arrival) != one(dated, later) {
		t.Error("the same dated observation has two ids")
	}
	if one(`{"leak":true}`, arrival) == one(`{"leak":true}`, later) {
		t.Error("two undated observations have one id")
	}
	if one(dated, arrival) == one(`{"ts":"2026-03-01T11:59:00Z","leak":false}`, arrival) {
		t.Error("two values have one id")
	}
}

// FuzzDecode reads two messages of any topic and payload, as a gateway and its neighbours
// send them: no panic, memory in proportion, nothing that a sender wrote is kept or told
// beyond its limit, and names survive being saved.
func FuzzDecode(f *testing.F) {
	f.Add("estate/v1/oak/dev/s1/state", []byte(`{"leak":true,"ts":1772366340}`), "zigbee2mqtt/x", []byte(`{"contact":1,"voltage":"3000"}`))
	f.Add("zigbee2mqtt/bridge/devices", []byte(list), "zigbee2mqtt/cellar/pump room/availability", []byte(`{"state":"online"}`))
	f.Add("zigbee2mqtt/a/b/availability", []byte(`{"state":"online"}`), "zigbee2mqtt/a/set/b", []byte(`ON`))
	f.Add("homeassistant/device/x/config", []byte(`{"dev":{"ids":"a020a61c3105"},"o":{"name":"n"},"~":"x","cmps":{"t":{"p":"sensor","uniq_id":"t","stat_t":"~/s","val_tpl":"{{value_json.t}}","unit_of_meas":"°C"}}}`), "x/s", []byte(`{"t":21.5}`))
	f.Add("tasmota/discovery/00000049A3BC/config", []byte(`{"t":"plug","ft":"%topic%/%prefix%/","tp":["cmnd","stat","tele"],"mac":"00000049A3BC"}`), "plug/tele/SENSOR", []byte(`{"Time":"2026-03-01T12:00:00","DHT11":{"Temperature":20.5},"TempUnit":"C"}`))
	f.Add("home/x/events/rpc", []byte(`{"src":"shellyplus1-441793a5d2fc","method":"NotifyStatus","params":{"ts":1772366340.5,"switch:0":{"output":true,"apower":3.5}}}`), "shellies/shellyflood-764544/sensor/flood", []byte("true"))
	f.Add("fazole/sensor/wetness1/state", []byte("21.77"), "fazole/status", []byte("offline"))
	f.Add("zigbee2mqtt/bridge/state", []byte("offline"), "estate/v1/oak/dev/\xff/state", []byte{})
	const perByte = 512 // JSON is read twice, and a key of a few bytes becomes an entry of a map
	f.Fuzz(func(t *testing.T, topic1 string, payload1 []byte, topic2 string, payload2 []byte) {
		d := decode.New(decode.Config{Building: "oak"})
		saved, configured := []decode.Message{msg("zigbee2mqtt/bridge/devices", list)}, map[string]bool{}
		d.Decode(saved[0])
		for _, m := range []decode.Message{{Topic: topic1, Payload: payload1, Arrival: arrival}, {Topic: topic2, Payload: payload2, Arrival: arrival}} {
			var r decode.Result
			fuzztest.Bounded(t, len(m.Topic)+len(m.Payload), perByte, func() { r = d.Decode(m) })
			if r.Configures {
				saved = slices.DeleteFunc(saved, func(s decode.Message) bool { return s.Topic == m.Topic })
				saved = append(saved, m)
				alone := decode.New(decode.Config{Building: "oak"})
				alone.Decode(m)
				for _, h := range r.Changed { // by its name in what is saved, or by its loss from there
					_, configured[h] = alone.Device(h)
				}
			}
			for _, o := range r.Observations {
				if o.Hardware == "" || o.Kind == "" || o.Value.Type == 0 || o.EventTime.After(arrival.Add(5*time.Minute)) {
					t.Errorf("observation %+v", o)
				}
			}
			for _, u := range r.Unrecognised {
				if u.Reason == "" || len(u.Topic) > 300 || len(u.Key) > 300 || len(u.Reason) > 600 {
					t.Errorf("told %+v", u)
				}
			}
		}
		again := decode.New(decode.Config{Building: "oak"})
		again.Seed(saved)
		for _, h := range d.Devices() {
			if _, ok := again.Device(h); !ok && configured[h] {
				t.Errorf("%s was not known again from what configured it", h)
			}
		}
	})
}
