package ingest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
	"estate/edge/internal/ingest"
	"estate/internal/problem"
)

const (
	s1      = "plain:oak/s1"
	s1State = "estate/v1/oak/dev/s1/state"
	cellar  = "z2m:0x00158d0000000001"
	devices = `[{"ieee_address":"0x00158d0000000001","friendly_name":"cellar/leak"}]`
)

// TestSuite runs every rule against both brokers. Durability over kill -9 is promised, and
// tested, on the embedded one only.
func TestSuite(t *testing.T) {
	t.Parallel()
	servers := map[string]func(*testing.T) server{
		"Embedded":  func(t *testing.T) server { return startEmbedded(t, nil) },
		"Mosquitto": func(t *testing.T) server { return startMosquitto(t) },
	}
	rules := map[string]func(*testing.T, server){
		"LeakRaisesOnceAndClears":       leakRaisesOnceAndClears,
		"CommandLinePublisher":          commandLinePublisher,
		"ForeignTopicIsNotHeard":        foreignTopicIsNotHeard,
		"RetainedIsState":               retainedIsState,
		"UnadoptedIsQuarantined":        unadoptedIsQuarantined,
		"NamesOutliveRestart":           namesOutliveRestart,
		"MovedIsTheSameDevice":          movedIsTheSameDevice,
		"GatewayIsNoDevice":             gatewayIsNoDevice,
		"BadInputIsIsolated":            badInputIsIsolated,
		"StoppedIngestMissesNothing":    stoppedIngestMissesNothing,
		"UnstoredIsDeliveredAgain":      unstoredIsDeliveredAgain,
		"StoreRecovers":                 storeRecovers,
		"RefusedRowTakesNothingWithIt":  refusedRowTakesNothingWithIt,
		"BrokerRestartIsSeenAndHealed":  brokerRestartIsSeenAndHealed,
		"BurstIsStoredInBatchesWithAll": burstIsStoredInBatchesWithAll,
		"FloodIsCounted":                floodIsCounted,
		"GatewayAway":                   gatewayAway,
		"KeptIsReadOnceAnnounced":       keptIsReadOnceAnnounced,
		"AnnouncedIsWaiting":            announcedIsWaiting,
	}
	for kind, start := range servers {
		for name, rule := range rules {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				rule(t, start(t))
			})
		}
	}
}

func leakRaisesOnceAndClears(t *testing.T, s server) {
	sink := newStore(s1)
	run(t, s, sink)
	p := connect(t, s, false)
	p.send(s1State, `{"leak":false}`, false)
	p.send(s1State, `{"leak":true,"temperature":11.5}`, false)
	p.send(s1State, `{"leak":true}`, false)
	p.send(s1State, `{"leak":true,"battery":90}`, false)
	eventually(t, "readings stored", sink.row(s1, "90"))
	if !sink.alarms(1, 0)() {
		t.Fatalf("raised %v", sink.raised)
	}
	p.send(s1State, `{"leak":false}`, false)
	eventually(t, "alarm cleared", sink.alarms(1, 1))
	p.send(s1State, `{"leak":true}`, false)
	eventually(t, "a second leak is a second alarm", sink.alarms(2, 1))
	if a, b := sink.raised[0].Since, sink.raised[1].Since; a.Equal(b) || !sink.cleared[0].Since.Equal(a) {
		t.Errorf("since %s, %s, cleared %s", a, b, sink.cleared[0].Since)
	}
}

func commandLinePublisher(t *testing.T, s server) {
	sink := newStore(s1, cellar)
	run(t, s, sink)
	mosquittoPub(t, s, false, s1State, `{"leak":true}`)
	eventually(t, "plain leak raised", sink.alarms(1, 0))
	mosquittoPub(t, s, true, "zigbee2mqtt/bridge/devices", devices)
	mosquittoPub(t, s, true, "zigbee2mqtt/cellar/leak", `{"water_leak":true,"linkquality":80}`)
	eventually(t, "zigbee leak raised", sink.alarms(2, 0))
}

// foreignTopicIsNotHeard: nobody speaks for another device, or for the edge.
func foreignTopicIsNotHeard(t *testing.T, s server) {
	sink := newStore(s1, cellar)
	in := run(t, s, sink)
	p, gateway := connect(t, s, false), connect(t, s, true)
	p.send("zigbee2mqtt/0x00158d0000000001", `{"water_leak":true}`, false)
	p.send("estate/v1/oak/dev/s2/state", `{"leak":true}`, false)
	p.send("homeassistant/sensor/x/config", `{"state_topic":"a"}`, true)
	gateway.send(s1State, `{"leak":true}`, false)
	gateway.send("estate/v1/oak/tech/someone/inbox", `{}`, false)
	p.send(s1State, `{"temperature":3}`, false)
	gateway.send("zigbee2mqtt/0x00158d0000000001", `{"temperature":4}`, false)
	eventually(t, "their own are heard", func() bool { return sink.row(s1, "3")() && sink.row(cellar, "4")() })
	if got := in.Status().Counts; got.Messages != 2 || !sink.alarms(0, 0)() || len(in.Quarantine()) > 0 {
		t.Errorf("%+v, raised %v, quarantine %v", got, sink.raised, in.Quarantine())
	}
}

func retainedIsState(t *testing.T, s server) {
	sink := newStore(s1)
	first := run(t, s, sink) // the embedded broker lets devices in only once we listen
	p := connect(t, s, false)
	first.stop()
	p.send(s1State, `{"leak":true,"temperature":7}`, true)
	taken := newStore()
	again := run(t, s, taken) // takes the queued live copy, for a building that adopted nothing
	eventually(t, "queued copy taken", func() bool { return again.Status().Counts.Quarantined >= 2 })
	// It would come again, live, were it not acknowledged: what was sent later is stored after that.
	taken.change(func(s *store) { s.adopted[s1] = true })
	p.send(s1State, `{"humidity":40}`, false)
	eventually(t, "queued copy acknowledged", taken.row(s1, "40"))
	again.stop()

	run(t, s, sink)
	eventually(t, "retained state stored", sink.row(s1, "7"))
	if !sink.alarms(0, 0)() {
		t.Fatalf("raised %v", sink.raised)
	}
	p.send(s1State, `{"leak":true}`, false)
	eventually(t, "live leak raised", sink.alarms(1, 0))
}

func unadoptedIsQuarantined(t *testing.T, s server) {
	sink := newStore()
	in := run(t, s, sink)
	p := connect(t, s, true)
	p.send("zigbee2mqtt/attic", `{"water_leak":true,"battery":50}`, false)
	eventually(t, "quarantined", func() bool { return len(in.Quarantine()) == 1 })
	c := in.Quarantine()[0]
	if c.Hardware != "z2m:name:zigbee2mqtt/attic" || c.Name != "attic" || c.Values["battery"].Number != 50 {
		t.Fatalf("candidate %+v", c)
	}
	if !sink.alarms(0, 0)() || len(sink.rows) != 0 {
		t.Fatal("an unadopted device reached the store")
	}
	sink.change(func(s *store) { s.adopted[c.Hardware] = true })
	p.send("zigbee2mqtt/attic", `{"water_leak":true}`, false)
	eventually(t, "adopted and live raises", sink.alarms(1, 0))
	if len(in.Quarantine()) != 0 {
		t.Error("an adopted device is still listed")
	}
	// Its gateway names the hardware later: what was adopted under the name stays one device.
	p.send("zigbee2mqtt/bridge/devices", strings.Replace(devices, "cellar/leak", "attic", 1), false)
	p.send("zigbee2mqtt/attic", `{"water_leak":true,"battery":49}`, false)
	eventually(t, "same device", sink.row(c.Hardware, "49"))
	if !sink.alarms(1, 0)() {
		t.Errorf("raised %v", sink.raised)
	}
}

func namesOutliveRestart(t *testing.T, s server) {
	sink := newStore(cellar)
	in := run(t, s, sink)
	p := connect(t, s, true)
	p.send("zigbee2mqtt/bridge/devices", devices, false) // not retained: only what was saved helps
	eventually(t, "names saved", sink.is(func(s *store) bool { return len(s.announced) == 1 }))
	in.stop()
	p.send("zigbee2mqtt/cellar/leak", `{"water_leak":true}`, false)
	run(t, s, sink)
	eventually(t, "leak raised under the hardware's name", sink.alarms(1, 0))
	if sink.raised[0].Device != cellar {
		t.Errorf("alarm %+v", sink.raised[0])
	}
}

func badInputIsIsolated(t *testing.T, s server) {
	sink := newStore(s1)
	in := run(t, s, sink)
	p := connect(t, s, false)
	errorTopic := make(chan string, 100)
	tok := p.c.Subscribe("estate/v1/oak/dev/s1/error", 1, func(_ mqtt.Client, m mqtt.Message) { errorTopic <- string(m.Payload()) })
	if !tok.WaitTimeout(patience) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	bad := []string{`{"leak":tr`, `{"leak":NaN}`, `{"leak":"banana"}`, `{"leak":{}}`, `[]`, `null`, ``, "\xff\xfe",
		`{"leak":true,"n":"` + "\xff" + `"}`, `{"temperature":1e999}`,
		`{"leak":true,"pad":"` + strings.Repeat("x", 256<<10) + `"}`, strings.Repeat(`{"a":`, 20_000)}
	for _, b := range bad {
		p.send(s1State, b, false)
	}
	p.send("estate/v1/oak/dev/s1/availability", "gone fishing", false)
	p.send(s1State, `{"humidity":40,"pad":"`+strings.Repeat("x", 200<<10)+`"}`, false)
	eventually(t, "the good message after the bad", sink.row(s1, "40"))
	if got := in.Status().Counts; got.Unrecognised != int64(len(bad)+1) || got.Observations != 1 {
		t.Errorf("counts %+v for %d bad payloads: %+v", got, len(bad)+1, in.Refusals())
	}
	if !sink.alarms(0, 0)() {
		t.Errorf("raised %v", sink.raised)
	}
	select {
	case text := <-errorTopic:
		if !strings.Contains(text, "not a JSON object") || !strings.Contains(text, s1State) {
			t.Errorf("told the device %s", text)
		}
	case <-time.After(patience):
		t.Error("the device was not told")
	}
}

// gatewayAway: the last will of a gateway is an alarm of the box, and its return the end of it.
func gatewayAway(t *testing.T, s server) {
	sink := newStore("box:1")
	in := run(t, s, sink)
	p := connect(t, s, true)
	p.send("zigbee2mqtt/bridge/state", "online", true)
	eventually(t, "the gateway", func() bool { return len(in.Gateways()) == 1 })
	p.send("zigbee2mqtt/bridge/state", `{"state":"offline"}`, true)
	eventually(t, "an alarm", sink.alarms(1, 0))
	if a := sink.raised[0]; a.Device != "box:1" || a.Cause != "gateway_away" || !strings.Contains(a.Detail, "zigbee2mqtt is offline") {
		t.Errorf("%+v", a)
	}
	p.send("zigbee2mqtt/bridge/state", "online", true)
	eventually(t, "its end", sink.alarms(1, 1))
	for range 4 {
		p.send("zigbee2mqtt/bridge/state", "offline", true)
		p.send("zigbee2mqtt/bridge/state", "online", true)
	}
	if _, others := s.(*mosquitto); others {
		eventually(t, "that it comes and goes", func() bool {
			return slices.ContainsFunc(in.Refusals(), func(r ingest.Refusal) bool { return r.Code == problem.MQTTClientIDTwice && r.Login == "zigbee2mqtt" })
		})
	}
}

func stoppedIngestMissesNothing(t *testing.T, s server) {
	sink := newStore(s1)
	in := run(t, s, sink)
	p := connect(t, s, false)
	in.stop()
	for n := range 300 {
		p.send(s1State, fmt.Sprintf(`{"temperature":%d}`, n), false)
	}
	p.send(s1State, `{"leak":true}`, false)
	run(t, s, sink)
	eventually(t, "all that was sent meanwhile", sink.holds(301))
	eventually(t, "leak raised", sink.alarms(1, 0))
}

// unstoredIsDeliveredAgain stops after the alarm was raised and before its reading was
// stored, as a crash would.
func unstoredIsDeliveredAgain(t *testing.T, s server) {
	sink := newStore(s1)
	sink.broken = errors.New("disk full")
	in := run(t, s, sink)
	p := connect(t, s, false)
	p.send(s1State, `{"leak":true}`, false)
	<-sink.observed
	if in.Status().Counts.Raised != 1 {
		t.Fatalf("counts %+v", in.Status().Counts)
	}
	in.stop()
	if len(sink.rows) != 0 {
		t.Fatal("stored")
	}
	sink.change(func(s *store) { s.broken = nil })
	run(t, s, sink)
	eventually(t, "delivered again and stored", sink.row(s1, "true"))
	if !sink.alarms(1, 0)() {
		t.Errorf("raised %v", sink.raised)
	}
}

func storeRecovers(t *testing.T, s server) {
	sink := newStore(s1)
	sink.broken = errors.New("disk full")
	in := run(t, s, sink)
	p := connect(t, s, false)
	p.send(s1State, `{"temperature":1}`, false)
	eventually(t, "failure is shown", func() bool { return !in.Status().StoreFailing.IsZero() })
	p.send(s1State, `{"temperature":2}`, false)
	sink.change(func(s *store) { s.broken = nil })
	eventually(t, "both stored", sink.holds(2))
	eventually(t, "failure is over", func() bool { return in.Status().StoreFailing.IsZero() })
}

func refusedRowTakesNothingWithIt(t *testing.T, s server) {
	sink := newStore(s1, cellar)
	sink.poison = cellar
	in := run(t, s, sink)
	gw, p := connect(t, s, true), connect(t, s, false)
	gw.send("zigbee2mqtt/bridge/devices", devices, false)
	for n := range 20 {
		p.c.Publish(s1State, 1, false, fmt.Sprintf(`{"temperature":%d}`, n))
		if n == 10 {
			gw.c.Publish("zigbee2mqtt/cellar/leak", 1, false, `{"water_leak":true}`)
		}
	}
	eventually(t, "the others stored", sink.holds(20))
	eventually(t, "the refused one reported", func() bool { return in.Status().Counts.Refused > 0 })
	eventually(t, "its alarm raised nevertheless", sink.alarms(1, 0))
}

func brokerRestartIsSeenAndHealed(t *testing.T, s server) {
	sink := newStore(s1)
	e, isEmbedded := s.(*embedded)
	in := run(t, s, sink)
	if m, ok := s.(*mosquitto); ok {
		m.stop()
		eventually(t, "blindness is shown", func() bool { return !in.Status().BlindSince.IsZero() && in.Status().Cause != "" })
		m.start(t)
	} else if isEmbedded {
		e.b.Close()
		eventually(t, "blindness is shown", func() bool { return !in.Status().BlindSince.IsZero() && in.Status().Cause != "" })
		// The edge restarts its own broker only with itself: a new password needs a new Ingest.
		in.stop()
		e.start(t)
		in = run(t, s, sink)
	}
	eventually(t, "listening again", func() bool { return in.Status().BlindSince.IsZero() })
	connect(t, s, false).send(s1State, `{"leak":true}`, false)
	eventually(t, "leak raised", sink.alarms(1, 0))
}

func burstIsStoredInBatchesWithAll(t *testing.T, s server) {
	sink := newStore(s1)
	run(t, s, sink)
	p := connect(t, s, false)
	const count = 2000
	start := time.Now()
	left := make([]int, count)
	for n := range left {
		left[n] = n
	}
	for len(left) > 0 {
		tokens := map[int]mqtt.Token{}
		for _, n := range left {
			tokens[n] = p.c.Publish(s1State, 1, false, fmt.Sprintf(`{"energy":%d}`, n))
		}
		left = slices.DeleteFunc(left, func(n int) bool { return tokens[n].WaitTimeout(patience) && tokens[n].Error() == nil })
		if len(left) > 0 { // a busy broker may cut a sender off: what it has not acknowledged is sent again
			p = connect(t, s, false)
		}
	}
	eventually(t, "all stored", sink.holds(count))
	if sink.batches > count/4 {
		t.Errorf("%d batches for %d messages", sink.batches, count)
	}
	t.Logf("%d messages in %d batches, %s", count, sink.batches, time.Since(start).Round(time.Millisecond))
}

// TestViolationReachesTheDevice publishes outside a device's own branch: the broker must
// acknowledge and drop it, so the device hears of it on its error topic.
func TestViolationReachesTheDevice(t *testing.T) {
	t.Parallel()
	seen := make(chan broker.Violation, 10)
	s := startEmbedded(t, func(v broker.Violation) { seen <- v })
	in := run(t, s, newStore(s1))
	p := connect(t, s, false)
	told := make(chan string, 10)
	tok := p.c.Subscribe("estate/v1/oak/dev/s1/error", 1, func(_ mqtt.Client, m mqtt.Message) { told <- string(m.Payload()) })
	if !tok.WaitTimeout(patience) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	p.send("estate/v1/oak/dev/s2/state", `{"leak":true}`, false)
	v := <-seen
	in.Refuse(v.Grant.Building, v.Grant.Device, ingest.Refusal{Login: v.ClientID, Topic: v.Topic, Code: v.Code, Reason: v.Reason})
	select {
	case text := <-told:
		if !strings.Contains(text, "dev/s2/state") || !strings.Contains(text, `"code":"topic_not_permitted"`) || !strings.Contains(text, "not its own") {
			t.Errorf("told the device %s", text)
		}
	case <-time.After(patience):
		t.Fatal("the device was not told")
	}
	if len(in.Refusals()) != 1 || in.Status().Counts.Observations != 0 {
		t.Errorf("refusals %+v, counts %+v", in.Refusals(), in.Status().Counts)
	}
}

// TestNoBroker starts where nothing listens: the edge must run without.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	m := startMosquitto(t)
	m.stop()
	in, stop := runBlind(t, m, newStore(s1))
	eventually(t, "the cause is shown", func() bool { return in.Status().Cause != "" })
	if st := in.Status(); st.Connected || st.BlindSince.IsZero() {
		t.Fatalf("status %+v", st)
	}
	m.start(t)
	eventually(t, "heard once it is there", func() bool { return in.Status().Connected })
	stop()
}

var _ ingest.Sink = (*store)(nil)
