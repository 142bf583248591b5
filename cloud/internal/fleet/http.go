package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// The paths by which boxes prove who they are.
const (
	PathEnrol     = "/edges/enrol"
	PathChallenge = "/sync/challenge"
	PathSession   = "/sync/session"
)

// requestBytesMax bounds a request of a node: a code, a key and a signature.
const requestBytesMax = 4 << 10

// Gate lets boxes in: it redeems enrolment codes and gives enrolled nodes session tokens.
// It is safe for concurrent use.
type Gate struct {
	Fleet      *Store
	Enrolments *auth.Enrolments
	Sessions   *auth.NodeSessions
	// Server is the name by which nodes know this cloud.
	Server string
	// NodeKey is the cloud's replication key; TokenKeys verify its people's access tokens.
	NodeKey   ed25519.PublicKey
	TokenKeys []auth.IssuerKey
	Attempts  *auth.Limiter
	Client    func(r *http.Request) string
	Now       func() time.Time
	Log       *slog.Logger

	outage auth.Outage
}

// EnrolRequest is a new box's request on the wire.
type EnrolRequest struct {
	Code      string    `json:"code"`
	Node      record.ID `json:"node"`
	PublicKey []byte    `json:"public_key"`
	Signature []byte    `json:"signature"`
}

// EnrolAnswer tells a box which building it serves and whom to believe.
type EnrolAnswer struct {
	Building  record.ID  `json:"building"`
	Server    string     `json:"server"`
	CloudNode NodeKey    `json:"cloud_node"`
	TokenKeys []TokenKey `json:"token_keys"`
	Time      int64      `json:"time"` // Unix milliseconds
}

// NodeKey is a node's public key on the wire.
type NodeKey struct {
	PublicKey []byte `json:"public_key"`
}

// TokenKey is the public half of a key that signs people's tokens.
type TokenKey struct {
	Issuer    string `json:"issuer"`
	PublicKey []byte `json:"public_key"`
}

// ServeEnrol answers PathEnrol.
func (g *Gate) ServeEnrol(w http.ResponseWriter, r *http.Request) {
	serve(g, w, r, func(ctx context.Context, in EnrolRequest) (EnrolAnswer, error) {
		row, err := g.Enrolments.Redeem(ctx, auth.EnrolRequest{Code: auth.NewSecret(in.Code), Node: in.Node, Public: in.PublicKey, Signature: in.Signature})
		if err != nil {
			return EnrolAnswer{}, err
		}
		g.outage.Over(ctx, g.Log)
		out := EnrolAnswer{Building: row.Building, Server: g.Server, CloudNode: NodeKey{PublicKey: g.NodeKey}, Time: g.Now().UnixMilli()}
		for _, k := range g.TokenKeys {
			out.TokenKeys = append(out.TokenKeys, TokenKey{Issuer: k.Issuer, PublicKey: k.Public})
		}
		g.Log.InfoContext(ctx, "edge enrolled", "node", in.Node, "building", row.Building)
		return out, nil
	})
}

// Challenge is the first step of a node's session.
type Challenge struct {
	Nonce  string `json:"nonce"`
	Server string `json:"server"`
}

// ServeChallenge answers PathChallenge.
func (g *Gate) ServeChallenge(w http.ResponseWriter, r *http.Request) {
	serve(g, w, r, func(context.Context, struct{}) (Challenge, error) {
		nonce, err := g.Sessions.Challenge()
		return Challenge{Nonce: nonce, Server: g.Server}, err
	})
}

// SessionRequest is a node's answer to a challenge on the wire.
type SessionRequest struct {
	Node      record.ID `json:"node"`
	Nonce     string    `json:"nonce"`
	Signature []byte    `json:"signature"`
}

// SessionAnswer is a node's session token on the wire.
type SessionAnswer struct {
	Token   string `json:"token"`
	Expires int64  `json:"expires"` // Unix milliseconds, as Time: a node trusts their difference
	Time    int64  `json:"time"`
}

// ServeSession answers PathSession.
func (g *Gate) ServeSession(w http.ResponseWriter, r *http.Request) {
	serve(g, w, r, func(ctx context.Context, in SessionRequest) (SessionAnswer, error) {
		edge, err := g.Fleet.Edge(ctx, in.Node)
		if err != nil {
			return SessionAnswer{}, err
		}
		g.outage.Over(ctx, g.Log)
		t, err := g.Sessions.Open(ctx, auth.NodeProof{Node: in.Node, Nonce: in.Nonce, Signature: in.Signature}, edge.Public)
		if err != nil {
			return SessionAnswer{}, err
		}
		return SessionAnswer{Token: t.Token.Reveal(), Expires: t.Expires.UnixMilli(), Time: g.Now().UnixMilli()}, nil
	})
}

// Authenticate says which edge a request of the replication protocol comes from.
func (g *Gate) Authenticate(r *http.Request) (replica.Peer, record.ID, error) {
	token, found, err := auth.BearerToken(r)
	if err != nil {
		return replica.Peer{}, record.ID{}, err
	}
	if !found {
		return replica.Peer{}, record.ID{}, problem.New(problem.Unauthenticated, "no session token")
	}
	node, err := g.Sessions.Node(token)
	if err != nil {
		return replica.Peer{}, record.ID{}, err
	}
	edge, err := g.Fleet.Edge(r.Context(), node)
	switch {
	case err != nil:
		return replica.Peer{}, record.ID{}, fmt.Errorf("look up node: %w", err)
	case edge.RevokedAt != nil:
		return replica.Peer{}, record.ID{}, problem.New(problem.NodeRevoked, "")
	}
	return replica.Peer{Node: edge.Node, Tier: record.TierEdge, PublicKey: edge.Public}, edge.Building, nil
}

// Check is asked about each connected edge from time to time.
func (g *Gate) Check(ctx context.Context, building, node record.ID) error {
	edge, err := g.Fleet.Edge(ctx, node)
	switch {
	case err != nil:
		return err
	case edge.RevokedAt != nil:
		return problem.New(problem.NodeRevoked, "")
	case edge.Building != building:
		return problem.New(problem.NodeUnknown, "not this building's")
	}
	return nil
}

// serve is the common frame of the gate's requests: rate limit, size limit, strict JSON,
// coded errors.
func serve[In, Out any](g *Gate, w http.ResponseWriter, r *http.Request, answer func(context.Context, In) (Out, error)) {
	if wait, ok := g.Attempts.Take(g.Client(r)); !ok {
		auth.Refuse(w, r, problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: wait}, ""), g.Log)
		return
	}
	var in In
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestBytesMax))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			auth.Refuse(w, r, problem.New(problem.TooLarge, "limit %d bytes", requestBytesMax), g.Log)
			return
		}
		auth.Refuse(w, r, problem.New(problem.InvalidInput, "the body is not the JSON that this address takes"), g.Log)
		return
	}
	out, err := answer(r.Context(), in)
	if err != nil {
		g.outage.Refuse(w, r, err, g.Log)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		g.Log.DebugContext(r.Context(), "answer not sent", "error", err)
	}
}
