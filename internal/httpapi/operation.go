package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// bearer names the security scheme in the document.
	bearer            = "bearer"
	prefixAPI         = "/api"
	idempotencyHeader = "Idempotency-Key"
	streamMark        = "stream"
)

// document begins the OpenAPI document.
func document(cfg Config) huma.Config {
	version := cfg.Version
	if version == "" {
		version = "development"
	}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(idType, idSchemaType)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "Smart Estate", Version: version, Description: description,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}},
		Servers: []*huma.Server{
			{URL: "/", Description: "The API at the root"},
			{URL: prefixAPI, Description: "The same operations under a prefix, for proxies that route by path"},
		},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
			bearer: {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "The access token of POST /auth/login"},
		}},
		Tags: tags(cfg.Role),
	}
	doc.OnAddOperation = append(doc.OnAddOperation, func(_ *huma.OpenAPI, op *huma.Operation) {
		// The library documents 422 for input that is not valid; we answer 400.
		delete(op.Responses, "422")
	})
	return huma.Config{OpenAPI: doc, Formats: huma.DefaultFormats, DefaultFormat: "application/json"}
}

const description = `Tickets, alarms and devices of buildings, at the cloud and at the edge of each building.

Errors are JSON with a stable code, a message, a remedy and, for input that is not valid, what is wrong with each field. Lists take page and per_page, or the cursor of the list before, which is stable while records come and go. Times are RFC 3339 in UTC, ids are UUIDs.

A record's seen token (also its ETag) says what its reader was shown. Sent back in If-Match with a change, only that is replaced; what somebody else wrote meanwhile stays beside it as a conflict, so a stale token is never an error.

Idempotency-Key is honoured on every POST: with the same key, a person's retry makes the same record, because the record's id is derived from both.

GET /ws is a WebSocket that pushes changes; see the operation's description.`

// kind of operation, in few words.
type operation struct {
	id, method, path, tag, summary, text string
	status                               int
	open                                 bool // answers without a token
	stream                               bool // the answer may take long
}

func (o operation) describe() huma.Operation {
	op := huma.Operation{OperationID: o.id, Method: o.method, Path: o.path, Tags: []string{o.tag}, Summary: o.summary,
		Description: o.text, DefaultStatus: o.status, Security: []map[string][]string{{bearer: {}}},
		Errors: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		// Bodies are read and bounded before the library sees them.
		MaxBodyBytes: -1, BodyReadTimeout: -1}
	if strings.Contains(o.path, "{") {
		op.Errors = append(op.Errors, http.StatusNotFound)
	}
	if o.method == http.MethodPost || o.method == http.MethodPatch || o.method == http.MethodPut {
		op.Errors = append(op.Errors, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if o.open {
		op.Security = []map[string][]string{{}}
	}
	op.Metadata = map[string]any{streamMark: o.stream}
	return op
}

func isOpen(op *huma.Operation) bool {
	return len(op.Security) > 0 && !slices.ContainsFunc(op.Security, func(m map[string][]string) bool { return len(m) > 0 })
}

func isStream(op *huma.Operation) bool {
	stream, _ := op.Metadata[streamMark].(bool)
	return stream
}

// twice mounts an operation at / and under /api, and documents it once: the document's
// servers say the rest.
func twice(op *huma.Operation, next func(*huma.Operation)) {
	next(op)
	under := *op
	under.Path = prefixAPI + op.Path
	under.Hidden = true
	next(&under)
}

// add registers an operation that needs a caller.
func add[I, O any](a *API, o operation, handle func(ctx context.Context, c desk.Caller, in *I) (*O, error)) {
	register(a, o, func(ctx context.Context, in *I) (*O, error) {
		c, err := a.caller(ctx)
		if err != nil {
			return nil, err
		}
		return handle(ctx, c, in)
	})
}

// register registers an operation and gives its errors the form that is sent.
func register[I, O any](a *API, o operation, handle func(ctx context.Context, in *I) (*O, error)) {
	group := huma.NewGroup(a.library)
	group.UseModifier(twice)
	huma.Register(group, o.describe(), func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, problemOf(ctx, err, a.failures)
		}
		return out, nil
	})
}

// caller is who asks, from the identity that the token gave.
func (a *API) caller(ctx context.Context) (desk.Caller, error) {
	id, ok := auth.FromContext(ctx)
	if !ok {
		return desk.Caller{}, problem.New(problem.Unauthenticated, "")
	}
	if id.Operator != nil && a.cfg.Operators != nil {
		return desk.Caller{Person: id.Person, Admin: *id.Operator}, nil
	}
	return a.callerOf(ctx, id.Person)
}

func (a *API) callerOf(ctx context.Context, person record.ID) (desk.Caller, error) {
	c := desk.Caller{Person: person}
	if a.cfg.Operators == nil {
		return c, nil
	}
	admin, err := a.cfg.Operators(ctx, person)
	c.Admin = admin
	return c, err
}
