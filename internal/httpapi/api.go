package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"
	"github.com/gorilla/mux"
	"github.com/rs/cors"

	"estate/internal/auth"
	"estate/internal/httpapi/live"
	"estate/internal/obs"
	"estate/internal/problem"
)

const (
	// bodyWait is what a slow phone may take to send a body of JSON.
	bodyWait = 30 * time.Second
	// answerWait bounds one operation; who waits longer has given up.
	answerWait = 30 * time.Second
	// streamWait bounds the sending of a file or an export over a slow line.
	streamWait = 15 * time.Minute
)

// API is the handler of all routes. Close ends its WebSockets.
type API struct {
	cfg       Config
	router    *mux.Router
	handler   http.Handler
	document  []byte // the OpenAPI document as served
	library   huma.API
	metrics   *obs.HTTPMetrics
	failures  *failures
	live      *live.Server
	byAddress *auth.Limiter
	byPerson  *auth.Limiter
	bySignIn  *auth.Limiter
}

// New builds the API. It fails when the configuration is not whole.
func New(cfg Config) (*API, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := newAPI(cfg)
	document, err := json.Marshal(a.library.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("httpapi: write the OpenAPI document: %w", err)
	}
	a.document = document
	if err := a.mountPages(); err != nil {
		return nil, err
	}
	a.handler = a.observe(a.crossOrigin(a.router))
	return a, nil
}

func newAPI(cfg Config) *API {
	cfg.Limits = cfg.Limits.WithDefaults()
	limiter := func(r Rate) *auth.Limiter { return auth.NewLimiter(r.Every, r.Burst, limiterKeysMax, cfg.Now) }
	a := &API{cfg: cfg, router: mux.NewRouter(), metrics: obs.NewHTTPMetrics(cfg.Registerer), failures: newFailures(cfg.Log, cfg.Now),
		byAddress: limiter(cfg.Limits.Address), byPerson: limiter(cfg.Limits.Person), bySignIn: limiter(cfg.Limits.SignIn)}
	a.live = live.New(a.liveConfig())
	a.router.Use(named, a.admit)
	a.router.NotFoundHandler = a.refusal(problem.NotFound)
	a.router.MethodNotAllowedHandler = a.refusal(problem.MethodNotAllowed)
	useProblems()
	a.library = humamux.New(a.router, document(cfg), humamux.WithRouteCustomizer(a.customize))
	a.register()
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.handler.ServeHTTP(w, r) }

// Close ends all WebSockets and returns when none is left. Call it after the server's
// Shutdown has begun: clients reconnect, to another process if there is one.
func (a *API) Close() { a.live.Close() }

func (a *API) refusal(code problem.Code) http.Handler {
	return named(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, problem.New(code, ""), a.failures)
	}))
}

// customize prepares the route of an operation.
func (a *API) customize(op *huma.Operation, route *mux.Route) {
	handler := route.GetHandler()
	if !isStream(op) {
		handler = timed(handler)
	}
	route.Handler(a.deadline(op, a.readJSON(handler)))
	if isOpen(op) {
		route.Name(routeOpen)
	}
}

func timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWait)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (a *API) deadline(op *huma.Operation, next http.Handler) http.Handler {
	wait := bodyWait + 2*answerWait
	if isStream(op) {
		wait = streamWait
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A connection without deadlines is a test's; the operation is bounded besides.
		_ = http.NewResponseController(w).SetWriteDeadline(a.cfg.Now().Add(wait))
		next.ServeHTTP(w, r)
	})
}

// crossOrigin lets pages of configured sites use the API. No cookies are involved.
func (a *API) crossOrigin(next http.Handler) http.Handler {
	if len(a.cfg.Limits.Origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: a.cfg.Limits.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", "If-Match", idempotencyHeader, obs.RequestHeader, "X-Client-Id",
			"Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Checksum", "Upload-Defer-Length"},
		ExposedHeaders: []string{"ETag", "Location", "Retry-After", obs.RequestHeader, "Tus-Resumable", "Tus-Version", "Tus-Max-Size", "Tus-Extension", "Upload-Offset", "Upload-Length", "Upload-Expires"},
		MaxAge:         600,
	}).Handler(next)
}
