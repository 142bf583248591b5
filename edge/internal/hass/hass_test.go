package hass

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"estate/edge/internal/jinja"
	"estate/internal/lab/fuzztest"
)

func TestParseTopic(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]string{
		"sensor/0x00158d/temperature/config": "sensor|0x00158d temperature", "sensor/kitchen/config": "sensor|kitchen", "device/d-1/config": "device|d-1",
		"sensor/a/b/c/config": "", "sensor/a b/config": "", "sensor/config": "", "sensor/a/state": "", "sensor/a/config/x": "",
	} {
		a, ok := ParseTopic(rest)
		if got := a.Component + "|" + a.ID(); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %t, want %q", rest, got, ok, want)
		}
	}
}

// tell writes an announcement as one line for each thing that it says.
func tell(a Announcement) string {
	var b strings.Builder
	if a.Removed {
		b.WriteString("removed\n")
	}
	if a.Migrating {
		b.WriteString("migrating\n")
	}
	if d := a.Device; len(d.Identifiers)+len(d.Connections) > 0 {
		fmt.Fprintf(&b, "device %v %v %s/%s/%s/%s/%s\n", d.Identifiers, d.Connections, d.Name, d.Manufacturer, d.Model, d.Firmware, d.Area)
	}
	if a.Origin != "" {
		fmt.Fprintf(&b, "by %s\n", a.Origin)
	}
	for _, e := range a.Entities {
		fmt.Fprintf(&b, "%s %s %q after %d\n", e.Component, e.UniqueID, e.Name, e.ExpireAfter)
		for _, p := range e.Points {
			template := ""
			if p.Template != nil {
				template = p.Template.Text()
			}
			fmt.Fprintf(&b, "  %q %s form %d %q/%q %s %s %s%s\n", p.Name, p.Topic, p.Form, p.On, p.Off, p.Unit, p.DeviceClass, template, p.NeedsMapping)
		}
		for _, s := range e.Availability.Sources {
			fmt.Fprintf(&b, "  there: %s %s %s/%s\n", e.Availability.Mode, s.Topic, s.Available, s.NotAvailable)
		}
		if c := e.Command; c != nil {
			fmt.Fprintf(&b, "  command %s %v %v %s..%s\n", c.Topic, c.Payloads, c.Options, c.Min, c.Max)
		}
	}
	for _, id := range a.Gone {
		fmt.Fprintf(&b, "gone %s\n", id)
	}
	for _, p := range a.Problems {
		fmt.Fprintf(&b, "? %s %s %s\n", p.Component, p.Key, p.Reason)
	}
	return strings.TrimSpace(b.String())
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, component, payload, want string }{
		{"Abbreviated", "sensor", `{"~":"x/y","name":"T","stat_t":"~/s","unit_of_meas":"°C","dev_cla":"temperature","exp_aft":"600","uniq_id":"u","avty_t":"up/~","pl_avail":"1","dev":{"ids":"a","mf":"M","mdl":"D","sw":"1","sa":"Attic"},"o":{"name":"p","sw":"2"}}`, `
device [a] [] /M/D/1/Attic
by p 2
sensor u "T" after 600
  "" x/y/s form 1 ""/"" °C temperature 
  there: latest up/x/y 1/offline`},
		{"InFullWins", "switch", `{"stat_t":"short","state_topic":"full","cmd_t":"c","payload_on":true,"pl_off":0,"ret":"true"}`, `
switch  "" after 0
  "" full form 2 "True"/"0"   
  command c map[off:0 on:True] [] ..`},
		{"AvailabilityOfEach", "binary_sensor", `{"~":"b","stat_t":"~","availability_mode":"any","avty":[{"t":"~/up","pl_not_avail":"no"},{"topic":"hub"}]}`, `
binary_sensor  "" after 0
  "" b form 2 "ON"/"OFF"   
  there: any b/up online/no
  there: any hub online/offline`},
		{"Climate", "climate", `{"curr_temp_t":"c/t","temp_unit":"F","mode_stat_t":"c/m","mode_stat_tpl":"{{ value }}","temp_stat_t":"c/s","act_t":"c/a","temp_cmd_t":"c/set"}`, `
climate  "" after 0
  "action" c/a form 3 ""/""   
  "current_temperature" c/t form 1 ""/"" °F temperature 
  "mode" c/m form 3 ""/""   {{ value }}
  "temperature" c/s form 1 ""/"" °F temperature`},
		{"Trigger", "device_automation", `{"atype":"trigger","t":"b/1","pl":"short","type":"button_short_press","stype":"button_1"}`, `
device_automation  "" after 0
  "" b/1 form 4 "short"/"button_short_press button_1"`},
		{"ADevice", "device", `{"dev":{"cns":[["mac","02:5b"]]},"o":{"name":"p"},"~":"d","stat_t":"~/s","qos":1,"cmps":{"a":{"p":"sensor","stat_t":"own"},"b":{"p":"binary_sensor","val_tpl":"{{ value_json.b }}"},"c":{"p":"sensor"},"d":{"p":"toaster"},"e":7,"f":{"p":"sensor","val_tpl":"{{ states('x') }}"}}}`, `
device [] [[mac 02:5b]] ////
by p
sensor  "" after 0
  "" own form 0 ""/""   
binary_sensor  "" after 0
  "" d/s form 2 "ON"/"OFF"   {{ value_json.b }}
sensor  "" after 0
  "" d/s form 0 ""/""   template: line 1, column 10: the function "states" is not supported
gone c
? d platform there is no component "toaster"
? e  the component is not a JSON object
? f  template: line 1, column 10: the function "states" is not supported`},
		{"Removed", "sensor", "  ", "removed"},
		{"Migrating", "sensor", `{"migrate_discovery":true}`, "migrating"},
		{"NothingToRead", "sensor", `{"name":"x"}`, `
sensor  "x" after 0
? o state_topic the component has no topic that gives a value or takes a command`},
		{"NotJSON", "sensor", `{"name"`, "error: the announcement is not a JSON object"},
		{"NoComponents", "device", `{"dev":{"ids":["a"]},"o":{}}`, "error: the device announces no components"},
		{"NoIdentifiers", "device", `{"dev":{},"cmps":{"a":{"p":"sensor","stat_t":"x"}}}`, "error: the device has neither identifiers nor connections"},
		{"NoComponent", "toaster", `{}`, `error: there is no component "toaster"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, err := Parse(Address{Component: c.component, ObjectID: "o"}, []byte(c.payload))
			got := tell(a)
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != strings.TrimSpace(c.want) {
				t.Errorf("got\n%s\nwant\n%s", got, strings.TrimSpace(c.want))
			}
		})
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for _, c := range []struct {
		point   Point
		payload string
		want    string
	}{
		{Point{Form: Number}, " 21.50 ", "1 21.5 false "},
		{Point{Form: Number}, "None", "no value"},
		{Point{Form: Number}, "NaN", `wanted a number, got "NaN"`},
		{Point{Form: Switch, On: "ON", Off: "OFF"}, "ON", "2 0 true "},
		{Point{Form: Switch, On: "ON", Off: "OFF"}, "on", `wanted "ON" or "OFF", got "on"`},
		{Point{Form: Switch, On: "ON", Off: "None"}, "None", "2 0 false "},
		{Point{Form: Text, Words: map[string]string{"LOCKED": "locked"}}, "LOCKED", "3 0 false locked"},
		{Point{}, "7", "1 7 false "},
		{Point{}, "warm", "3 0 false warm"},
		{Point{Form: Event}, `{"event_type":"press","x":1}`, "4 0 false press"},
		{Point{Form: Event}, `{"event_type":""}`, "no value"},
		{Point{Form: Event, On: "short", Off: "button"}, "long", "no value"},
		{Point{Form: Event, On: "short", Off: "button"}, "short", "4 0 false button"},
		{Point{Form: Version}, `{"installed_version":"1.2","latest_version":"1.3"}`, "3 0 false 1.2"},
		{Point{Form: Version}, `1.2`, "3 0 false 1.2"},
	} {
		v, err := c.point.Read(jinja.NewPayload([]byte(c.payload)), now)
		got := fmt.Sprint(int(v.Form), " ", v.Number, " ", v.On, " ", v.Text)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v of %q: %s, want %s", c.point, c.payload, got, c.want)
		}
	}
}

// FuzzParse reads any announcement: no panic, memory in proportion, each entity in its limits.
func FuzzParse(f *testing.F) {
	f.Add("device", `{"dev":{"ids":["a"],"cns":[["mac","b"]]},"o":{"name":"p"},"~":"d","avty":[{"t":"~"}],"cmps":{"a":{"p":"valve","cmd_t":"~/c","stat_t":"~/s","val_tpl":"{{value_json.x}}"}}}`)
	f.Add("light", `{"schema":"json","stat_t":"s","bri_stat_t":"b","cmd_t":"c"}`)
	f.Add("sensor", ``)
	const perByte = 4096 // each topic of a component may have a template, which is parsed
	f.Fuzz(func(t *testing.T, component, payload string) {
		fuzztest.Bounded(t, len(payload), perByte, func() {
			a, err := Parse(Address{Component: component, ObjectID: "o"}, []byte(payload))
			if err == nil && len(a.Entities) > componentsMax {
				t.Errorf("%d entities", len(a.Entities))
			}
		})
	})
}
