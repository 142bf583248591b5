// Package cloud is the part of Smart Estate that gathers all buildings: the API for
// managers, the fleet of edges, accounts and their projection into buildings. Any number of
// its processes share one PostgreSQL database and hold no state of their own.
//
// It must never import package edge, and must never be needed by a building to work.
package cloud

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"estate/cloud/internal/fleet"
	"estate/cloud/internal/people"
	"estate/cloud/internal/pgstore"
	"estate/internal/attach"
	"estate/internal/auth"
	"estate/internal/dashboard"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
	"estate/sync/wire"
)

// Sizes and times that no operator needs to set.
const (
	// noticeWait is what keeping a notice may take: the link goes on without it.
	noticeWait = 2 * time.Second
	// databaseWait is how long a start waits for a database that recovers, databaseAgainFirst
	// and databaseAgainMax the pauses between its attempts.
	databaseWait       = time.Minute
	databaseAgainFirst = 250 * time.Millisecond
	databaseAgainMax   = 2 * time.Second
	// gateEvery and gateBurst limit enrolments and session requests by address.
	gateEvery   = 200 * time.Millisecond
	gateBurst   = 200
	gateKeysMax = 10_000
	// sweepEvery is how often expired sessions are removed.
	sweepEvery = time.Hour
)

// Cloud is one process of the cloud.
type Cloud struct {
	cfg     Config
	store   *pgstore.Store
	people  *people.Store
	fleet   *fleet.Store
	node    *replica.Node
	desk    *desk.Desk
	auth    *auth.Service
	words   *auth.Passwords
	gate    *fleet.Gate
	links   *synclink.Server
	lines   *lines
	changed watch.Set // who waits for a building's edges to change
	reports *auth.Limiter
	blobs   media.BlobStore
	uploads *media.Uploads
	jobs    *projector
	api     *httpapi.API
	metrics *prometheus.Registry
}

// New connects to the database, migrates it, and builds the process without serving yet.
// It waits for a database that is just starting, for a while: after a power cut both come
// back together. Close it if Run is never called.
func New(ctx context.Context, cfg Config) (*Cloud, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, databaseWait)
	defer cancel()
	for wait := databaseAgainFirst; ; wait = min(2*wait, databaseAgainMax) {
		c, err := connect(ctx, cfg)
		if err == nil || waiting.Err() != nil || problem.From(err).Code != problem.Unavailable && !errors.Is(err, replica.ErrBusy) {
			return c, err
		}
		cfg.Log.WarnContext(ctx, "the database does not answer yet; trying again", obs.Error(err))
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-waiting.Done():
			timer.Stop()
			return nil, err
		}
	}
}

func connect(ctx context.Context, cfg Config) (*Cloud, error) {
	store, err := pgstore.Open(ctx, cfg.DatabaseURL, pgstore.Options{Log: cfg.Log, ConnectionsMax: cfg.DatabaseConnectionsMax})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	c := &Cloud{cfg: cfg, store: store, people: people.New(store.Pool(), cfg.Now), fleet: fleet.New(store.Pool(), cfg.Now), metrics: prometheus.NewRegistry()}
	if err := c.build(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return c, nil
}

func (c *Cloud) build(ctx context.Context) error {
	k, err := loadKeys(ctx, c.people, rand.Reader)
	if err != nil {
		return err
	}
	table := schema.Default()
	c.node = &replica.Node{Key: k.node, Tier: record.TierCloud, Rules: table, Store: c.store, Boot: c.store.Boot, Random: rand.Reader,
		Now: func() int64 { return c.cfg.Now().UnixMilli() }, Schema: schema.Version, Trusted: c.trusted, Servers: c.servers}
	c.desk = desk.New(desk.Config{Node: c.node, Table: table, Query: pgstore.NewQueries(c.store, table.Kinds()), Now: c.cfg.Now, Random: rand.Reader, Log: c.cfg.Log})
	if c.words, err = auth.NewPasswords(auth.HashesAtOnceDefault, rand.Reader); err != nil {
		return fmt.Errorf("passwords: %w", err)
	}
	c.auth, err = auth.NewService(auth.Config{Signer: k.token, Keyring: k.ring, Passwords: c.words, Accounts: c.people, Sessions: c.people,
		Live: c.people, Now: c.cfg.Now, Random: rand.Reader, Log: c.cfg.Log})
	if err != nil {
		return fmt.Errorf("sign-in: %w", err)
	}
	c.jobs = newProjector(c.people, c.desk, c.cfg.Log)
	if err := c.buildLinks(k); err != nil {
		return err
	}
	if err := c.buildMedia(); err != nil {
		return err
	}
	if err := c.buildAPI(table); err != nil {
		return err
	}
	return c.bootstrap(ctx)
}

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
	// Times of the link are the system clock's: they are deadlines and pauses.
	c.links, err = synclink.NewServer(synclink.ServerConfig{Node: c.node, Watch: c.store.Watch, Authenticate: c.authenticate, Revoked: c.gate.Check,
		Phones: &synclink.Phones{Node: c.node, Person: c.person, Rights: c.rights, Bind: c.desk.BindPhone, Limit: synclink.NewPhoneLimit(c.cfg.Now)}, Now: time.Now, Log: c.cfg.Log,
		Hooks: synclink.Hooks{Alarm: c.linkAlarm, Greeted: c.greeted, Opened: c.lines.opened, Closed: c.lines.closed}})
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	return nil
}

// authenticate notes that an edge was in touch.
func (c *Cloud) authenticate(r *http.Request) (replica.Peer, record.ID, error) {
	peer, building, err := c.gate.Authenticate(r)
	if err == nil {
		err = c.fleet.Seen(r.Context(), peer.Node)
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

func (c *Cloud) buildMedia() error {
	blobs, err := media.OpenFileStore(filepath.Join(c.cfg.Data, "blobs"), c.cfg.Log)
	if err != nil {
		return fmt.Errorf("open the blob store: %w", err)
	}
	c.blobs = blobs
	a := &attach.Attach{Desk: c.desk, Caller: c.caller, KeepLocation: c.desk.KeepsPhotoLocation, Node: func(r *http.Request) (record.ID, error) {
		_, building, err := c.gate.Authenticate(r)
		return building, err
	}}
	c.uploads, err = media.OpenUploads(media.Config{Dir: filepath.Join(c.cfg.Data, "uploads"), Blobs: blobs, Authorizer: a, Catalogue: a, Log: c.cfg.Log, Now: c.cfg.Now})
	if err != nil {
		return fmt.Errorf("open uploads: %w", err)
	}
	return nil
}

func (c *Cloud) buildAPI(table *schema.Table) error {
	var proxies []netip.Prefix
	for _, p := range c.cfg.TrustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Errorf("trusted proxies: %w", err)
		}
		proxies = append(proxies, prefix)
	}
	api, err := httpapi.New(httpapi.Config{Role: httpapi.Cloud, Version: c.cfg.Version, Desk: c.desk, Auth: c.auth, Node: c.node, Table: table,
		Operators: c.people.IsAdmin, Media: &httpapi.Media{Uploads: c.uploads, Blobs: c.blobs},
		Edges:    edges{fleet: c.fleet, enrolments: c.gate.Enrolments, links: c.links, lines: c.lines, changed: &c.changed, now: c.cfg.Now},
		Notices:  c.fleet.Notices,
		Accounts: accounts{people: c.people, passwords: c.words, service: func() *auth.Service { return c.auth }, kick: c.jobs.Kick, now: c.cfg.Now},
		Sync:     c.syncRoutes(), Enrol: http.HandlerFunc(c.gate.ServeEnrol), Dashboard: dashboard.Files(), Ready: c.ready, Registerer: c.metrics,
		Limits: httpapi.Limits{Proxies: proxies, Origins: c.cfg.AllowedOrigins}, Log: c.cfg.Log, Now: c.cfg.Now, Random: rand.Reader})
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	c.api = api
	return nil
}

// syncRoutes is what nodes and phones reach below /sync/; each finds out who is calling.
func (c *Cloud) syncRoutes() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST "+fleet.PathChallenge, c.gate.ServeChallenge)
	m.HandleFunc("POST "+fleet.PathSession, c.gate.ServeSession)
	m.Handle(synclink.PathSocket, c.links.Socket())
	m.Handle(synclink.PathExchange, c.links.Exchange())
	m.HandleFunc("POST "+httpapi.PathEdgeState, c.serveState)
	m.Handle(pathNodeMedia, c.uploads)
	m.HandleFunc("GET "+pathNodeBlobs+"{hash}", c.serveBlob)
	return m
}

// The addresses of the media lane, for nodes.
const (
	pathNodeMedia = "/sync/media/"
	pathNodeBlobs = "/sync/blobs/"
)

// serveBlob gives an edge a file that a record of its building names.
func (c *Cloud) serveBlob(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		_, building, err := c.gate.Authenticate(r)
		if err != nil {
			return err
		}
		hash, err := media.ParseHash(r.PathValue("hash"))
		if err != nil {
			return err
		}
		held, err := c.desk.HoldsBlob(r.Context(), building, record.Hash(hash))
		if err != nil {
			return err
		}
		if !held {
			return problem.New(problem.NotFound, "file")
		}
		return media.ServeBlob(w, r, c.blobs, hash, "application/octet-stream")
	}()
	if err != nil {
		auth.Refuse(w, r, err, c.cfg.Log)
	}
}

func (c *Cloud) ready(ctx context.Context) error {
	if err := c.store.Pool().Ping(ctx); err != nil {
		return fmt.Errorf("the database does not answer: %w", err)
	}
	return nil
}

// bootstrap makes the first administrator where there is no account at all.
func (c *Cloud) bootstrap(ctx context.Context) error {
	if c.cfg.BootstrapAdminEmail == "" {
		return nil
	}
	some, err := c.people.Any(ctx)
	if err != nil || some {
		return err
	}
	text, err := os.ReadFile(c.cfg.BootstrapAdminPasswordFile)
	if err != nil {
		return fmt.Errorf("read the first administrator's password: %w", err)
	}
	id := record.DerivedID("bootstrap admin", c.cfg.BootstrapAdminEmail)
	_, err = accounts{people: c.people, passwords: c.words, now: c.cfg.Now}.CreateAccount(ctx, httpapi.NewAccount{ID: id, By: id,
		Name: "Administrator", Email: c.cfg.BootstrapAdminEmail, Password: auth.NewSecret(strings.TrimSpace(string(text))), Operator: true})
	if err != nil {
		return fmt.Errorf("make the first administrator: %w", err)
	}
	c.cfg.Log.InfoContext(ctx, "first administrator made", "email", c.cfg.BootstrapAdminEmail)
	return nil
}

// Run serves until the context ends, then lets open requests finish and closes the store.
func (c *Cloud) Run(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.cfg.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("listen on %s: %w", c.cfg.Listen, err), c.Close())
	}
	return c.serve(ctx, listener)
}

func (c *Cloud) serve(ctx context.Context, listener net.Listener) (err error) {
	server := httpapi.NewServer(c.api, c.cfg.Log)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for _, job := range []func(context.Context){c.jobs.Run, c.runUploads, c.sweep, c.serveMetrics, c.lines.Run, c.followFleet} {
		running.Go(func() { job(work) })
	}
	failed := make(chan error, 1)
	running.Go(func() { failed <- server.Serve(listener) })
	c.cfg.Log.InfoContext(ctx, "cloud serves", "address", listener.Addr().String(), "node", c.node.ID(), "version", c.cfg.Version)
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.ShutdownMax)
	defer cancel()
	if down := server.Shutdown(ending); down != nil {
		err = errors.Join(err, server.Close())
	}
	c.api.Close()
	c.links.Close()
	stop()
	running.Wait()
	return errors.Join(err, c.store.Close())
}

// Close releases the database of a process that never ran.
func (c *Cloud) Close() error { return c.store.Close() }

func (c *Cloud) runUploads(ctx context.Context) {
	if err := c.uploads.Run(ctx); err != nil && ctx.Err() == nil {
		c.cfg.Log.ErrorContext(ctx, "uploads stopped", slog.Any("error", err))
	}
}

// serveMetrics ends alone where its address cannot be had: figures are no reason to stop.
func (c *Cloud) serveMetrics(ctx context.Context) {
	if err := obs.ServeMetrics(ctx, c.cfg.MetricsListen, c.metrics); err != nil {
		c.cfg.Log.ErrorContext(ctx, "metrics are not served", slog.Any("error", err))
	}
}

// sweep removes sign-ins that have ended.
func (c *Cloud) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, err := c.people.DeleteExpired(ctx, c.cfg.Now()); err != nil && ctx.Err() == nil {
			c.cfg.Log.WarnContext(ctx, "expired sign-ins stay", "error", err)
		}
	}
}
