// Package cloud is the part of Smart Estate that gathers all buildings: the API for
// managers, the fleet of edges, accounts and their projection into buildings. Any number of
// its processes share one PostgreSQL database and hold no state of their own.
//
// It must never import package edge, and must never be needed by a building to work.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"estate/cloud/internal/fleet"
	"estate/cloud/internal/people"
	"estate/cloud/internal/pgstore"
	"estate/cloud/internal/readings"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/replica"
	"estate/sync/watch"
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
	cfg      Config
	store    *pgstore.Store
	people   *people.Store
	fleet    *fleet.Store
	node     *replica.Node
	desk     *desk.Desk
	auth     *auth.Service
	words    *auth.Passwords
	gate     *fleet.Gate
	links    *synclink.Server
	lines    *lines
	changed  watch.Set // who waits for a building's edges to change
	reports  *auth.Limiter
	batches  *auth.Limiter
	readings *readings.Store
	outage   auth.Outage // of what edges ask for beside the link
	blobs    media.BlobStore
	uploads  *media.Uploads
	jobs     *projector
	api      *httpapi.API
	metrics  *prometheus.Registry
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
	c := &Cloud{cfg: cfg, store: store, people: people.New(store.Pool(), cfg.Now), readings: readings.New(store.Pool()), fleet: fleet.New(store.Pool(), cfg.Now), metrics: prometheus.NewRegistry()}
	if err := c.build(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return c, nil
}
