package ingest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"estate/edge/internal/decode"
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
