package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"estate/sync/record"
)

const (
	keyBlockType = "ESTATE NODE KEY"
	keyHeader    = "Node"
	// keyFileBytesMax is several times what the file needs.
	keyFileBytesMax = 4096
	keyFileMode     = fs.FileMode(0o600)
)

// NodeKey is a node's identity: its Ed25519 key and its id, which is derived from the key.
// The private half leaves this type as signatures, and to the replication core, which signs
// heads and receipts.
type NodeKey struct {
	id record.ID
	// key is behind a function, so that no fmt verb can print it for whatever holds a NodeKey.
	key func() ed25519.PrivateKey
}

// LoadNodeKey reads a node's key file, or makes a new identity where there is none. Of two
// processes that start at once on one path, both get the same identity. It refuses, and never
// replaces, a file that others may read or that is not whole: losing a key means enrolling
// again, which is the operator's choice.
func LoadNodeKey(path string, random io.Reader) (NodeKey, error) {
	k, err := ReadNodeKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if k, err = newNodeKey(random); err != nil {
		return NodeKey{}, err
	}
	if err := k.createFile(path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return ReadNodeKey(path)
		}
		return NodeKey{}, fmt.Errorf("write node key: %w", err)
	}
	return k, nil
}

func newNodeKey(random io.Reader) (NodeKey, error) {
	seed, err := randomBytes(random, ed25519.SeedSize)
	if err != nil {
		return NodeKey{}, fmt.Errorf("make node key: %w", err)
	}
	return nodeKeyOf(seed), nil
}

func nodeKeyOf(seed []byte) NodeKey {
	key := ed25519.NewKeyFromSeed(seed)
	k := NodeKey{key: func() ed25519.PrivateKey { return key }}
	k.id = record.NodeID(k.Public())
	return k
}

// ReadNodeKey reads a node's key file. It refuses one that others may read or that is not whole.
func ReadNodeKey(path string) (NodeKey, error) {
	f, err := os.Open(path)
	if err != nil {
		return NodeKey{}, fmt.Errorf("open node key: %w", err)
	}
	defer func() { _ = f.Close() }() // read only: nothing to lose
	info, err := f.Stat()
	if err != nil {
		return NodeKey{}, fmt.Errorf("look at node key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return NodeKey{}, fmt.Errorf("node key %s may be read by others (mode %o): set it to 600", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(f, keyFileBytesMax+1))
	if err != nil {
		return NodeKey{}, fmt.Errorf("read node key: %w", err)
	}
	k, err := parseNodeKey(text)
	if err != nil {
		return NodeKey{}, fmt.Errorf("node key %s: %w", path, err)
	}
	return k, nil
}

func parseNodeKey(text []byte) (NodeKey, error) {
	if len(text) > keyFileBytesMax {
		return NodeKey{}, errors.New("file is too large")
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != keyBlockType || len(block.Bytes) != ed25519.SeedSize || len(bytes.TrimSpace(rest)) != 0 {
		return NodeKey{}, errors.New("file is not one whole node key")
	}
	k := nodeKeyOf(block.Bytes)
	if id, err := record.ParseID(block.Headers[keyHeader]); err != nil || id != k.id {
		return NodeKey{}, errors.New("file names another node than its key's")
	}
	return k, nil
}

// createFile writes the whole file under another name and links it into place, which fails
// where the path exists; a crash leaves no part of a key at the path.
func (k NodeKey) createFile(path string) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".node-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	block := &pem.Block{Type: keyBlockType, Headers: map[string]string{keyHeader: k.id.String()}, Bytes: k.key().Seed()}
	werr := errors.Join(pem.Encode(f, block), f.Chmod(keyFileMode), f.Sync())
	if werr = errors.Join(werr, f.Close()); werr != nil {
		return werr
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ID is the node's id.
func (k NodeKey) ID() record.ID { return k.id }

// Public is the node's public key.
func (k NodeKey) Public() ed25519.PublicKey {
	public, _ := k.key().Public().(ed25519.PublicKey)
	return public
}

// Replication is the key itself, for the replication core and nothing else.
func (k NodeKey) Replication() ed25519.PrivateKey { return k.key() }

// Sign signs a message, which must begin with a label of its own sort ("estate … v1"), so
// that no signature can be passed off as another's.
func (k NodeKey) Sign(message []byte) []byte { return ed25519.Sign(k.key(), message) }

// String names the node without its key.
func (k NodeKey) String() string { return "node " + k.id.String() }

// GoString names the node without its key, for %#v.
func (k NodeKey) GoString() string { return k.String() }

// TokenSigner derives the key with which the node signs tokens, so that one file is the whole
// identity and yet no token signature can be passed off as a node's.
func (k NodeKey) TokenSigner(issuer string) (Signer, error) {
	seed, err := hkdf.Key(sha256.New, k.key().Seed(), nil, "estate token key v1", ed25519.SeedSize)
	if err != nil {
		return Signer{}, fmt.Errorf("derive token key: %w", err)
	}
	return NewSigner(issuer, ed25519.NewKeyFromSeed(seed))
}
