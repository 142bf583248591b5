package cloud

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"time"

	"estate/cloud/internal/fleet"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// trusted says whether a card's node is genuine: this cloud, or an edge that was ever
// enrolled for the building.
func (c *Cloud) trusted(ctx context.Context, building, node record.ID, tier record.Tier) (bool, error) {
	switch tier {
	case record.TierCloud:
		return node == c.node.ID(), nil
	case record.TierEdge:
		return c.fleet.Genuine(ctx, building, node)
	case record.TierPhone:
	}
	return true, nil
}

// servers says whose seals phones may bring back: those of edges that were enrolled for the
// building, revoked ones among them.
func (c *Cloud) servers(ctx context.Context, building, node record.ID) (replica.Server, error) {
	e, err := c.fleet.Edge(ctx, node)
	switch {
	case problem.HasCode(err, problem.NodeUnknown):
		return replica.Server{}, nil
	case err != nil:
		return replica.Server{}, err
	case e.Building != building:
		return replica.Server{}, nil
	}
	return replica.Server{Tier: record.TierEdge, Revoked: e.RevokedAt != nil}, nil
}

func (c *Cloud) buildLinks(k keys) error {
	sessions, err := auth.NewNodeSessions(k.token, c.fleet, c.cfg.Now, rand.Reader)
	if err != nil {
		return fmt.Errorf("node sessions: %w", err)
	}
	c.gate = &fleet.Gate{Fleet: c.fleet, Enrolments: auth.NewEnrolments(c.fleet, auth.IssuerCloud, c.cfg.Now, rand.Reader), Sessions: sessions,
		Server: auth.IssuerCloud, NodeKey: c.node.PublicKey(), TokenKeys: []auth.IssuerKey{k.issuer},
		Attempts: auth.NewLimiter(gateEvery, gateBurst, gateKeysMax, c.cfg.Now), Client: remoteHost, Now: c.cfg.Now, Log: c.cfg.Log}
	process, err := record.NewID(c.cfg.Now().UnixMilli(), rand.Reader)
	if err != nil {
		return fmt.Errorf("name this process: %w", err)
	}
	c.lines = newLines(c.fleet, process, c.cfg.Log)
	c.reports = auth.NewLimiter(reportEvery, reportBurst, gateKeysMax, c.cfg.Now)
	c.batches = auth.NewLimiter(batchEvery, batchBurst, gateKeysMax, c.cfg.Now)
	// Times of the link are the system clock's: they are deadlines and pauses.
	c.links, err = synclink.NewServer(synclink.ServerConfig{Node: c.node, Watch: c.store.Watch, Authenticate: c.authenticate, Revoked: c.gate.Check, RecheckEvery: c.cfg.RecheckEdges,
		Phones: &synclink.Phones{Node: c.node, Person: c.person, Rights: c.rights, Bind: c.desk.BindPhone, Limit: synclink.NewPhoneLimit(c.cfg.Now)}, Now: time.Now, Clock: c.cfg.Now, Log: c.cfg.Log,
		Hooks: synclink.Hooks{Alarm: c.linkAlarm, Greeted: c.greeted, Opened: c.lines.opened, Closed: c.lines.closed, Returned: c.returned}})
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return nil
}

// authenticate notes that an edge was in touch.
func (c *Cloud) authenticate(r *http.Request) (replica.Peer, record.ID, error) {
	peer, building, err := c.gate.Authenticate(r)
	if err == nil {
		c.lines.seen(peer.Node)
	}
	return peer, building, err
}

func (c *Cloud) linkAlarm(building, node record.ID, code string) {
	c.cfg.Log.Warn("replication alarm", "building", building, "node", node, "code", code)
	ctx, cancel := context.WithTimeout(context.Background(), noticeWait)
	defer cancel()
	if err := c.fleet.Note(ctx, building, node, code); err != nil {
		c.cfg.Log.Warn("an alarm stands in this log only", "code", code, "error", err)
	}
}

// returned tells an operator that this cloud had lost what it once acknowledged.
func (c *Cloud) returned(building, _ record.ID, _ int) {
	c.linkAlarm(building, c.node.ID(), wire.CodeRecordsReturned)
}

// greeted sees to it that an operator learns of a key that two programs use.
func (c *Cloud) greeted(building, node, generation record.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeWait)
	defer cancel()
	cloned, err := c.fleet.Run(ctx, node, generation)
	if err != nil {
		c.cfg.Log.Warn("whether an edge was cloned is not known", "node", node, "error", err)
	}
	if cloned {
		c.linkAlarm(building, node, wire.CodeNodeCloned)
	}
}

func remoteHost(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (c *Cloud) person(r *http.Request) (record.ID, error) {
	token, found, err := auth.BearerToken(r)
	if err != nil || !found {
		return record.ID{}, err
	}
	id, err := c.auth.Verify(r.Context(), token)
	return id.Person, err
}

func (c *Cloud) rights(ctx context.Context, building, person record.ID) (replica.Admit, replica.View, error) {
	caller, err := c.caller(ctx, auth.Identity{Person: person})
	if err != nil {
		return nil, replica.View{}, err
	}
	view, admit, err := c.desk.PhoneView(ctx, caller, building)
	return admit, view, err
}

func (c *Cloud) caller(ctx context.Context, id auth.Identity) (desk.Caller, error) {
	admin, err := c.people.IsAdmin(ctx, id.Person)
	return desk.Caller{Person: id.Person, Admin: admin}, err
}
