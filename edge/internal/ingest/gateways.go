package ingest

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/problem"
	"estate/internal/rules"
)

// gatewaysMax bounds the gateways that are listed; a building has a few.
const gatewaysMax = 100

// A gateway that left more than comesMax times within comesWithin rather shares its client id with
// another: each throws the other off.
const (
	comesMax    = 3
	comesWithin = 5 * time.Minute
)

// Gateway is what other devices speak through. Nobody adopts it: it measures nothing.
type Gateway struct {
	// Base is the topic under which its devices speak.
	Base string
	// Online is what it said last, or the broker of it, and Since when that was heard first.
	Online bool
	Since  time.Time
}

// gateways is safe for concurrent use: screens read it while messages come in.
type gateways struct {
	mu   sync.Mutex
	list map[string]Gateway
	left map[string][]time.Time // when each left lately, by its base
}

// take notes what an observation says of a gateway; false where it is of another device.
func (g *gateways) take(o decode.Observation) bool {
	base, ok := decode.GatewayBase(o.Hardware)
	if !ok {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	was, known := g.list[base]
	if o.Kind == decode.Availability && o.Value.Type == decode.Bool && (!known && len(g.list) < gatewaysMax || known && was.Online != o.Value.Bool) {
		g.list[base] = Gateway{Base: base, Online: o.Value.Bool, Since: o.ArrivalTime}
	}
	return true
}

// has says whether a base topic is a gateway's.
func (g *gateways) has(base string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.list[base]
	return ok
}

// restless notes that a gateway left, and says how often it did lately where that is too often.
func (g *gateways) restless(base string, now time.Time) (times int, yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.list[base]; !known {
		return 0, false
	}
	if g.left == nil {
		g.left = map[string][]time.Time{}
	}
	g.left[base] = append(slices.DeleteFunc(g.left[base], func(t time.Time) bool { return now.Sub(t) > comesWithin }), now)
	return len(g.left[base]), len(g.left[base]) > comesMax
}

// gatewaySays tells the rules what was heard of a gateway, and the staff where it comes and goes.
func (i *Ingest) gatewaySays(o decode.Observation) []rules.Effect {
	base, ok := decode.GatewayBase(o.Hardware)
	if !ok || i.cfg.Box == "" || o.Kind != decode.Availability || o.Value.Type != decode.Bool {
		return nil
	}
	online := o.Value.Bool
	if !online && !o.Retained && i.cfg.Link.Others { // our own broker sees the two of them itself
		if n, yes := i.gateways.restless(base, o.ArrivalTime); yes {
			i.refusals.add(Refusal{Login: base, Topic: base + "/bridge/state", Code: problem.MQTTClientIDTwice,
				Reason: fmt.Sprintf("the gateway left %d times within %s; where it is only one, its connection is bad", n, comesWithin)}, o.ArrivalTime)
		}
	}
	return i.engine.Observe(rules.Observation{Device: i.cfg.Box, Name: "Box", Kind: rules.Gateway, Key: base, Bool: &online, At: o.EventTime, Arrival: o.ArrivalTime, Retained: o.Retained, Duplicate: o.Duplicate})
}

// Gateways lists the gateways that were heard. Safe for concurrent use.
func (i *Ingest) Gateways() (out []Gateway) {
	i.gateways.mu.Lock()
	defer i.gateways.mu.Unlock()
	for _, one := range i.gateways.list {
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b Gateway) int { return cmp.Compare(a.Base, b.Base) })
	return out
}

func isGateway(hardware string) bool {
	_, ok := decode.GatewayBase(hardware)
	return ok
}
