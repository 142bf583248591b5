package cloud

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"

	"estate/cloud/internal/people"
	"estate/internal/auth"
)

// Names of the cloud's keys in the database. Replication and people's tokens have keys of
// their own, so that one can be replaced without the other.
const (
	keyNode  = "node"
	keyToken = "token"
)

// keys are shared by all processes of one cloud: a node that one enrols, the other knows.
type keys struct {
	node  ed25519.PrivateKey
	token auth.Signer
	ring  *auth.Keyring
	// issuer is the public half of the token key, told to edges.
	issuer auth.IssuerKey
}

func loadKeys(ctx context.Context, p *people.Store, random io.Reader) (keys, error) {
	var k keys
	node, err := seed(ctx, p, keyNode, random)
	if err != nil {
		return k, err
	}
	token, err := seed(ctx, p, keyToken, random)
	if err != nil {
		return k, err
	}
	k.node = node
	if k.token, err = auth.NewSigner(auth.IssuerCloud, token); err != nil {
		return k, fmt.Errorf("token key: %w", err)
	}
	k.issuer = auth.IssuerKey{Issuer: auth.IssuerCloud, Public: k.token.Public()}
	if k.ring, err = auth.NewKeyring(k.issuer); err != nil {
		return k, fmt.Errorf("token key: %w", err)
	}
	return k, nil
}

func seed(ctx context.Context, p *people.Store, name string, random io.Reader) (ed25519.PrivateKey, error) {
	fresh := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, fresh); err != nil {
		return nil, fmt.Errorf("make key %s: %w", name, err)
	}
	stored, err := p.Seed(ctx, name, fresh)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(stored), nil
}
