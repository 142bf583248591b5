package edge_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"estate/edge"
	"estate/edge/internal/sqlitestore"
	"estate/internal/attach"
	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = 90 * time.Second

const password = "correct horse battery"

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still not: %s", patience, what)
		case <-tick.C:
		}
	}
}

// cloud is made of the parts that the real one is made of, on a store of the edge's sort.
type cloud struct {
	t        *testing.T
	node     *replica.Node
	desk     *desk.Desk
	enrol    *auth.Enrolments
	sessions *auth.NodeSessions
	signer   auth.Signer
	links    *synclink.Server
	blobs    *media.FileStore
	http     *httptest.Server
	building record.ID
	manager  record.ID

	mu      sync.Mutex
	nodes   map[record.ID]ed25519.PublicKey
	reports []httpapi.EdgeReport
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// startCloud starts a cloud of this release, or of one with these kinds.
func startCloud(t *testing.T, kinds ...schema.Kind) *cloud {
	t.Helper()
	if len(kinds) == 0 {
		kinds = schema.Kinds()
	}
	table := schema.NewTable(kinds)
	c := &cloud{t: t, nodes: map[record.ID]ed25519.PublicKey{}, manager: must(record.NewID(1, rand.Reader))(t)}
	store := must(sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "cloud.db"), sqlitestore.Options{Kinds: kinds}))(t)
	t.Cleanup(func() { _ = store.Close() })
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	boot := must(record.NewID(1, rand.Reader))(t)
	c.node = &replica.Node{Key: key, Tier: record.TierCloud, Rules: table, Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	c.desk = desk.New(desk.Config{Node: c.node, Table: table, Query: sqlitestore.NewQueries(store, kinds), Now: time.Now, Random: rand.Reader})
	c.signer = must(auth.NewSigner(auth.IssuerCloud, key))(t)
	codes := authtest.NewEnrolments()
	c.enrol = auth.NewEnrolments(codes, auth.IssuerCloud, time.Now, rand.Reader)
	c.sessions = must(auth.NewNodeSessions(c.signer, codes, time.Now, rand.Reader))(t)
	c.links = must(synclink.NewServer(synclink.ServerConfig{Node: c.node, Watch: store.Watch, Authenticate: c.authenticate, Now: time.Now, Log: quiet()}))(t)
	c.seed()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /edges/enrol", serve(c.redeem))
	mux.HandleFunc("POST /sync/challenge", serve(func(context.Context, struct{}) (map[string]string, error) {
		nonce, err := c.sessions.Challenge()
		return map[string]string{"nonce": nonce}, err
	}))
	mux.HandleFunc("POST /sync/session", serve(c.open))
	mux.HandleFunc("POST "+httpapi.PathEdgeState, c.takeReport)
	mux.Handle(synclink.PathSocket, c.links.Socket())
	mux.Handle(synclink.PathExchange, c.links.Exchange())
	c.serveMedia(mux)
	c.http = httptest.NewServer(mux)
	t.Cleanup(c.cut)
	return c
}

// serveMedia takes files from nodes and gives them out.
func (c *cloud) serveMedia(mux *http.ServeMux) {
	c.t.Helper()
	c.blobs = must(media.OpenFileStore(c.t.TempDir(), quiet()))(c.t)
	a := &attach.Attach{Desk: c.desk, Node: func(r *http.Request) (record.ID, error) {
		_, building, err := c.authenticate(r)
		return building, err
	}}
	mux.Handle("/sync/media/", must(media.OpenUploads(media.Config{Dir: c.t.TempDir(), Blobs: c.blobs, Authorizer: a, Catalogue: a, Log: quiet(), Now: time.Now}))(c.t))
	mux.HandleFunc("GET /sync/blobs/{hash}", func(w http.ResponseWriter, r *http.Request) {
		hash, err := media.ParseHash(r.PathValue("hash"))
		if err == nil {
			_, _, err = c.authenticate(r)
		}
		if err == nil {
			err = media.ServeBlob(w, r, c.blobs, hash, "image/png")
		}
		if err != nil {
			auth.Refuse(w, r, err, quiet())
		}
	})
}

// seed makes a building and its manager.
func (c *cloud) seed() {
	c.t.Helper()
	admin := desk.Caller{Person: c.manager, Admin: true}
	b := must(c.desk.CreateBuilding(c.t.Context(), admin, desk.NewBuilding{Name: "Oak House", Code: "OAK"}))(c.t)
	c.building = b.ID
	hash := must(must(auth.NewPasswords(1, rand.Reader))(c.t).Hash(c.t.Context(), auth.NewSecret(password), "m@oak.example"))(c.t)
	err := c.desk.ProjectMember(c.t.Context(), b.ID, desk.Member{Person: c.manager, Name: "Mara", Email: "m@oak.example", Role: "manager", Active: true, PasswordHash: hash})
	if err != nil {
		c.t.Fatal(err)
	}
}

// cut takes the cloud off the network for good.
func (c *cloud) cut() {
	c.links.Close()
	c.http.Close()
}

func serve[In, Out any](do func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		err := json.NewDecoder(r.Body).Decode(&in)
		var out Out
		if err == nil {
			out, err = do(r.Context(), in)
		}
		if err != nil {
			auth.Refuse(w, r, err, quiet())
			return
		}
		_ = json.NewEncoder(w).Encode(out)
	}
}

type proof struct {
	Code      string    `json:"code"`
	Node      record.ID `json:"node"`
	PublicKey []byte    `json:"public_key"`
	Nonce     string    `json:"nonce"`
	Signature []byte    `json:"signature"`
}

func (c *cloud) redeem(ctx context.Context, in proof) (map[string]any, error) {
	row, err := c.enrol.Redeem(ctx, auth.EnrolRequest{Code: auth.NewSecret(in.Code), Node: in.Node, Public: in.PublicKey, Signature: in.Signature})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[in.Node] = in.PublicKey
	return map[string]any{"building": row.Building, "server": auth.IssuerCloud, "cloud_node": map[string]any{"public_key": []byte(c.node.PublicKey())},
		"token_keys": []any{map[string]any{"issuer": auth.IssuerCloud, "public_key": []byte(c.signer.Public())}}, "time": time.Now().UnixMilli()}, err
}

func (c *cloud) open(ctx context.Context, in proof) (map[string]any, error) {
	c.mu.Lock()
	public := c.nodes[in.Node]
	c.mu.Unlock()
	token, err := c.sessions.Open(ctx, auth.NodeProof{Node: in.Node, Nonce: in.Nonce, Signature: in.Signature}, public)
	return map[string]any{"token": token.Token.Reveal(), "expires": token.Expires.UnixMilli(), "time": time.Now().UnixMilli()}, err
}

func (c *cloud) authenticate(r *http.Request) (replica.Peer, record.ID, error) {
	token, _, err := auth.BearerToken(r)
	if err != nil {
		return replica.Peer{}, record.ID{}, err
	}
	node, err := c.sessions.Verify(r.Context(), token)
	c.mu.Lock()
	defer c.mu.Unlock()
	return replica.Peer{Node: node, Tier: record.TierEdge, PublicKey: c.nodes[node]}, c.building, err
}

func (c *cloud) code() string {
	c.t.Helper()
	code, _, err := c.enrol.Create(c.t.Context(), c.building, c.manager)
	if err != nil {
		c.t.Fatal(err)
	}
	return code.Reveal()
}

// box is a running edge.
type box struct {
	*edge.Edge
	t     *testing.T
	cfg   edge.Config
	token string
	stop  func()
}

func config(dir string) edge.Config {
	return edge.Config{Data: dir, Listen: "127.0.0.1:0", MQTTListen: "127.0.0.1:0", Log: quiet(), Version: "test"}
}

func startBox(t *testing.T, cfg edge.Config) *box {
	t.Helper()
	e, err := edge.New(t.Context(), cfg, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{Edge: e, t: t, cfg: cfg}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(b.stop)
	return b
}

// call asks the API and reads the answer into out; it returns the status.
func (b *box) call(method, path string, in, out any) int {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			b.t.Fatal(err)
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.Addr()+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if answer.StatusCode/100 != 2 {
		b.t.Logf("%s %s: %d %s", method, path, answer.StatusCode, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			b.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
	return answer.StatusCode
}

func (b *box) signIn() {
	b.t.Helper()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if status := b.call(http.MethodPost, "/auth/login", map[string]string{"email": "m@oak.example", "password": password}, &got); status/100 != 2 {
		b.t.Fatalf("sign-in: %d", status)
	}
	b.token = got.AccessToken
}

func (b *box) ready() bool { return b.call(http.MethodGet, "/readyz", nil, nil) == http.StatusOK }

func TestPortTaken(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l := must(lc.Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer func() { _ = l.Close() }()
	cfg := config(t.TempDir())
	cfg.Listen = l.Addr().String()
	_, err := edge.New(t.Context(), cfg, time.Now)
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte(cfg.Listen)) {
		t.Fatalf("the taken port is not named: %v", err)
	}
	cfg.Listen = "127.0.0.1:0"
	if e := must(edge.New(t.Context(), cfg, time.Now))(t); e.Close() != nil {
		t.Error("what the first try opened was not let go")
	}
}

func TestTwice(t *testing.T) {
	t.Parallel()
	cfg := config(t.TempDir())
	e := must(edge.New(t.Context(), cfg, time.Now))(t)
	defer func() { _ = e.Close() }()
	if _, err := edge.New(t.Context(), cfg, time.Now); !errors.Is(err, edge.ErrRunning) {
		t.Errorf("a second process: %v", err)
	}
}

// damage overwrites every file below a folder.
func damage(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		return os.WriteFile(path, []byte("damaged"), 0o600)
	})
	if err != nil || files == 0 {
		t.Fatalf("damaged %d files: %v", files, err)
	}
}

// client is not the default one, whose idle connections any test server closes as it ends.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
