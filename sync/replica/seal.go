package replica

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"

	"estate/sync/record"
	"estate/sync/wire"
)

// Server is what a node knows of one that serves phones.
type Server struct {
	// Tier is where it may act in the building; zero where it is unknown, or no server.
	Tier record.Tier
	// Revoked says that its key may be in other hands: what it sealed proves little.
	Revoked bool
}

// sealed is a record as a phone gets it: under this node's signature, so that it can be
// returned verbatim if this store loses it (SPEC R30), and with its tag (SPEC R29).
func (n *Node) sealed(k record.Key, body []byte) wire.RecordItem {
	item := wire.RecordItem{Kind: k.Kind, ID: k.ID, Body: body}
	item.Seal = wire.SealRecord(n.Key, k.Building, n.Now(), item)
	item.Tag = n.tag(k)
	return item
}

// tag is this node's secret name for a record. It depends on the node's key alone, so it is
// the same after a restart or a restore.
func (n *Node) tag(k record.Key) []byte {
	secret := sha256.Sum256(append([]byte("estate tag v1\x00"), n.Key.Seed()...))
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(k.Building[:])
	mac.Write(k.ID[:])
	mac.Write([]byte(k.Kind))
	return mac.Sum(nil)[:wire.TagBytes]
}

// server says who sealed a record. This node knows itself.
func (n *Node) server(ctx context.Context, building, node record.ID) (Server, error) {
	switch {
	case node == n.ID():
		return Server{Tier: n.Tier}, nil
	case n.Servers == nil:
		return Server{}, nil
	}
	return n.Servers(ctx, building, node)
}
