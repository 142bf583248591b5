package cloudlink_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/problem"
	"estate/sync/record"
)

// cloud is the other side, of the same parts that the real one is made of.
type cloud struct {
	t        *testing.T
	clock    *authtest.Clock
	store    *authtest.Enrolments
	enrol    *auth.Enrolments
	sessions *auth.NodeSessions
	public   ed25519.PublicKey
	asked    atomic.Int32 // challenges
	http     *httptest.Server
	building record.ID
	key      struct {
		id     record.ID
		public ed25519.PublicKey
	}
}

func start(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{t: t, clock: authtest.NewClock(), store: authtest.NewEnrolments(), building: record.DerivedID("oak")}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.public = public
	signer, err := auth.NewSigner(auth.IssuerCloud, private)
	if err != nil {
		t.Fatal(err)
	}
	c.enrol = auth.NewEnrolments(c.store, auth.IssuerCloud, c.clock.Now, rand.Reader)
	if c.sessions, err = auth.NewNodeSessions(signer, c.store, c.clock.Now, rand.Reader); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /edges/enrol", c.serveEnrol)
	mux.HandleFunc("POST /sync/challenge", func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		nonce, err := c.sessions.Challenge()
		c.answer(w, r, map[string]any{"nonce": nonce, "server": auth.IssuerCloud}, err)
	})
	mux.HandleFunc("POST /sync/session", c.serveSession)
	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		token, _, err := auth.BearerToken(r)
		var node record.ID
		if err == nil {
			node, err = c.sessions.Verify(r.Context(), token)
		}
		c.answer(w, r, node, err)
	})
	c.http = httptest.NewServer(mux)
	t.Cleanup(c.http.Close)
	return c
}

func (c *cloud) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		auth.Refuse(w, r, err, slog.New(slog.DiscardHandler))
		return
	}
	if err := json.NewEncoder(w).Encode(v); err != nil {
		c.t.Error(err)
	}
}

func (c *cloud) serveEnrol(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code      string    `json:"code"`
		Node      record.ID `json:"node"`
		PublicKey []byte    `json:"public_key"`
		Signature []byte    `json:"signature"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		c.answer(w, r, nil, err)
		return
	}
	row, err := c.enrol.Redeem(r.Context(), auth.EnrolRequest{Code: auth.NewSecret(in.Code), Node: in.Node, Public: in.PublicKey, Signature: in.Signature})
	c.answer(w, r, map[string]any{"building": row.Building, "server": auth.IssuerCloud, "cloud_node": map[string]any{"public_key": []byte(c.public)},
		"token_keys": []any{map[string]any{"issuer": "cloud", "public_key": []byte(c.public)}}, "time": c.clock.Now().UnixMilli()}, err)
}

func (c *cloud) serveSession(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Node      record.ID `json:"node"`
		Nonce     string    `json:"nonce"`
		Signature []byte    `json:"signature"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		c.answer(w, r, nil, err)
		return
	}
	var public ed25519.PublicKey
	if c.key.id == in.Node {
		public = c.key.public
	}
	t, err := c.sessions.Open(r.Context(), auth.NodeProof{Node: in.Node, Nonce: in.Nonce, Signature: in.Signature}, public)
	c.answer(w, r, map[string]any{"token": t.Token.Reveal(), "expires": t.Expires.UnixMilli(), "time": c.clock.Now().UnixMilli()}, err)
}

func (c *cloud) code() auth.EnrolCode {
	c.t.Helper()
	code, _, err := c.enrol.Create(c.t.Context(), c.building, record.DerivedID("admin"))
	if err != nil {
		c.t.Fatal(err)
	}
	return code
}

func newKey(t *testing.T) auth.NodeKey {
	t.Helper()
	k, err := auth.LoadNodeKey(filepath.Join(t.TempDir(), "node.key"), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	c, key := start(t), newKey(t)
	code := c.code()
	now := func() time.Time { return c.clock.Now().Add(-time.Hour) }
	for range 2 { // the answer to the first may have been lost
		got, err := cloudlink.Enrol(t.Context(), c.http.Client(), c.http.URL, key, code, now)
		if err != nil {
			t.Fatal(err)
		}
		if got.Building != c.building || !got.CloudKey.Equal(c.public) || len(got.TokenKeys) != 1 || got.TokenKeys[0].Issuer != "cloud" || got.Ahead != time.Hour {
			t.Fatalf("%+v", got)
		}
	}
	if _, err := cloudlink.Enrol(t.Context(), c.http.Client(), c.http.URL, newKey(t), code, now); !problem.HasCode(err, problem.EnrolCodeUsed) {
		t.Errorf("another box with the same code: %v", err)
	}
	c.http.Close()
	if _, err := cloudlink.Enrol(t.Context(), c.http.Client(), c.http.URL, key, code, now); !problem.HasCode(err, problem.Unavailable) {
		t.Errorf("no cloud: %v", err)
	}
}

func TestEnrolAtNoCloud(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"Empty": `{}`, "Page": `<html>`, "OtherServer": `{"building":"` + record.DerivedID("oak").String() + `","server":"else"}`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(answer)) }))
		t.Cleanup(s.Close)
		c := start(t)
		if got, err := cloudlink.Enrol(t.Context(), s.Client(), s.URL, newKey(t), c.code(), c.clock.Now); err == nil {
			t.Errorf("%s: enrolled as %+v", name, got)
		}
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	c, key := start(t), newKey(t)
	c.key.id, c.key.public = key.ID(), key.Public()
	if _, err := cloudlink.Enrol(t.Context(), c.http.Client(), c.http.URL, key, c.code(), c.clock.Now); err != nil {
		t.Fatal(err)
	}
	// The box's clock is a year late: sessions must not depend on it.
	s := &cloudlink.Sessions{Client: c.http.Client(), Base: c.http.URL, Server: auth.IssuerCloud, Key: key,
		Now: func() time.Time { return c.clock.Now().AddDate(-1, 0, 0) }}
	client := &http.Client{Transport: &cloudlink.Transport{Sessions: s, Base: c.http.Client().Transport}}
	whoami := func() (string, error) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.http.URL+"/whoami", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			return "", err
		}
		defer func() { _ = answer.Body.Close() }()
		var node string
		if answer.StatusCode != http.StatusOK {
			return answer.Status, nil
		}
		return node, json.NewDecoder(answer.Body).Decode(&node)
	}
	for _, step := range []struct {
		name  string
		pass  time.Duration
		asked int32
	}{{"First", 0, 1}, {"Again", time.Minute, 1}, {"NearItsEnd", 56 * time.Minute, 2}} {
		c.clock.Add(step.pass)
		if got, err := whoami(); err != nil || got != key.ID().String() || c.asked.Load() != step.asked {
			t.Errorf("%s: %q, %v, %d challenges", step.name, got, err, c.asked.Load())
		}
	}
	c.store.Revoke(key.ID())
	if got, err := whoami(); err != nil || got != "403 Forbidden" {
		t.Errorf("revoked: %q, %v", got, err)
	}
	s.Drop()
	if _, err := whoami(); !problem.HasCode(err, problem.NodeRevoked) {
		t.Errorf("a revoked node opens a session: %v", err)
	}
	other := &cloudlink.Sessions{Client: c.http.Client(), Base: c.http.URL, Server: "else", Key: key, Now: c.clock.Now}
	if _, err := other.Token(t.Context()); !problem.HasCode(err, problem.NodeProofInvalid) {
		t.Errorf("answer meant for another server: %v", err)
	}
}

func TestCleanURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://cloud.example": "https://cloud.example", "http://10.0.0.1:8080/": "http://10.0.0.1:8080",
		"": "", "cloud.example": "", "ftp://x": "", "https://a:b@x": "", "https://x?y": "", "https://": "",
	} {
		got, err := cloudlink.CleanURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", in, got, err)
		}
		var p *problem.Problem
		if err != nil && !errors.As(err, &p) {
			t.Errorf("%q: %v is no problem", in, err)
		}
	}
}
