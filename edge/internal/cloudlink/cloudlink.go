// Package cloudlink is how an edge introduces itself to its cloud: once with an enrolment
// code, and then for each session with a signature of its own key.
//
// It must never send a secret but the one-time code, nor trust an answer about who the
// cloud is after the enrolment said so.
package cloudlink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	pathEnrol     = "/edges/enrol"
	pathChallenge = "/sync/challenge"
	pathSession   = "/sync/session"
	// answerBytesMax is far above what the three answers need.
	answerBytesMax = 64 << 10
	// askWait bounds one request.
	askWait = 20 * time.Second
	// renewBefore is how long before its end a session token is replaced.
	renewBefore = 5 * time.Minute
	// tokenKeysMax bounds the keys that a cloud may name: one, and the one it replaced, with room.
	tokenKeysMax = 16
)

// Enrolled is what the cloud says at the enrolment.
type Enrolled struct {
	Building  record.ID
	Server    string
	CloudKey  ed25519.PublicKey
	TokenKeys []auth.IssuerKey
	// Ahead is how far the cloud's clock is ahead of ours.
	Ahead time.Duration
}

type enrolRequest struct {
	Code      string    `json:"code"`
	Node      record.ID `json:"node"`
	PublicKey []byte    `json:"public_key"`
	Signature []byte    `json:"signature"`
}

type tokenKey struct {
	Issuer    string `json:"issuer"`
	PublicKey []byte `json:"public_key"`
}

type enrolAnswer struct {
	Building  record.ID `json:"building"`
	Server    string    `json:"server"`
	CloudNode struct {
		PublicKey []byte `json:"public_key"`
	} `json:"cloud_node"`
	TokenKeys []tokenKey `json:"token_keys"`
	Time      int64      `json:"time"`
}

// CleanURL checks a cloud's base address.
func CleanURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", problem.Invalid(problem.FieldError{Field: "cloud", Message: "must be an address such as https://cloud.example"})
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// Enrol redeems a code. It can be repeated: the cloud gives the same node the same answer.
func Enrol(ctx context.Context, client *http.Client, base string, key auth.NodeKey, code auth.EnrolCode, now func() time.Time) (Enrolled, error) {
	r := key.EnrolRequest(code, auth.IssuerCloud)
	var a enrolAnswer
	err := ask(ctx, client, base+pathEnrol, enrolRequest{Code: r.Code.Reveal(), Node: r.Node, PublicKey: r.Public, Signature: r.Signature}, &a)
	if err != nil {
		return Enrolled{}, fmt.Errorf("enrol at %s: %w", base, err)
	}
	if a.Building.IsZero() || a.Server != auth.IssuerCloud || len(a.CloudNode.PublicKey) != ed25519.PublicKeySize || len(a.TokenKeys) == 0 || len(a.TokenKeys) > tokenKeysMax {
		return Enrolled{}, fmt.Errorf("enrol at %s: the answer is not a cloud's", base)
	}
	out := Enrolled{Building: a.Building, Server: a.Server, CloudKey: a.CloudNode.PublicKey, Ahead: time.UnixMilli(a.Time).Sub(now())}
	for _, k := range a.TokenKeys {
		if k.Issuer == "" || len(k.PublicKey) != ed25519.PublicKeySize {
			return Enrolled{}, fmt.Errorf("enrol at %s: a token key is not usable", base)
		}
		out.TokenKeys = append(out.TokenKeys, auth.IssuerKey{Issuer: k.Issuer, Public: k.PublicKey})
	}
	return out, nil
}

// Sessions gives session tokens, a new one when the last is about to end. It is safe for
// concurrent use.
type Sessions struct {
	Client *http.Client
	Base   string
	Server string
	Key    auth.NodeKey
	Now    func() time.Time

	mu    sync.Mutex
	token string
	until time.Time // by our clock
}

// Token gives a token for the next request. It returns the cloud's problem: node_unknown,
// node_revoked, node_proof_invalid, nonce_expired.
func (s *Sessions) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" && s.Now().Before(s.until) {
		return s.token, nil
	}
	var challenge struct {
		Nonce string `json:"nonce"`
	}
	if err := ask(ctx, s.Client, s.Base+pathChallenge, struct{}{}, &challenge); err != nil {
		return "", fmt.Errorf("ask for a challenge: %w", err)
	}
	proof := s.Key.Answer(challenge.Nonce, s.Server)
	var opened struct {
		Token   string `json:"token"`
		Expires int64  `json:"expires"` // Unix milliseconds, as Time, by the cloud's clock
		Time    int64  `json:"time"`
	}
	err := ask(ctx, s.Client, s.Base+pathSession, struct {
		Node      record.ID `json:"node"`
		Nonce     string    `json:"nonce"`
		Signature []byte    `json:"signature"`
	}{proof.Node, proof.Nonce, proof.Signature}, &opened)
	if err != nil {
		return "", fmt.Errorf("open a session: %w", err)
	}
	if opened.Token == "" {
		return "", errors.New("open a session: the answer holds no token")
	}
	// The difference of the cloud's two times counts: our clock may be wrong.
	life := time.Duration(opened.Expires-opened.Time) * time.Millisecond
	s.token, s.until = opened.Token, s.Now().Add(min(life, auth.NodeSessionLife)-renewBefore)
	return s.token, nil
}

// Drop forgets the token, after the cloud refused it.
func (s *Sessions) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = ""
}

// Transport signs requests in with the node's session token.
type Transport struct {
	Sessions *Sessions
	Base     http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := t.Sessions.Token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as the interface demands; the error is the sign-in's
		}
		return nil, err
	}
	out := r.Clone(r.Context())
	out.Header.Set("Authorization", "Bearer "+token)
	answer, err := t.Base.RoundTrip(out)
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		t.Sessions.Drop()
	}
	return answer, err
}

// Report tells the cloud how this node is. The client signs requests in (Transport).
func Report(ctx context.Context, client *http.Client, base string, report any) error {
	if err := ask(ctx, client, base+PathState, report, &struct{}{}); err != nil {
		return fmt.Errorf("report to the cloud: %w", err)
	}
	return nil
}

// SendReadings gives the cloud a batch of readings. The client signs requests in (Transport).
func SendReadings(ctx context.Context, client *http.Client, base string, batch any) error {
	if err := ask(ctx, client, base+PathReadings, batch, &struct{}{}); err != nil {
		return fmt.Errorf("send readings to the cloud: %w", err)
	}
	return nil
}

// ask posts JSON and reads JSON. A refusal is the other side's problem.
func ask(ctx context.Context, client *http.Client, address string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "%s cannot be reached", r.URL.Host)
	}
	defer func() { _ = answer.Body.Close() }() // what counts was read
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerBytesMax))
	if err != nil {
		return problem.Wrap(problem.Unavailable, err, "the answer of %s broke off", r.URL.Host)
	}
	if answer.StatusCode/100 != 2 {
		return refusal(answer, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", r.URL.Host, err)
	}
	return nil
}

func refusal(answer *http.Response, text []byte) error {
	var said struct {
		Code problem.Code `json:"code"`
	}
	if json.Unmarshal(text, &said) == nil && said.Code != "" {
		return problem.New(said.Code, "")
	}
	return problem.New(problem.Unavailable, "the server answered %s", answer.Status)
}
