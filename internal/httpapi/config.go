// Package httpapi is the REST API, its OpenAPI document and documentation, and the
// WebSocket that pushes changes: one handler set for edge and cloud over the use cases of
// package desk.
//
// It must never decide who may do what beyond finding out who is calling: every operation
// goes through desk with its caller, and a route that is not declared open answers nobody
// without a token.
package httpapi

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/media"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Role says which program serves the API.
type Role string

// The roles.
const (
	Edge  Role = "edge"
	Cloud Role = "cloud"
)

// Config is what an API is made of. Desk, Auth, Node, Table, Log and Now are needed.
type Config struct {
	Role    Role
	Version string // of the program, for the document
	Desk    *desk.Desk
	Auth    *auth.Service
	Node    *replica.Node
	Table   *schema.Table

	// Operators tells whether a person is one of the operator's admins; nil means nobody
	// is, as at an edge.
	Operators func(ctx context.Context, person record.ID) (bool, error)
	// Media serves files; nil leaves their routes out.
	Media *Media
	// Edges and Accounts are the cloud's; nil leaves their routes out.
	Edges    EdgesPort
	Accounts AccountsPort
	// Notices lists what happened in a building's replication since a time, the latest first.
	Notices func(ctx context.Context, building record.ID, since time.Time) ([]desk.Notice, error)
	// Links tells the state of the link to the cloud; nil at the cloud.
	Links LinksPort
	// Hearing tells how devices are heard; nil at the cloud, which leaves its routes out.
	Hearing HearingPort
	// Sync serves /sync/ and finds out for itself which node or person is calling.
	Sync http.Handler
	// Enrol answers POST /edges/enrol of a new box, which has no token yet; nil at an edge.
	Enrol http.Handler
	// Dashboard is the page at /dashboard/; nil serves a short text in its place.
	Dashboard fs.FS

	// Ready says what keeps the program from serving; nil is always ready.
	Ready func(ctx context.Context) error
	// Gatherer, where set, is served at /metrics to anybody who can reach it. Leave it nil
	// and use obs.MetricsHandler where metrics have a listener of their own.
	Gatherer prometheus.Gatherer
	// Registerer takes the API's own metrics; nil keeps none.
	Registerer prometheus.Registerer

	Limits Limits
	Log    *slog.Logger
	Now    func() time.Time
	Random io.Reader
}

// Media is where files are kept and taken in.
type Media struct {
	// Uploads speaks tus at /media/uploads/. It finds the person with auth.FromContext.
	Uploads http.Handler
	Blobs   media.BlobStore
}

// LinksPort tells about the link to the tier above.
type LinksPort interface {
	// Status describes a building's link.
	Status(ctx context.Context, building record.ID) LinkStatus
	// Watch gives a channel that receives after each change of a building's status.
	Watch(building record.ID) (moved <-chan struct{}, stop func())
}

// Rate is a token bucket: Burst at once, and one more each Every.
type Rate struct {
	Every time.Duration
	Burst int
}

// Limits are what the API takes from outside. Zero fields get defaults.
type Limits struct {
	// Proxies are the networks whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Origins are other sites whose pages may use the API and the WebSocket. None by
	// default: our own pages come from the same address.
	Origins []string
	// SignIn limits sign-in and refresh by network address.
	SignIn Rate
	// Address limits all requests of one network address, in which a whole building may
	// sit; Person those of one person, an import among them.
	Address Rate
	Person  Rate
	// JSONBytes bounds the body of a request that is not an upload.
	JSONBytes int64
	// Sockets bounds one person's open WebSockets in this process.
	Sockets int
	// SocketWrite is how long a client may take to accept one message.
	SocketWrite time.Duration
	// Heartbeat is how often a WebSocket is asked whether it still lives, and its rights
	// are read anew.
	Heartbeat time.Duration
}

// Default limits.
const (
	jsonBytesDefault   = 1 << 20
	socketsDefault     = 20
	socketWriteDefault = 10 * time.Second
	heartbeatDefault   = 30 * time.Second
	// limiterKeysMax bounds what one limiter remembers: about 2 MiB.
	limiterKeysMax = 10_000
)

// WithDefaults fills what was left zero.
func (l Limits) WithDefaults() Limits {
	rate := func(r *Rate, every time.Duration, burst int) {
		if r.Every <= 0 || r.Burst <= 0 {
			*r = Rate{every, burst}
		}
	}
	rate(&l.SignIn, 2*time.Second, 30)
	rate(&l.Address, time.Millisecond, 4000)
	rate(&l.Person, 2*time.Millisecond, 2000)
	if l.JSONBytes <= 0 {
		l.JSONBytes = jsonBytesDefault
	}
	if l.Sockets <= 0 {
		l.Sockets = socketsDefault
	}
	if l.SocketWrite <= 0 {
		l.SocketWrite = socketWriteDefault
	}
	if l.Heartbeat <= 0 {
		l.Heartbeat = heartbeatDefault
	}
	return l
}

// Validate says what is missing.
func (c Config) Validate() error {
	switch {
	case c.Role != Edge && c.Role != Cloud:
		return errors.New("httpapi: role must be edge or cloud")
	case c.Desk == nil || c.Auth == nil || c.Node == nil || c.Table == nil:
		return errors.New("httpapi: desk, auth, node and table are needed")
	case c.Log == nil || c.Now == nil || c.Random == nil:
		return errors.New("httpapi: log, clock and random source are needed")
	}
	return nil
}

// Limits of the server itself.
const (
	// headerBytesMax holds a token, cookies of other programs and a long address.
	headerBytesMax = 32 << 10
	// headerWait is what the slowest honest client needs for its headers.
	headerWait = 10 * time.Second
	idleWait   = 2 * time.Minute
)

// NewServer makes the server that runs a handler of this package: limits on headers and
// idle connections. Bodies and answers have deadlines by route, for uploads take long.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: headerBytesMax,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
}
