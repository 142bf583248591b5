package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// NodeSessionLife is how long a node's session token is accepted.
	NodeSessionLife = time.Hour
	// NonceLife is how long a node has to answer a challenge.
	NonceLife = time.Minute

	nonceLabel      = "estate node nonce v1"
	sessionLabel    = "estate node session v1"
	nonceRandom     = 16
	nonceTime       = 8
	nonceBytes      = nonceTime + nonceRandom + sha256.Size
	nonceFutureMost = 5 * time.Second // clocks of the cloud's processes differ by less
)

// Revocations tells whether a node is revoked; for one it does not know it returns
// node_unknown.
type Revocations interface {
	Revoked(ctx context.Context, node record.ID) (bool, error)
}

// NodeProof is a node's answer to a challenge.
type NodeProof struct {
	Node      record.ID
	Nonce     string
	Signature []byte
}

// NodeToken is a node's session token.
type NodeToken struct {
	Token   Secret
	Expires time.Time
}

// NodeSessions challenges nodes, checks their answers and gives them session tokens. It keeps
// no state: every process of a server that shares its signer's key accepts every other's
// challenges and tokens. No step depends on the node's clock.
type NodeSessions struct {
	signer   Signer
	keyring  *Keyring
	nonceKey []byte
	revoked  Revocations
	now      func() time.Time
	random   io.Reader
}

// NewNodeSessions makes the server's side for the signer's issuer, which is the name that
// nodes know the server by.
func NewNodeSessions(signer Signer, revoked Revocations, now func() time.Time, random io.Reader) (*NodeSessions, error) {
	if signer.key == nil || revoked == nil || now == nil || random == nil {
		return nil, errors.New("auth: incomplete configuration of node sessions")
	}
	ring, err := NewKeyring(IssuerKey{Issuer: signer.issuer, Public: signer.Public()})
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, signer.key().Seed(), nil, nonceLabel, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive nonce key: %w", err)
	}
	return &NodeSessions{signer: signer, keyring: ring, nonceKey: key, revoked: revoked, now: now, random: random}, nil
}

// Challenge makes a nonce: the server's time and random bytes under the server's HMAC.
func (n *NodeSessions) Challenge() (string, error) {
	random, err := randomBytes(n.random, nonceRandom)
	if err != nil {
		return "", fmt.Errorf("make nonce: %w", err)
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceBytes), uint64(n.now().UnixMilli()))
	b = append(b, random...)
	return base64.RawURLEncoding.EncodeToString(n.seal(b)), nil
}

// seal appends the HMAC of the server's name and the nonce's time and random bytes.
func (n *NodeSessions) seal(b []byte) []byte {
	mac := hmac.New(sha256.New, n.nonceKey)
	mac.Write(message(nonceLabel, []byte(n.signer.issuer), b))
	return mac.Sum(b)
}

func (n *NodeSessions) checkNonce(text string) error {
	if len(text) != base64.RawURLEncoding.EncodedLen(nonceBytes) {
		return problem.New(problem.NonceExpired, "")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != nonceBytes {
		return problem.New(problem.NonceExpired, "")
	}
	body := b[: nonceTime+nonceRandom : nonceTime+nonceRandom]
	if !hmac.Equal(n.seal(body), b) {
		return problem.New(problem.NonceExpired, "")
	}
	age := n.now().Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(b))))
	if age > NonceLife || age < -nonceFutureMost {
		return problem.New(problem.NonceExpired, "")
	}
	return nil
}

// message joins parts under a label, each with its length, so that no two lists of parts
// give the same bytes.
func message(label string, parts ...[]byte) []byte {
	out := []byte(label)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}

// Answer signs a server's challenge. The server's name is what the node was enrolled at, not
// what the answerer says: a server in the middle cannot pass the answer on.
func (k NodeKey) Answer(nonce, server string) NodeProof {
	return NodeProof{Node: k.id, Nonce: nonce,
		Signature: k.Sign(message(sessionLabel, []byte(nonce), []byte(server), k.id[:]))}
}

// Open checks an answer against the public key that the caller looked up for the node and
// gives a session token. It returns nonce_expired, node_proof_invalid, node_unknown or
// node_revoked.
func (n *NodeSessions) Open(ctx context.Context, proof NodeProof, public ed25519.PublicKey) (NodeToken, error) {
	if err := n.checkNonce(proof.Nonce); err != nil {
		return NodeToken{}, err
	}
	signed := message(sessionLabel, []byte(proof.Nonce), []byte(n.signer.issuer), proof.Node[:])
	if proof.Node.IsZero() || len(public) != ed25519.PublicKeySize || !ed25519.Verify(public, signed, proof.Signature) {
		return NodeToken{}, problem.New(problem.NodeProofInvalid, "")
	}
	if err := n.checkRevoked(ctx, proof.Node); err != nil {
		return NodeToken{}, err
	}
	c, err := newClaims(n.signer.issuer, AudienceNodes, proof.Node, n.now(), NodeSessionLife, n.random)
	if err != nil {
		return NodeToken{}, err
	}
	token, err := n.signer.sign(c, typeNodes)
	if err != nil {
		return NodeToken{}, err
	}
	return NodeToken{Token: token, Expires: c.ExpiresAt.Time}, nil
}

// Verify says which node a session token speaks for, and asks each time whether the node is
// revoked. It returns token_expired, token_invalid, node_unknown or node_revoked.
func (n *NodeSessions) Verify(ctx context.Context, token Secret) (record.ID, error) {
	node, err := n.Node(token)
	if err != nil {
		return record.ID{}, err
	}
	if err := n.checkRevoked(ctx, node); err != nil {
		return record.ID{}, err
	}
	return node, nil
}

// Node says which node a session token speaks for, to a caller who looks up for himself
// whether it is revoked. It returns token_expired or token_invalid.
func (n *NodeSessions) Node(token Secret) (record.ID, error) {
	c, _, err := n.keyring.verify(token.Reveal(), AudienceNodes, typeNodes, n.now())
	if err != nil {
		return record.ID{}, err
	}
	node, err := record.ParseID(c.Subject)
	if err != nil || node.IsZero() {
		return record.ID{}, problem.New(problem.TokenInvalid, "")
	}
	return node, nil
}

func (n *NodeSessions) checkRevoked(ctx context.Context, node record.ID) error {
	revoked, err := n.revoked.Revoked(ctx, node)
	if err != nil {
		return fmt.Errorf("look up node: %w", err)
	}
	if revoked {
		return problem.New(problem.NodeRevoked, "")
	}
	return nil
}
