package broker

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"estate/internal/problem"
)

const (
	// floodEvery is the time over which messages are counted: a burst after a lost connection is
	// none.
	floodEvery = 10 * time.Second
	// FloodDevice is messages per second that a device never needs.
	FloodDevice = 50
	// FloodGateway is the same of a gateway with a few hundred devices behind it.
	FloodGateway = 500
)

// floodLimit is how many messages per second of a login are still taken for sense.
func floodLimit(r Role) float64 {
	if r == RoleZigbee2MQTT {
		return FloodGateway
	}
	return FloodDevice
}

// WatchFloods reports logins that send far too much, until ctx ends. It looks at the server's
// own counts, so that a message costs nothing more.
func (b *Broker) WatchFloods(ctx context.Context) error {
	tick := time.NewTicker(floodEvery)
	defer tick.Stop()
	counts := map[uint64]int64{}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			counts = b.lookForFloods(counts, floodEvery)
		}
	}
}

// lookForFloods compares the counts of each connection with those before, and gives the new ones.
func (b *Broker) lookForFloods(before map[uint64]int64, within time.Duration) map[uint64]int64 {
	now := map[uint64]int64{}
	srv := b.srv.Load()
	if srv == nil {
		return now
	}
	conns, err := srv.Connz(&server.ConnzOptions{Limit: connectionsMax})
	if err != nil {
		b.log.Warn("count the messages of mqtt clients", "cause", err)
		return now
	}
	for _, c := range conns.Conns {
		now[c.Cid] = c.InMsgs
		g, ok := b.grants.Load(c.MQTTClient)
		if !ok {
			continue // the edge itself
		}
		grant, _ := g.(Grant)
		rate := float64(c.InMsgs-before[c.Cid]) / within.Seconds()
		if rate > floodLimit(grant.Role) {
			b.violate(Violation{Code: problem.MQTTFlood, ClientID: c.MQTTClient, Remote: b.remotes.of(net.JoinHostPort(c.IP, strconv.Itoa(c.Port))), Grant: grant,
				Reason: fmt.Sprintf("%.0f messages a second over %s; a login of its role needs no more than %.0f", rate, within, floodLimit(grant.Role))})
		}
	}
	return now
}
