package ingest

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"estate/edge/internal/decode"
)

// gatewaysMax bounds the gateways that are listed; a building has a few.
const gatewaysMax = 100

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
