package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"estate/edge/internal/cloudlink"
	"estate/edge/internal/local"
	"estate/edge/internal/sqlitestore"
	"estate/internal/auth"
	"estate/internal/dashboard"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	// passwordsAtOnce bounds the memory of sign-ins to 2 × 19 MiB.
	passwordsAtOnce = 2
	// sweepEvery is how often sign-ins that ended are removed.
	sweepEvery = time.Hour
)

// building is everything that an enrolled box does.
type building struct {
	edge     *Edge
	id       record.ID
	table    *schema.Table
	node     *replica.Node
	desk     *desk.Desk
	auth     *auth.Service
	metrics  *prometheus.Registry
	api      *httpapi.API
	link     *link
	files    *files
	devices  *devices
	readings *readings
}

func newBuilding(e *Edge, enrolment local.Enrolment) (*building, error) {
	b := &building{edge: e, id: enrolment.Building, table: schema.Default(), metrics: obs.NewRegistry()}
	cloud := record.NodeID(enrolment.CloudKey)
	b.node = &replica.Node{Key: e.key.Replication(), Tier: record.TierEdge, Rules: b.table, Store: e.store,
		Boot: func() record.ID { return e.boot }, Now: func() int64 { return e.now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		// A box knows itself and the cloud that it was enrolled at, which vouches for all other
		// boxes; nobody else may be the cloud. A phone's card proves itself.
		Trusted: func(_ context.Context, _, node record.ID, tier record.Tier) (bool, error) {
			return trusted(node, tier, b.node.ID(), cloud), nil
		},
		// A box knows itself and its cloud. What another box sealed goes to the cloud, which
		// knows them all.
		Servers: func(_ context.Context, _, node record.ID) (replica.Server, error) {
			if node == cloud {
				return replica.Server{Tier: record.TierCloud}, nil
			}
			return replica.Server{}, nil
		}}
	b.readings = &readings{building: b, store: e.readings}
	b.desk = desk.New(desk.Config{Node: b.node, Table: b.table, Query: sqlitestore.NewQueries(e.store, schema.Kinds()), Readings: b.readings, Entities: entities{b},
		Now: e.now, Random: rand.Reader, Log: e.log})
	var err error
	if b.auth, err = b.newAuth(enrolment); err != nil {
		return nil, err
	}
	if b.link, err = newLink(b, enrolment); err != nil {
		return nil, err
	}
	b.readings.client = &http.Client{Transport: &cloudlink.Transport{Sessions: b.link.sessions, Base: b.link.transport}}
	if b.files, err = newFiles(b, enrolment); err != nil {
		return nil, err
	}
	b.devices = newDevices(b)
	if err := b.metrics.Register(newGauges(b)); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	proxies, err := e.cfg.proxies()
	if err != nil {
		return nil, err
	}
	b.api, err = httpapi.New(httpapi.Config{Role: httpapi.Edge, Dashboard: dashboard.Files(), Version: e.cfg.Version, Desk: b.desk, Auth: b.auth, Node: b.node, Table: b.table,
		Media: &httpapi.Media{Uploads: b.files.uploads, Blobs: b.files.blobs}, Links: b.link, Hearing: b.devices, Notices: e.local.Notices, Sync: b.link.phones(),
		Ready: b.ready, Registerer: b.metrics,
		Limits: httpapi.Limits{Proxies: proxies, Origins: e.cfg.AllowedOrigins}, Log: e.log,
		// The transport's deadlines are the system clock's, whatever a test does to ours.
		Now: time.Now, Random: rand.Reader})
	if err != nil {
		return nil, fmt.Errorf("build the API: %w", err)
	}
	return b, nil
}

// trusted says what a box knows of other nodes by itself.
func trusted(node record.ID, tier record.Tier, self, cloud record.ID) bool {
	switch tier {
	case record.TierCloud:
		return node == cloud
	case record.TierEdge:
		return node == self
	case record.TierPhone:
	}
	return true
}

// newAuth signs people in from the building's credential records, and accepts the cloud's
// tokens beside its own.
func (b *building) newAuth(enrolment local.Enrolment) (*auth.Service, error) {
	signer, err := b.edge.key.TokenSigner(auth.IssuerEdge(b.edge.key.ID()))
	if err != nil {
		return nil, err
	}
	keys := append([]auth.IssuerKey{{Issuer: signer.Issuer(), Public: signer.Public(), Building: b.id}}, enrolment.TokenKeys...)
	ring, err := auth.NewKeyring(keys...)
	if err != nil {
		return nil, err
	}
	passwords, err := auth.NewPasswords(passwordsAtOnce, rand.Reader)
	if err != nil {
		return nil, err
	}
	return auth.NewService(auth.Config{Signer: signer, Keyring: ring, Passwords: passwords, Accounts: accounts{b.desk, b.id},
		Sessions: b.edge.local, Live: b.edge.local, Building: b.id, Now: b.edge.now, Random: rand.Reader, Log: b.edge.log})
}

// run does everything until ctx ends.
func (b *building) run(ctx context.Context) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return ended(running, b.link.run(running)) })
	group.Go(func() error { return ended(running, b.files.run(running)) })
	group.Go(func() error { return ended(running, b.devices.run(running)) })
	group.Go(func() error { return b.readings.run(running) })
	group.Go(func() error { return b.sweep(running) })
	group.Go(func() error {
		if err := obs.ServeMetrics(running, b.edge.cfg.MetricsListen, b.metrics); err != nil {
			b.edge.log.ErrorContext(running, "metrics are not served", obs.Error(err))
		}
		return nil // figures are no reason to stop
	})
	b.edge.serve(b.handler())
	err := group.Wait()
	b.api.Close()
	b.link.close()
	return err
}

// pathMQTT is where the embedded broker takes WebSockets.
const pathMQTT = "/mqtt"

// handler is the API, and the embedded broker's WebSocket beside it.
func (b *building) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", b.api)
	mux.HandleFunc("GET "+pathMQTT, func(w http.ResponseWriter, r *http.Request) {
		d := b.edge.mqtt.Load()
		if d == nil || d.broker == nil {
			auth.Refuse(w, r, problem.New(problem.NotFound, "the box has no broker of its own"), b.edge.log)
			return
		}
		d.broker.WebSocket(w, r, b.edge.cfg.AllowedOrigins)
	})
	return mux
}

// ended is a part's error, unless it was asked to end.
func ended(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

// sweep removes sign-ins that ended.
func (b *building) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if _, err := b.edge.local.DeleteExpired(ctx, b.edge.now()); err != nil && ctx.Err() == nil {
			b.edge.log.WarnContext(ctx, "remove sign-ins that ended", obs.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ready says what keeps the box from serving people and sensors.
func (b *building) ready(ctx context.Context) error {
	if err := b.edge.store.DB().PingContext(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return b.devices.ready()
}

// accounts is auth.Accounts over the building's credential records.
type accounts struct {
	desk     *desk.Desk
	building record.ID
}

// FindByEmail implements auth.Accounts.
func (a accounts) FindByEmail(ctx context.Context, email string) (auth.Account, error) {
	return account(a.desk.AccountByEmail(ctx, a.building, email))
}

// ByID implements auth.Accounts.
func (a accounts) ByID(ctx context.Context, person record.ID) (auth.Account, error) {
	return account(a.desk.AccountByID(ctx, a.building, person))
}

func account(a desk.Account, err error) (auth.Account, error) {
	if problem.HasCode(err, problem.NotFound) || errors.Is(err, auth.ErrNoAccount) {
		return auth.Account{}, auth.ErrNoAccount
	}
	return auth.Account{Person: a.Person, Email: a.Email, PasswordHash: a.PasswordHash, Disabled: a.Disabled}, err
}

// shown reads one field of a record as the building shows it.
func shown(ctx context.Context, store *sqlitestore.Store, table *schema.Table, k record.Key, field string) (record.Value, error) {
	have, err := store.Load(ctx, k.Building, replica.Need{Keys: []record.Key{k}})
	if err != nil {
		return nil, err
	}
	return table.Shown(k.Kind, field, have.Records[k].Record), nil
}
