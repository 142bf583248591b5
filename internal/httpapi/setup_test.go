package httpapi_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "correct horse battery"

// hash is made once: the cost of argon2id is not what is tested here.
var hash = sync.OnceValue(func() string {
	p, err := auth.NewPasswords(0, rand.Reader)
	if err != nil {
		panic(err)
	}
	h, err := p.Hash(context.Background(), auth.NewSecret(password), "")
	if err != nil {
		panic(err)
	}
	return h
})

// world is a cloud with two buildings, their people, and the API over real use cases.
type world struct {
	t        testing.TB
	store    *memstore.Store
	desk     *desk.Desk
	auth     *auth.Service
	accounts *authtest.Accounts
	api      *httpapi.API
	server   *httptest.Server
	log      *safeBuffer
	blobs    *media.FileStore
	oak, elm record.ID
	unit     record.ID // in oak, the tenant's

	mu     sync.Mutex
	tokens map[string]string
}

// The people. neighbour is a tenant of elm.
func people() []string {
	return []string{"operator", "manager", "technician", "tenant", "neighbour"}
}

func person(name string) record.ID { return record.DerivedID("person", name) }

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func setup(t testing.TB, change ...func(*httpapi.Config)) *world {
	t.Helper()
	w := &world{t: t, store: memstore.New(), log: &safeBuffer{}, tokens: map[string]string{}, accounts: authtest.NewAccounts()}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	boot := must(record.NewID(time.Now().UnixMilli(), rand.Reader))
	table := schema.Default()
	node := &replica.Node{Key: key, Tier: record.TierCloud, Rules: table, Store: w.store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	w.desk = desk.New(desk.Config{Node: node, Table: table, Query: memQuery{w.store, table}, Now: time.Now, Random: rand.Reader})
	w.people()
	w.auth = w.signIn(key, auth.IssuerCloud, record.ID{})
	w.blobs = must(media.OpenFileStore(t.TempDir(), slog.New(slog.DiscardHandler)))
	log := obs.NewLog(w.log, slog.LevelDebug)
	cfg := httpapi.Config{Role: httpapi.Cloud, Version: "test", Desk: w.desk, Auth: w.auth, Node: node, Table: table,
		Operators: func(_ context.Context, p record.ID) (bool, error) { return p == person("operator"), nil },
		Media:     &httpapi.Media{Uploads: echoPerson(), Blobs: w.blobs},
		Edges:     &fakeEdges{}, Accounts: &fakeAccounts{}, Hearing: fakeHearing{},
		Sync: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			auth.Refuse(w, r, problem.New(problem.NodeUnknown, ""), log)
		}),
		Dashboard: fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>dashboard</title>")}},
		Log:       log, Now: time.Now, Random: rand.Reader}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.Role == httpapi.Edge {
		w.auth = w.signIn(key, auth.IssuerEdge(node.ID()), w.oak)
		cfg.Auth, cfg.Operators, cfg.Edges, cfg.Accounts = w.auth, nil, nil, nil
	}
	w.api = must(httpapi.New(cfg))
	w.server = httptest.NewUnstartedServer(w.api)
	w.server.Config = httpapi.NewServer(w.api, log)
	w.server.Start()
	t.Cleanup(func() {
		w.api.Close()
		w.server.Close()
	})
	return w
}

// echoPerson stands where uploads go; it tells who the API said is calling.
func echoPerson() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := auth.FromContext(r.Context())
		_, _ = w.Write([]byte(id.Person.String()))
	})
}

func (w *world) people() {
	w.t.Helper()
	ctx := w.t.Context()
	operator := desk.Caller{Person: person("operator"), Admin: true}
	w.oak = must(w.desk.CreateBuilding(ctx, operator, desk.NewBuilding{Name: "Oak House", Code: "OAK"})).ID
	w.elm = must(w.desk.CreateBuilding(ctx, operator, desk.NewBuilding{Name: "Elm House", Code: "ELM"})).ID
	w.unit = must(w.desk.CreateUnit(ctx, operator, w.oak, desk.NewUnit{Name: "1A"})).ID
	w.member("manager", w.oak, "manager", true)
	w.member("technician", w.oak, "technician", true)
	w.member("tenant", w.oak, "tenant", true, w.unit)
	w.member("neighbour", w.elm, "tenant", true)
	for _, name := range people() {
		w.accounts.Put(auth.Account{Person: person(name), Email: name + "@example.org", PasswordHash: hash()})
	}
}

func (w *world) member(name string, building record.ID, role string, active bool, units ...record.ID) {
	w.t.Helper()
	err := w.desk.ProjectMember(w.t.Context(), building, desk.Member{Person: person(name), Name: name, Email: name + "@example.org", Role: role, Units: units, Active: active})
	if err != nil {
		w.t.Fatal(err)
	}
}

// signIn makes the sign-in of a node; an edge's is good for its building only.
func (w *world) signIn(key ed25519.PrivateKey, issuer string, building record.ID) *auth.Service {
	w.t.Helper()
	signer := must(auth.NewSigner(issuer, key))
	ring := must(auth.NewKeyring(auth.IssuerKey{Issuer: signer.Issuer(), Public: signer.Public(), Building: building}))
	sessions := authtest.NewSessions()
	return must(auth.NewService(auth.Config{Signer: signer, Keyring: ring, Building: building, Passwords: must(auth.NewPasswords(4, rand.Reader)),
		Accounts: w.accounts, Sessions: sessions, Live: sessions, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)}))
}

// token signs a person in once and keeps the token.
func (w *world) token(name string) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tokens[name] == "" {
		t, err := w.auth.SignIn(w.t.Context(), name+"@example.org", auth.NewSecret(password), auth.Client{})
		if err != nil {
			w.t.Fatal(err)
		}
		w.tokens[name] = t.Access.Reveal()
	}
	return w.tokens[name]
}

// response is an answer with its body read.
type response struct {
	*http.Response
	text string
}

func (r response) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.text), into); err != nil {
		t.Fatalf("%s: %v", r.text, err)
	}
}

// code is the stable code of a problem.
func (r response) code() string {
	var p struct{ Code, Message, Remedy string }
	if json.Unmarshal([]byte(r.text), &p) != nil || p.Message == "" || p.Remedy == "" || r.Header.Get("Content-Type") != "application/problem+json" {
		return "not a problem: " + r.text
	}
	return p.Code
}

// call asks as a person, empty for nobody. A body that is a string is sent as it is;
// headers are pairs.
func (w *world) call(name, method, path string, body any, headers ...string) response {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		reader = bytes.NewReader(must(json.Marshal(b)))
	}
	r := must(http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, reader))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if name != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(name))
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Transport: w.server.Client().Transport}
	answer, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response{answer, string(text)}
}

// want fails the test unless the status is as said.
func (w *world) want(status int, r response) response {
	w.t.Helper()
	if r.StatusCode != status {
		w.t.Fatalf("%s %s: %d %s, want %d\n%s", r.Request.Method, r.Request.URL.Path, r.StatusCode, r.text, status, w.log)
	}
	return r
}

func (w *world) in(building record.ID, rest string) string {
	return "/buildings/" + building.String() + rest
}
