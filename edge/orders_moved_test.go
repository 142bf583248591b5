package edge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"estate/edge"
	"estate/internal/desk"
)

// TestOrdersOfMoved: a device whose base topic was changed while the box was off is still the one
// that was adopted, though the broker keeps that it is offline under the topic before; it is
// ordered under its new topic, and its old one is told nothing.
func TestOrdersOfMoved(t *testing.T) {
	t.Parallel()
	const mac, shelly = "0123456789AB", "shellyplus1-0123456789ab"
	discovery := func(topic string) string {
		return fmt.Sprintf(`{"dn":"Pump","fn":["Pump"],"mac":%q,"t":%q,"ft":"%%prefix%%/%%topic%%/","tp":["cmnd","stat","tele"],"rl":[1],"onln":"Online","ofln":"Offline","ver":1}`, mac, topic)
	}
	for name, c := range map[string]struct {
		role, mac, before, after string
		// says is what the device says under a base topic when it starts; it and gone are kept.
		says     func(base string) []said
		gone     func(base string) said
		control  string
		order    func(base string) string
		answered func(base string, order []byte) said
	}{
		"Tasmota": {"tasmota", mac, "pump", "well",
			func(base string) []said {
				return []said{{"tasmota/discovery/" + mac + "/config", discovery(base), true}, {"tele/" + base + "/LWT", "Online", true}, {"tele/" + base + "/STATE", `{"POWER":"OFF"}`, false}}
			},
			func(base string) said { return said{"tele/" + base + "/LWT", "Offline", true} },
			"POWER", func(base string) string { return "cmnd/" + base + "/POWER" },
			func(base string, _ []byte) said { return said{"stat/" + base + "/RESULT", `{"POWER":"ON"}`, false} }},
		"Shelly": {"shelly", "", shelly, "cellar",
			func(base string) []said {
				return []said{{base + "/online", "true", true}, {base + "/events/rpc", `{"src":"` + shelly + `","dst":"` + base + `/events","method":"NotifyFullStatus","params":{"ts":0,"switch:0":{"id":0,"output":false}}}`, false},
					{base + "/status/switch:0", `{"id":0,"output":false}`, false}}
			},
			func(base string) said { return said{base + "/online", "false", true} },
			"switch:0.output", func(base string) string { return base + "/rpc" },
			func(base string, order []byte) said {
				var rpc struct{ Params struct{ On bool } }
				_ = json.Unmarshal(order, &rpc)
				return said{base + "/status/switch:0", fmt.Sprintf(`{"id":0,"output":%t}`, rpc.Params.On), false}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := startCloud(t)
			b := enrolled(t, cloud)
			b.signIn()
			speak := func(base string) *client311 {
				login := b.login(edge.LoginInput{Name: "at-" + base, Role: c.role, Base: base, MAC: c.mac})
				return connect(t, b.MQTTAddr(), login, c.order(base))
			}
			say := func(d *client311, list ...said) {
				for _, m := range list {
					d.publish(m.topic, []byte(m.payload), m.retain)
				}
			}
			old := speak(c.before)
			say(old, c.says(c.before)...)
			s := b.adopted(cloud.building.String(), "mac:0123456789ab")
			say(old, c.says(c.before)...)
			s.control(c.control, "off")
			say(old, c.gone(c.before))
			was := s.device.ID

			b = b.restart()
			eventually(t, "ready again", b.ready)
			b.signIn()
			s.box = b
			old = connect(t, b.MQTTAddr(), b.login(edge.LoginInput{Name: "at-" + c.before, Role: c.role, Base: c.before, MAC: c.mac}), c.order(c.before))
			moved := speak(c.after)
			say(moved, c.says(c.after)...)
			s.control(c.control, "off")
			asked := s.order(c.control, "on")
			told := moved.ordered(c.order(c.after), 0)
			say(moved, c.answered(c.after, told.payload))
			if got := s.ends(asked); got.State != "answered" || got.Answer != "on" {
				t.Errorf("the order: %+v", got)
			}
			if n := len(old.all(c.order(c.before))); n != 0 {
				t.Errorf("told %d times under the topic before", n)
			}
			all := b.devices(s.building)
			if len(all) != 1 || !all[0].Adopted || all[0].ID != was {
				t.Errorf("%d devices: %+v", len(all), slices.Clip(all))
			}
			var list struct{ Items []desk.Control }
			if b.call("GET", s.path("/controls"), nil, &list); len(list.Items) != 1 {
				t.Errorf("controls: %+v", list.Items)
			}
		})
	}
}
