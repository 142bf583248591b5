package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"estate/edge"
	"estate/internal/desk"
)

// switchboard is one device of a building, adopted, as people order it at the box.
type switchboard struct {
	*box
	building string
	device   desk.Device
}

func (s switchboard) path(tail string) string {
	return "/buildings/" + s.building + "/devices/" + s.device.ID.String() + tail
}

// adopted waits until a device is listed and adopts it.
func (b *box) adopted(building, hardware string) switchboard {
	b.t.Helper()
	s := switchboard{box: b, building: building}
	eventually(b.t, hardware+" is listed", func() bool {
		all := b.devices(building)
		n := slices.IndexFunc(all, func(d desk.Device) bool { return d.Hardware == hardware })
		if n >= 0 {
			s.device = all[n]
		}
		return n >= 0
	})
	if status := b.call(http.MethodPost, s.path("/adopt"), map[string]string{"name": "It"}, nil); status/100 != 2 {
		b.t.Fatalf("adopt: %d", status)
	}
	return s
}

// control waits until a control shows a state.
func (s switchboard) control(key, state string) {
	s.t.Helper()
	eventually(s.t, key+" is "+state, func() bool {
		var got struct{ Items []desk.Control }
		s.call(http.MethodGet, s.path("/controls"), nil, &got)
		return slices.ContainsFunc(got.Items, func(c desk.Control) bool { return c.Control == key && c.State == state && c.Refused == nil })
	})
}

// order plans an order and confirms it.
func (s switchboard) order(control, value string) desk.Action {
	s.t.Helper()
	var plan desk.ActionPlan
	if status := s.call(http.MethodPost, s.path("/actions/plan"), map[string]string{"control": control, "value": value}, &plan); status != http.StatusOK {
		s.t.Fatalf("plan %s %s: %d", control, value, status)
	}
	var a desk.Action
	if status := s.call(http.MethodPost, s.path("/actions"), map[string]string{"token": plan.Token}, &a); status != http.StatusCreated {
		s.t.Fatalf("order %s %s: %d", control, value, status)
	}
	return a
}

// ends waits for the end of an order.
func (s switchboard) ends(a desk.Action) desk.Action {
	s.t.Helper()
	eventually(s.t, a.Value+" has an end", func() bool {
		s.call(http.MethodGet, s.path("/actions/"+a.ID.String()), nil, &a)
		return a.Over()
	})
	return a
}

// got waits for the next order that a device receives, the n-th, counted from 0.
func (c *client311) ordered(topic string, n int) heard {
	c.t.Helper()
	eventually(c.t, fmt.Sprint("order ", n, " on ", topic), func() bool { return len(c.all(topic)) > n })
	return c.all(topic)[n]
}

// TestOrders: a valve of our own topics is closed from the API, through the broker in the box,
// and says so.
func TestOrders(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	login := b.login(edge.LoginInput{Name: "cellar"})
	own := strings.TrimSuffix(login.Topic, "state")
	valve := connect(t, b.MQTTAddr(), login, own+"set")
	valve.publish(own+"announcement", []byte(`{"name":"Cellar","entities":{"valve":{"component":"valve"}}}`), true)
	valve.publish(own+"state", []byte(`{"valve":"open"}`), false)
	s := b.adopted(c.building.String(), "plain:oak/cellar")
	valve.publish(own+"state", []byte(`{"valve":"open"}`), false)
	s.control("valve", "open")
	done := s.order("valve", "closed")
	first := valve.ordered(own+"set", 0)
	var told struct {
		ID, Entity, Value string
		Expires           int64
	}
	if err := json.Unmarshal(first.payload, &told); err != nil || told.Entity != "valve" || told.Value != "close" || told.ID != done.ID.String() ||
		told.Expires != done.ExpiresAt.UnixMilli() || first.retained {
		t.Errorf("the device was told %s (%v)", first.payload, err)
	}
	valve.publish(own+"state", []byte(`{"valve":"closing"}`), false)
	valve.publish(own+"answer", []byte(`{"id":"`+told.ID+`","entity":"valve","result":"done","value":"closed"}`), false)
	if got := s.ends(done); got.State != "answered" || got.Answer != "closed" || got.AskedBy.Name != "Mara" || got.Reason != nil {
		t.Errorf("answered: %+v", got)
	}
	s.control("valve", "closed")
	refused := s.order("valve", "open")
	_ = json.Unmarshal(valve.ordered(own+"set", 1).payload, &told)
	valve.publish(own+"answer", []byte(`{"id":"`+told.ID+`","entity":"valve","result":"refused","detail":"locked by hand"}`), false)
	if got := s.ends(refused); got.State != "failed" || got.Answer != "locked by hand" || got.Reason.Code != "device_refused" {
		t.Errorf("refused by the device: %+v", got)
	}
	valve.publish(own+"availability", []byte("offline"), true)
	eventually(t, "offline", func() bool { return b.devices(s.building)[0].Availability == "offline" })
	var problem struct{ Code, Remedy string }
	if status := s.call(http.MethodPost, s.path("/actions/plan"), map[string]string{"control": "valve", "value": "open"}, &problem); status != http.StatusConflict || problem.Code != "device_offline" || problem.Remedy == "" {
		t.Errorf("an order to a device that is away: %d %+v", status, problem)
	}
	if n := len(valve.all(own + "set")); n != 2 {
		t.Errorf("the device was told %d times", n)
	}
}

// TestOrdersOfFirmwares: devices are told in their own words, and their own words are their
// answer.
func TestOrdersOfFirmwares(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	const list = `[{"ieee_address":"0x00124b0001020304","friendly_name":"plug","definition":{"description":"Plug","exposes":[{"type":"switch","features":[{"type":"binary","property":"state","access":7,"value_on":"ON","value_off":"OFF"}]}]}}]`
	for _, one := range []struct {
		name, role, base, mac string
		says                  [][2]string // at first, and again
		hardware, control     string
		topic, order          string
		answers               [2]string
	}{
		{"z2m", "zigbee2mqtt", "", "", [][2]string{{"zigbee2mqtt/bridge/devices", list}, {"zigbee2mqtt/plug", `{"state":"OFF"}`}},
			"z2m:0x00124b0001020304", "state", "zigbee2mqtt/plug/set", `{"state":"ON"}`, [2]string{"zigbee2mqtt/plug", `{"state":"ON"}`}},
		{"pump", "tasmota", "pump", "0123456789AB", [][2]string{{"tasmota/discovery/0123456789AB/config", `{"dn":"Pump","fn":["Pump"],"t":"pump","ft":"%prefix%/%topic%/","tp":["cmnd","stat","tele"],"rl":[1],"ver":1}`},
			{"tele/pump/STATE", `{"POWER":"OFF"}`}}, "mac:0123456789ab", "POWER", "cmnd/pump/POWER", "ON", [2]string{"stat/pump/RESULT", `{"POWER":"ON"}`}},
		{"shelly1", "shelly", "shelly1-0123456789ac", "", [][2]string{{"shellies/shelly1-0123456789ac/relay/0", "off"}}, "mac:0123456789ac", "relay.0",
			"shellies/shelly1-0123456789ac/relay/0/command", "on", [2]string{"shellies/shelly1-0123456789ac/relay/0", "on"}},
		{"esp", "esphome", "boiler", "", [][2]string{{"homeassistant/switch/boiler/relay/config", `{"name":"Relay","stat_t":"boiler/switch/relay/state","cmd_t":"boiler/switch/relay/command","uniq_id":"relay","dev":{"ids":"0123456789ad","name":"boiler"}}`},
			{"boiler/switch/relay/state", "OFF"}}, "mac:0123456789ad", "relay", "boiler/switch/relay/command", "ON", [2]string{"boiler/switch/relay/state", "ON"}},
	} {
		login := b.login(edge.LoginInput{Name: one.name, Role: one.role, Base: one.base, MAC: one.mac})
		d := connect(t, b.MQTTAddr(), login, one.topic)
		for range 2 { // heard, and adopted
			for _, m := range one.says {
				d.publish(m[0], []byte(m[1]), false)
			}
			if len(d.all(one.topic)) > 0 {
				t.Errorf("%s was told before anybody ordered", one.name)
			}
			s := b.adopted(building, one.hardware)
			if s.device.Adopted {
				s.control(one.control, "off")
				asked := s.order(one.control, "on")
				if got := d.ordered(one.topic, 0); string(got.payload) != one.order || got.retained {
					t.Errorf("%s was told %q", one.name, got.payload)
				}
				d.publish(one.answers[0], []byte(one.answers[1]), false)
				if got := s.ends(asked); got.State != "answered" || got.Answer != "on" {
					t.Errorf("%s: %+v", one.name, got)
				}
			}
		}
	}
}

// TestShellyRefuses: what a device says of an order ends it at once.
func TestShellyRefuses(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	const prefix = "shellyplus1-0123456789ab"
	d := connect(t, b.MQTTAddr(), b.login(edge.LoginInput{Name: "relay", Role: "shelly", Base: prefix}), prefix+"/rpc")
	say := func(output string) {
		d.publish(prefix+"/status/switch:0", []byte(`{"id":0,"output":`+output+`}`), false)
	}
	say("false")
	s := b.adopted(c.building.String(), "mac:0123456789ab")
	say("false")
	s.control("switch:0.output", "off")
	asked := s.order("switch:0.output", "on")
	var rpc struct {
		ID     int64
		Src    string
		Method string
		Params struct{ On bool }
	}
	if err := json.Unmarshal(d.ordered(prefix+"/rpc", 0).payload, &rpc); err != nil || rpc.Method != "Switch.Set" || !rpc.Params.On {
		t.Errorf("the device was told %+v (%v)", rpc, err)
	}
	d.publish(rpc.Src+"/rpc", fmt.Appendf(nil, `{"id":%d,"src":%q,"dst":%q,"error":{"code":-109,"message":"Overpower"}}`, rpc.ID, prefix, rpc.Src), false)
	if got := s.ends(asked); got.State != "failed" || got.Reason.Code != "device_refused" || got.Answer != "Overpower (-109)" {
		t.Errorf("refused by the device: %+v", got)
	}
	again := s.order("switch:0.output", "on")
	_ = json.Unmarshal(d.ordered(prefix+"/rpc", 1).payload, &rpc)
	d.publish(rpc.Src+"/rpc", fmt.Appendf(nil, `{"id":%d,"src":%q,"dst":%q,"result":{"was_on":false}}`, rpc.ID, prefix, rpc.Src), false)
	say("true")
	if got := s.ends(again); got.State != "answered" || got.Answer != "on" {
		t.Errorf("answered: %+v", got)
	}
}
