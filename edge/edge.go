package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/edge/internal/local"
	"estate/edge/internal/sqlitestore"
	"estate/edge/internal/telemetry"
	"estate/internal/auth"
	"estate/internal/httpapi"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// shutdownMax is what open requests get to end.
	shutdownMax = 5 * time.Second
	folderMode  = 0o700
)

// The files of the data folder.
const (
	fileStore     = "edge.db"
	fileReadings  = "readings.db"
	fileKey       = "node.key"
	fileAdmin     = "admin.sock"
	folderBroker  = "mqtt"
	folderBlobs   = "media"
	folderUploads = "uploads"
	folderFetched = "downloads"
)

// ErrRunning says that another process runs this edge: its data folder is in use.
var ErrRunning = errors.New("another process runs this edge")

// Edge is one box. New opens it, Run makes it serve.
type Edge struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	store *sqlitestore.Store
	local *local.Store
	// readings is the file of what devices measure.
	readings *telemetry.Store
	key      auth.NodeKey
	boot     record.ID
	http     net.Listener
	admin    net.Listener

	handler  atomic.Pointer[http.Handler]
	enrolled chan struct{} // closed by the enrolment
	enrol    sync.Mutex
	mqtt     atomic.Pointer[devices]
}

// New opens the box's data and its HTTP port. now is settings.Clock's. It fails with ErrRunning
// where another process has the data, and says which port is taken.
func New(ctx context.Context, cfg Config, now func() time.Time) (*Edge, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	e := &Edge{cfg: cfg, log: cfg.Log, now: now, enrolled: make(chan struct{})}
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Edge) open(ctx context.Context) error {
	if err := os.MkdirAll(e.cfg.Data, folderMode); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	store, err := sqlitestore.Open(ctx, e.path(fileStore), sqlitestore.Options{Log: e.log})
	if errors.Is(err, sqlitestore.ErrLocked) {
		return fmt.Errorf("%w: %s is in use", ErrRunning, e.cfg.Data)
	}
	if err != nil {
		return err
	}
	e.store, e.local = store, local.New(store)
	if e.readings, err = telemetry.Open(ctx, e.path(fileReadings), telemetry.Options{BudgetBytes: e.cfg.ReadingsBytesMax, Log: e.log}); err != nil {
		return err
	}
	if e.key, err = auth.LoadNodeKey(e.path(fileKey), rand.Reader); err != nil {
		return err
	}
	// A fresh id for each start: no dot is ever given out twice, whatever was restored.
	if e.boot, err = record.NewID(e.now().UnixMilli(), rand.Reader); err != nil {
		return err
	}
	var listen net.ListenConfig
	if e.http, err = listen.Listen(ctx, "tcp", e.cfg.Listen); err != nil {
		return fmt.Errorf("the API cannot listen on %s (is another program using the port?): %w", e.cfg.Listen, err)
	}
	if e.admin, err = listenAdmin(ctx, e.path(fileAdmin)); err != nil {
		return fmt.Errorf("open the socket for commands on this box: %w", err)
	}
	return nil
}

func (e *Edge) path(name string) string { return filepath.Join(e.cfg.Data, name) }

// Addr is the address of the API, with the port that was chosen.
func (e *Edge) Addr() string { return e.http.Addr().String() }

// MQTTAddr is the address of the embedded broker, empty until it runs.
func (e *Edge) MQTTAddr() string {
	if d := e.mqtt.Load(); d != nil && d.broker != nil {
		return d.broker.Addr()
	}
	return ""
}

// MQTTTLSAddr is the address of the embedded broker for devices that speak TLS, empty until it
// runs.
func (e *Edge) MQTTTLSAddr() string {
	if d := e.mqtt.Load(); d != nil {
		if address := d.tls.Load(); address != nil {
			return *address
		}
	}
	return ""
}

// Node is the box's id.
func (e *Edge) Node() record.ID { return e.key.ID() }

// Close lets go of what New opened, for an Edge that does not run; Run does it itself.
func (e *Edge) Close() error {
	var errs []error
	for _, l := range []net.Listener{e.http, e.admin} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if e.readings != nil {
		errs = append(errs, e.readings.Close())
	}
	if e.store != nil {
		errs = append(errs, e.store.Close())
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends or something essential fails, and leaves nothing running.
func (e *Edge) Run(ctx context.Context) error {
	e.serve(e.waiting(problem.New(problem.Unavailable, "this box is starting")))
	group, running := errgroup.WithContext(ctx)
	for _, s := range []struct {
		server *http.Server
		on     net.Listener
	}{
		{httpapi.NewServer(http.HandlerFunc(e.dispatch), e.log), e.http},
		{&http.Server{Handler: e.adminHandler(), ReadHeaderTimeout: shutdownMax, ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug)}, e.admin},
	} {
		group.Go(func() error {
			if err := s.server.Serve(s.on); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", s.on.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-running.Done()
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMax)
			defer cancel()
			if err := s.server.Shutdown(ending); err != nil {
				return s.server.Close() // who is still connected was given its time
			}
			return nil
		})
	}
	group.Go(func() error { return e.work(running) })
	e.log.InfoContext(ctx, "edge started", obs.Address(e.Addr()), obs.Node(e.key.ID()), slog.String("version", e.cfg.Version))
	err := group.Wait()
	return errors.Join(err, e.Close())
}

// work waits for the enrolment, then does everything for the building.
func (e *Edge) work(ctx context.Context) error {
	enrolment, err := e.local.Enrolment(ctx)
	if errors.Is(err, local.ErrNotEnrolled) {
		e.log.WarnContext(ctx, "this edge is not enrolled: run estate-edge enrol")
		e.serve(e.waiting(problem.New(problem.NotEnrolled, "")))
		select {
		case <-ctx.Done():
			return nil
		case <-e.enrolled:
		}
		enrolment, err = e.local.Enrolment(ctx)
	}
	if err != nil {
		return ended(ctx, err)
	}
	if enrolment.Node != e.key.ID() {
		return fmt.Errorf("the key file is of node %s and the enrolment of %s: put the key file back, or begin with an empty data folder", e.key.ID(), enrolment.Node)
	}
	b, err := newBuilding(e, enrolment)
	if err != nil {
		return err
	}
	return b.run(ctx)
}

// serve changes what the API answers with.
func (e *Edge) serve(h http.Handler) { e.handler.Store(&h) }

func (e *Edge) dispatch(w http.ResponseWriter, r *http.Request) {
	(*e.handler.Load()).ServeHTTP(w, r)
}

// waiting serves a box that is starting, or belongs to no building: it is alive and says
// what to do.
func (e *Edge) waiting(why *problem.Problem) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", obs.Alive())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		auth.Refuse(w, r, why, e.log)
	})
	return mux
}
