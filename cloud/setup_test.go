package cloud

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = time.Minute

const (
	adminEmail    = "root@estate.example"
	adminPassword = "correct horse battery"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

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

// process is a running process of a cloud.
type process struct {
	*Cloud
	t     *testing.T
	base  string
	token string
	stop  func()
}

// start runs a process on a database, with the first administrator signed in.
func start(t *testing.T, database string) *process {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(adminPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := New(t.Context(), Config{DatabaseURL: database, Data: t.TempDir(), BootstrapAdminEmail: adminEmail, BootstrapAdminPasswordFile: file,
		DatabaseConnectionsMax: 8, Log: quiet(), Version: "test", RecheckEdges: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.serve(ctx, listener) }()
	p := &process{Cloud: c, t: t, base: "http://" + listener.Addr().String()}
	stopped := false
	p.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(p.stop)
	var got struct {
		AccessToken string `json:"access_token"`
	}
	p.want(http.StatusOK, http.MethodPost, "/auth/login", "", map[string]string{"email": adminEmail, "password": adminPassword}, &got)
	p.token = got.AccessToken
	return p
}

// ask sends JSON, reads the answer into out where there is one, and returns the status.
func (p *process) ask(method, path, token string, in, out any) (int, string) {
	p.t.Helper()
	body, err := json.Marshal(in)
	if raw, ok := in.([]byte); ok {
		body = raw
	}
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err == nil && out != nil && answer.StatusCode/100 == 2 {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		p.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return answer.StatusCode, string(text)
}

func (p *process) want(status int, method, path, token string, in, out any) {
	p.t.Helper()
	if got, text := p.ask(method, path, token, in, out); got != status {
		p.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, status)
	}
}

func (p *process) building(name string) record.ID {
	p.t.Helper()
	b, err := p.desk.CreateBuilding(p.t.Context(), desk.Caller{Person: record.DerivedID("bootstrap admin", adminEmail), Admin: true},
		desk.NewBuilding{Name: name, Code: strings.ToUpper(name)})
	if err != nil {
		p.t.Fatal(err)
	}
	return b.ID
}

// box is an enrolled edge without its process: a key, a store and an uplink.
type box struct {
	t        *testing.T
	key      auth.NodeKey
	building record.ID
	node     *replica.Node
	uplink   *synclink.Uplink
	stop     func()
}

// enrol takes an enrolment through the API, as a box does.
func enrol(t *testing.T, p *process, building record.ID) *box {
	t.Helper()
	key, err := auth.LoadNodeKey(filepath.Join(t.TempDir(), "node.key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var made struct{ Code string }
	p.want(http.StatusCreated, http.MethodPost, "/edges", p.token, map[string]any{"building": building}, &made)
	code, err := auth.ParseEnrolCode(made.Code)
	if err != nil {
		t.Fatal(err)
	}
	r := key.EnrolRequest(code, auth.IssuerCloud)
	p.want(http.StatusOK, http.MethodPost, "/edges/enrol", "", map[string]any{"code": r.Code.Reveal(), "node": r.Node, "public_key": []byte(r.Public), "signature": r.Signature}, nil)
	store := memstore.New()
	boot, err := record.NewID(time.Now().UnixMilli(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, key: key, building: building, stop: func() {}}
	b.node = &replica.Node{Key: key.Replication(), Tier: record.TierEdge, Rules: schema.Default(), Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	return b
}

// session opens a session at a process.
func (b *box) session(p *process) (token string, status int) {
	b.t.Helper()
	var challenge struct{ Nonce, Server string }
	p.want(http.StatusOK, http.MethodPost, "/sync/challenge", "", struct{}{}, &challenge)
	proof := b.key.Answer(challenge.Nonce, challenge.Server)
	var opened struct{ Token string }
	status, _ = p.ask(http.MethodPost, "/sync/session", "", map[string]any{"node": proof.Node, "nonce": proof.Nonce, "signature": proof.Signature}, &opened)
	return opened.Token, status
}

// connect holds an uplink to a process until stop.
func (b *box) connect(p *process) {
	b.t.Helper()
	token, _ := b.session(p)
	up, err := synclink.NewUplink(synclink.UplinkConfig{Node: b.node, Watch: b.node.Store.Watch, Building: b.building, URL: p.base,
		Peer:  replica.Peer{Node: p.node.ID(), Tier: record.TierCloud, PublicKey: p.node.PublicKey()},
		Token: func(context.Context) (string, error) { return token, nil }, Now: time.Now, Jitter: func() float64 { return 0 }, Log: quiet()})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = up.Run(ctx)
	}()
	b.uplink = up
	b.stop = func() {
		cancel()
		<-done
	}
	b.t.Cleanup(b.stop)
	eventually(b.t, "the uplink is synced", func() bool { return up.Status(b.t.Context()).State == synclink.Synced })
}

// client is not the default one, whose idle connections any test server closes as it ends.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
