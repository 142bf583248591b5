package synclink_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"estate/internal/lab/faultproxy"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = time.Minute

// named derives a key from a name, so that ids in failures can be told apart.
func named(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(key ed25519.PrivateKey) ed25519.PublicKey {
	return key.Public().(ed25519.PublicKey)
}

var building = record.DerivedID("building", "oak")

// newNode builds a node over its own store in memory.
func newNode(name string, tier record.Tier, store *memstore.Store) *replica.Node {
	boot := record.DerivedID("boot", name, time.Now().String())
	return &replica.Node{Key: named(name), Tier: tier, Rules: schema.Default(), Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
}

func peerOf(n *replica.Node) replica.Peer {
	return replica.Peer{Node: n.ID(), Tier: n.Tier, PublicKey: public(n.Key)}
}

// world is a cloud behind a faulty line, and an edge that wants to reach it.
type world struct {
	t          *testing.T
	cloud      *replica.Node
	edge       *replica.Node
	cloudStore *memstore.Store
	edgeStore  *memstore.Store
	server     *synclink.Server
	http       *httptest.Server
	proxy      *faultproxy.Proxy
	uplink     *synclink.Uplink
	revoked    atomic.Bool
	brokenWS   atomic.Bool
	forwarded  atomic.Bool
	sockets    atomic.Int64
	alarms     sync.Map
	spoken     atomic.Uint64 // protocol version of the cloud's hello; zero for this release's
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func setup(t *testing.T, edit ...func(*synclink.UplinkConfig)) *world {
	t.Helper()
	w := &world{t: t, cloudStore: memstore.New(), edgeStore: memstore.New()}
	w.cloud, w.edge = newNode("cloud", record.TierCloud, w.cloudStore), newNode("edge", record.TierEdge, w.edgeStore)
	w.serve()
	proxy, err := faultproxy.Start(t.Context(), w.http.Listener.Addr().String(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w.proxy = proxy
	t.Cleanup(func() { _ = proxy.Close() })
	c := synclink.UplinkConfig{Node: w.edge, Watch: w.edgeStore.Watch, Building: building, Peer: peerOf(w.cloud), URL: "http://" + proxy.Addr(),
		Token: func(context.Context) (string, error) { return "edge", nil }, Now: time.Now, Jitter: func() float64 { return 0.5 }, Log: quiet()}
	for _, e := range edit {
		e(&c)
	}
	if w.uplink, err = synclink.NewUplink(c); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve mounts the server as the cloud does.
func (w *world) serve() {
	w.t.Helper()
	server, err := synclink.NewServer(synclink.ServerConfig{Node: speaking{w.cloud, &w.spoken}, Watch: w.cloudStore.Watch, Now: time.Now, Log: quiet(),
		Authenticate: func(r *http.Request) (replica.Peer, record.ID, error) {
			switch {
			case w.revoked.Load():
				return replica.Peer{}, record.ID{}, problem.New(problem.NodeRevoked, "")
			case r.Header.Get("Authorization") == "Bearer edge":
				return peerOf(w.edge), building, nil
			}
			return replica.Peer{}, record.ID{}, problem.New(problem.TokenInvalid, "")
		},
		RecheckEvery: 20 * time.Millisecond,
		Revoked: func(context.Context, record.ID, record.ID) error {
			if w.revoked.Load() {
				return problem.New(problem.NodeRevoked, "")
			}
			return nil
		},
		Hooks: synclink.Hooks{Alarm: func(_, _ record.ID, code string) { w.alarms.Store(code, true) }},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(synclink.PathSocket, func(rw http.ResponseWriter, r *http.Request) {
		w.sockets.Add(1)
		if w.brokenWS.Load() {
			r.Header.Del("Upgrade") // as a proxy that knows no WebSockets
		}
		if w.forwarded.Load() {
			r.Header.Set("X-Forwarded-For", "192.0.2.7") // as one that knows them
		}
		server.Socket().ServeHTTP(rw, r)
	})
	mux.Handle(synclink.PathExchange, server.Exchange())
	w.server, w.http = server, httptest.NewServer(mux)
	w.t.Cleanup(func() { server.Close(); w.http.Close() })
}

// run keeps the uplink going until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.uplink.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// write makes n tickets at a node.
func write(t *testing.T, n *replica.Node, label string, count, size int) {
	t.Helper()
	for i := range count {
		key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", label, fmt.Sprint(i))}
		title(t, n, key, fmt.Sprintf("%s %d %s", label, i, static(uint64(i), size)))
	}
}

// static is text that no compressor makes shorter than three quarters.
func static(seed uint64, size int) string {
	b := make([]byte, size*3/4)
	random := mathrand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = random.Read(b) // it never fails
	return base64.StdEncoding.EncodeToString(b)
}

func title(t *testing.T, n *replica.Node, key record.Key, text string) {
	t.Helper()
	_, err := n.Write(t.Context(), building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: record.DerivedID("person", "ann")}, Action: "ticket.edit",
			Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{{Field: "description", Value: record.Text(text)}}}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// failer is a test or a property's run.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// contents is everything of a store's records, as bytes.
func contents(t failer, s *memstore.Store) map[record.Key]string {
	t.Helper()
	out := map[record.Key]string{}
	for after := uint64(0); ; {
		page, err := s.Feed(context.Background(), building, after, 1000, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			after = item.Position
			if item.Event == nil {
				out[item.Key] = string(item.Body)
			}
		}
		if after >= page.End {
			return out
		}
	}
}

func equal(a, b map[record.Key]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// eventually waits for a condition, looking again at each tick.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			t.Fatalf("still not: %s", what)
		}
	}
}

func (w *world) converged(count int) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%d equal records on both sides", count), func() bool {
		a, b := contents(w.t, w.edgeStore), contents(w.t, w.cloudStore)
		return len(a) == count && equal(a, b)
	})
}

func (w *world) state(want synclink.State) {
	w.t.Helper()
	eventually(w.t, "state "+string(want), func() bool { return w.uplink.Status(context.Background()).State == want })
}
