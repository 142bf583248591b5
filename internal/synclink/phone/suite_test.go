package phone_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	building = record.DerivedID("building", "oak")
	unitA    = record.DerivedID("unit", "a")
	tess     = record.DerivedID("person", "tess") // technician
	tom      = record.DerivedID("person", "tom")  // tenant of unit A
)

func named(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// server is one node that serves phones over real HTTP.
type server struct {
	t     *testing.T
	name  string
	node  *replica.Node
	store *memstore.Store
	http  *httptest.Server
	// cutAfter makes the next answers end after so many bytes; negative for whole ones.
	cutAfter atomic.Int64
}

// town is a cloud and an edge that both serve the same persons.
type town struct {
	t     *testing.T
	cloud *server
	edge  *server
	mu    sync.Mutex
	bound map[record.ID]record.ID // node → person
	limit *auth.Limiter           // of the servers that are started from now on; nil for none
	// revoked are phones whose access ended.
	revoked map[record.ID]bool
	roles   map[record.ID]schema.Viewer
	clock   atomic.Int64 // milliseconds added to the phones' time
}

func setup(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, bound: map[record.ID]record.ID{}, roles: map[record.ID]schema.Viewer{
		tess: {Person: tess, Building: building, Role: schema.Technician, Active: true},
		tom:  {Person: tom, Building: building, Role: schema.Tenant, Units: []record.ID{unitA}, Active: true},
	}}
	w.cloud, w.edge = w.serve("cloud", record.TierCloud), w.serve("edge", record.TierEdge)
	return w
}

func (w *town) serve(name string, tier record.Tier) *server {
	w.t.Helper()
	return w.serveFrom(name, tier, memstore.New())
}

// serveFrom starts a server on a disk, which may be an old one.
func (w *town) serveFrom(name string, tier record.Tier, store *memstore.Store) *server {
	w.t.Helper()
	boot, err := record.NewID(time.Now().UnixMilli(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	s := &server{t: w.t, name: name, store: store, node: &replica.Node{Key: named(name), Tier: tier, Rules: schema.Default(), Store: store,
		Boot: func() record.ID { return boot }, Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil },
		Servers: func(_ context.Context, _, node record.ID) (replica.Server, error) {
			switch node {
			case record.NodeID(public(named("cloud"))):
				return replica.Server{Tier: record.TierCloud}, nil
			case record.NodeID(public(named("edge"))):
				return replica.Server{Tier: record.TierEdge}, nil
			}
			return replica.Server{}, nil
		}}}
	s.cutAfter.Store(-1)
	link, err := synclink.NewServer(synclink.ServerConfig{Node: s.node, Watch: store.Watch, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Authenticate: func(*http.Request) (replica.Peer, record.ID, error) {
			return replica.Peer{}, record.ID{}, problem.New(problem.TokenInvalid, "")
		},
		Phones: &synclink.Phones{Node: s.node, Person: w.person, Rights: w.rights, Bind: w.bind, Limit: w.limit},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	s.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		link.Exchange().ServeHTTP(&cutWriter{ResponseWriter: rw, server: s}, r)
	}))
	w.t.Cleanup(func() { s.http.Close(); link.Close() })
	return s
}

// cutWriter loses the rest of an answer that the server believes it gave.
type cutWriter struct {
	http.ResponseWriter
	server *server
}

func (c *cutWriter) Write(b []byte) (int, error) {
	left := c.server.cutAfter.Load()
	if left < 0 {
		return c.ResponseWriter.Write(b)
	}
	n := min(int64(len(b)), left)
	c.server.cutAfter.Store(left - n)
	if _, err := c.ResponseWriter.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *town) person(r *http.Request) (record.ID, error) {
	switch strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") {
	case "tess":
		return tess, nil
	case "tom":
		return tom, nil
	}
	return record.ID{}, problem.New(problem.TokenInvalid, "")
}

func (w *town) rights(_ context.Context, b, person record.ID) (replica.Admit, replica.View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.roles[person]
	if !ok || b != building {
		return nil, replica.View{}, problem.New(problem.NotFound, "")
	}
	table := schema.Default()
	return table.Admit(v), replica.View{Hash: v.ViewHash(), May: func(k record.Key, r, parent record.Record) bool { return table.MayRead(v, k, r, parent) }}, nil
}

func (w *town) bind(_ context.Context, _, person, node record.ID, key ed25519.PublicKey) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.revoked[node] {
		return problem.New(problem.NodeRevoked, "")
	}
	owner, known := w.bound[node]
	if !known && key == nil {
		return problem.New(problem.NodeUnknown, "")
	}
	if known && owner != person {
		return problem.New(problem.Forbidden, "this app is another person's")
	}
	w.bound[node] = person
	return nil
}

// device is an installed app: a disk and, while it runs, a client.
type device struct {
	w     *town
	token string
	c     phone.Config
	disk  []byte
	full  bool
	app   *phone.Client
}

func (w *town) install(name, token string, person record.ID) *device {
	d := &device{w: w, token: token, c: phone.Config{Key: named(name), Building: building, Person: person, Cloud: public(w.cloud.node.Key), Rules: schema.Default(), Random: rand.Reader}}
	w.mu.Lock()
	d.c.Admit = schema.Default().Admit(w.roles[person])
	w.mu.Unlock()
	d.start()
	return d
}

var errFull = errors.New("disk full")

// start runs the app over what is on its disk: after a kill, nothing else is left.
func (d *device) start() {
	d.w.t.Helper()
	now := func() time.Time { return time.Now().Add(time.Duration(d.w.clock.Load()) * time.Millisecond) }
	app, err := phone.NewClient(d.c, d.disk, now, func(b []byte) error {
		if d.full {
			return errFull
		}
		d.disk = b
		return nil
	})
	if err != nil {
		d.w.t.Fatal(err)
	}
	app.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	d.app = app
}

func (d *device) exchange(s *server) {
	d.w.t.Helper()
	if _, err := d.app.Exchange(d.w.t.Context(), s.http.URL, d.token); err != nil {
		d.w.t.Fatalf("exchange with the %s: %v", s.name, err)
	}
}

// report writes a new ticket in unit A.
func (d *device) report(id record.ID, text string) record.Dot {
	d.w.t.Helper()
	return d.write(id, replica.FieldWrite{Field: "title", Value: record.Text(text)}, replica.FieldWrite{Field: "unit", Value: record.IDValue(unitA)},
		replica.FieldWrite{Field: "reporter", Value: record.IDValue(d.c.Person)})
}

func (d *device) write(id record.ID, fields ...replica.FieldWrite) record.Dot {
	d.w.t.Helper()
	dot, err := d.app.Write("ticket.edit", phone.Change{Kind: "ticket", ID: id, Fields: fields})
	if err != nil {
		d.w.t.Fatal(err)
	}
	return dot
}

func (d *device) kept() (kept, unsettled int) {
	d.app.Look(func(o *phone.Outbox) { kept, unsettled = o.Kept() })
	return kept, unsettled
}

func (d *device) refusals() (out []phone.Refusal) {
	d.app.Look(func(o *phone.Outbox) { out = o.Refusals() })
	return out
}

// shown is the text that the phone shows for a field of a ticket.
func (d *device) shown(id record.ID, field string) (text string) {
	d.app.Look(func(o *phone.Outbox) {
		text, _ = schema.Default().Shown("ticket", field, o.Shown("ticket", id)).AsText()
	})
	return text
}

// stored is the ticket as a server holds it.
func (s *server) stored(id record.ID) record.Record {
	s.t.Helper()
	key := record.Key{Building: building, Kind: "ticket", ID: id}
	have, err := s.store.Load(s.t.Context(), building, replica.Need{Keys: []record.Key{key}})
	if err != nil {
		s.t.Fatal(err)
	}
	return have.Records[key].Record
}

func (s *server) title(id record.ID) string {
	text, _ := schema.Default().Shown("ticket", "title", s.stored(id)).AsText()
	return text
}

// reconcile lets edge and cloud exchange everything, both ways, until nothing moves.
func (w *town) reconcile() {
	w.t.Helper()
	for range 3 {
		w.offer(w.edge.node, w.cloud.node)
		w.offer(w.cloud.node, w.edge.node)
	}
}

func (w *town) offer(from, to *replica.Node) {
	w.t.Helper()
	ctx := w.t.Context()
	peer := func(n *replica.Node) replica.Peer {
		return replica.Peer{Node: n.ID(), Tier: n.Tier, PublicKey: public(n.Key)}
	}
	hello, err := to.Hello(ctx, building, peer(from))
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := from.Greet(ctx, building, peer(to), hello)
	if err != nil {
		w.t.Fatal(err)
	}
	for at := g.From; ; {
		p, err := from.ReadPage(ctx, building, at, 0, g.Held, func(uint64) bool { return false })
		if err != nil {
			w.t.Fatal(err)
		}
		a, err := to.ApplyPage(ctx, building, peer(from), p)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, want := range a.Wants {
			events, err := from.ReadEvents(ctx, building, want)
			if err != nil {
				w.t.Fatal(err)
			}
			if _, err := to.ApplyPage(ctx, building, peer(from), events); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := from.ApplyAck(ctx, building, peer(to), a.Ack); err != nil {
			w.t.Fatal(err)
		}
		if at = p.To; p.Last {
			return
		}
	}
}

func refusalCode(t *testing.T, err error) string {
	t.Helper()
	var p *problem.Problem
	if errors.As(err, &p) {
		return string(p.Code)
	}
	return replica.RefusalCode(err)
}
