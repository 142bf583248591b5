package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/internal/problem"
)

// held is a store that takes nothing until it is let go.
type held struct {
	*store
	gate chan struct{}
}

func (h *held) Observe(ctx context.Context, list []decode.Observation) error {
	select {
	case <-h.gate:
		return h.store.Observe(ctx, list)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// floodIsCounted: while nothing can be stored a device floods at QoS 0. The edge's session is not
// cut off, whatever finds no room is counted with its topic, another device's QoS 0 and every QoS 1
// are kept, and what is stored and what is counted are together what was sent.
func floodIsCounted(t *testing.T, s server) {
	sink := &held{newStore(s1, "plain:oak/s2"), make(chan struct{})}
	in := run(t, s, sink)
	began := in.Status().LastBlind
	p, gateway := connect(t, s, false), connect(t, s, true)
	const flood, leaks = 80_000, 20
	pad := strings.Repeat(".", 1000) // 80 MB: more than a broker keeps for who does not read
	for n := range flood {
		tok := p.c.Publish(s1State, 0, false, fmt.Sprintf(`{"energy":%d,"pad":"%s"}`, n, pad))
		if tok.Wait(); tok.Error() != nil {
			t.Fatal(tok.Error())
		}
		if n%(flood/leaks) == 0 {
			p.send(s1State, fmt.Sprintf(`{"humidity":%d}`, n*99/flood), false)
		}
	}
	gateway.c.Publish("zigbee2mqtt/cellar", 0, false, `{"battery":7}`).Wait()
	gateway.send("zigbee2mqtt/cellar", `{"battery":8}`, false)
	p.send(s1State, `{"leak":true}`, false)
	at := in.Status()
	close(sink.gate)
	eventually(t, "nothing waits", func() bool { return in.Status().Waiting == 0 && sink.alarms(1, 0)() })
	kept := 0
	eventually(t, "all is stored or counted", func() bool {
		kept = 0
		_ = sink.is(func(s *store) bool {
			for _, o := range s.rows {
				if o.Key == "energy" {
					kept++
				}
			}
			return true
		})()
		return kept+int(in.Status().Counts.LeftOut) == flood
	})
	now := in.Status()
	if !at.Connected || !now.Connected || now.LastBlind != began || now.Counts.LeftOut == 0 || now.LeftOut.From.IsZero() {
		t.Errorf("the session was cut off: %+v, then %+v", began, now)
	}
	for what, ok := range map[string]bool{"humidity of QoS 1": sink.row(s1, "94")() && sink.row(s1, "0")(), "the leak": sink.row(s1, "true")()} {
		if !ok {
			t.Errorf("%s is not stored", what)
		}
	}
	if c := in.Quarantine(); len(c) != 1 || c[0].Values["battery"].Number != 8 {
		t.Errorf("the other device: %+v", c)
	}
	refusals := in.Refusals()
	if len(refusals) != 1 || refusals[0].Code != problem.MQTTLeftOut || refusals[0].Topic != s1State || refusals[0].Count != int(now.Counts.LeftOut) {
		t.Errorf("shown as %+v", refusals)
	}
	t.Logf("%d sent, %d stored, %d left out", flood, kept, now.Counts.LeftOut)
}

// TestBrokerDropped: a mosquitto that keeps too little for a client that is away drops what it
// has acknowledged; its own count says so, and is no message of a device.
func TestBrokerDropped(t *testing.T) {
	t.Parallel()
	s := startMosquittoWith(t, "max_queued_messages 10\n")
	in := run(t, s, newStore(s1))
	p := connect(t, s, false)
	p.send(s1State, `{"temperature":1}`, false)
	eventually(t, "heard", func() bool { return in.Status().Counts.Messages == 1 })
	away := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.address()).SetClientID("away").SetUsername("s1").SetPassword("secret").SetCleanSession(false).SetAutoReconnect(false))
	for _, step := range []func() mqtt.Token{away.Connect, func() mqtt.Token { return away.Subscribe(s1State, 1, nil) }} {
		if tok := step(); !tok.WaitTimeout(patience) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	away.Disconnect(250)
	for n := range 100 {
		p.send(s1State, fmt.Sprintf(`{"temperature":%d}`, n%40), false)
	}
	eventually(t, "its count is shown", func() bool { return in.Status().Dropped.Count >= 90 })
	if got := in.Status(); got.Counts.Unrecognised != 0 || got.Counts.Messages > 101 || got.Dropped.During.From.IsZero() {
		t.Errorf("%+v", got)
	}
	refusals := in.Refusals()
	if len(refusals) != 1 || refusals[0].Code != problem.MQTTBrokerDropped || refusals[0].Count < 90 || in.RefusalTotals()[problem.MQTTBrokerDropped] < 90 {
		t.Errorf("shown as %+v", refusals)
	}
}

// TestBrokerKeepsItsCount: a broker that does not tell what it drops is heard all the same.
func TestBrokerKeepsItsCount(t *testing.T) {
	t.Parallel()
	s := startEmbedded(t, nil)
	sink := newStore(s1)
	run(t, telling{s}, sink)
	connect(t, s, false).send(s1State, `{"leak":true}`, false)
	eventually(t, "heard", sink.alarms(1, 0))
}

// telling says of a broker that it is another's.
type telling struct{ server }

func (o telling) link() ingest.Link {
	l := o.server.link()
	l.Others = true
	return l
}
