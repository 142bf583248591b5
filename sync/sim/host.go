package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// pageItems is how many feed items a page carries here: small, so that every exchange has
// many pages in flight.
const pageItems = 5

// host is a cloud or an edge with its disk, its clock and what may break.
type host struct {
	w         *world
	name      string
	node      *replica.Node
	buildings []record.ID
	disk      disk
	snapshots []disk
	boot      record.ID
	skew      int64
	commit    string     // how the next commit goes wrong: "busy", "unsure", empty
	bad       record.Key // a record that the store cannot take
}

// disk is what survives a crash and what a snapshot copies.
type disk struct {
	store *memstore.Store
	// held are all values that this disk's history has seen, in records or held back.
	held map[string]bool
}

func (d disk) clone() disk { return disk{store: d.store.Snapshot(), held: maps.Clone(d.held)} }

func signingKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("sim key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (w *world) newHost(name, keyName string, tier record.Tier, buildings ...record.ID) *host {
	h := &host{w: w, name: name, buildings: buildings, disk: disk{store: memstore.New(), held: map[string]bool{}}}
	h.node = &replica.Node{Key: signingKey(keyName), Tier: tier, Rules: Rules{}, Store: hostStore{h}, Schema: 1,
		Boot: func() record.ID { return h.boot }, Now: func() int64 { return w.now + h.skew }, Random: w.stream("node " + name),
		Trusted: func(_ context.Context, _, node record.ID, tier record.Tier) (bool, error) {
			return w.enrolled[node] == tier, nil
		}}
	w.enrolled[h.node.ID()] = tier
	w.hosts = append(w.hosts, h)
	h.start()
	return h
}

// start is a new run of the process.
func (h *host) start() {
	h.w.boots++
	h.boot = record.DerivedID("boot", fmt.Sprint(h.w.boots))
	h.commit = ""
	h.w.cut(h)
}

func (h *host) peer() replica.Peer {
	return replica.Peer{Node: h.node.ID(), Tier: h.node.Tier, PublicKey: h.public()}
}

func (h *host) public() ed25519.PublicKey { return h.node.Key.Public().(ed25519.PublicKey) }

// stream is a source of random bytes of its own, so that one part of a run does not shift
// the choices of another.
func (w *world) stream(name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", w.config.Seed, name)))
}

// hostStore is the host's disk as its node sees it.
type hostStore struct{ h *host }

var errDisk = errors.New("sim: the disk cannot take this record")

func (s hostStore) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	var values []string
	fault := s.h.commit
	s.h.commit = ""
	err := s.h.disk.store.Update(ctx, building, func(tx replica.Tx) error {
		values = values[:0]
		if err := fn(hostTx{Tx: tx, h: s.h, values: &values}); err != nil {
			return err
		}
		if fault == "busy" {
			return replica.ErrBusy
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range values {
		s.h.disk.held[v] = true
	}
	if fault == "unsure" {
		return replica.ErrUnsure
	}
	return nil
}

func (s hostStore) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	return s.h.disk.store.Load(ctx, building, need)
}

func (s hostStore) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	return s.h.disk.store.Feed(ctx, building, after, min(limit, pageItems), bytesMax)
}

func (s hostStore) Chains(ctx context.Context, building record.ID) ([]replica.Chain, error) {
	return s.h.disk.store.Chains(ctx, building)
}

func (s hostStore) Events(ctx context.Context, building record.ID, id record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error) {
	return s.h.disk.store.Events(ctx, building, id, from, to, limit)
}

func (s hostStore) Buildings(ctx context.Context) ([]record.ID, error) {
	return s.h.disk.store.Buildings(ctx)
}

func (s hostStore) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.h.disk.store.Watch(building)
}

type hostTx struct {
	replica.Tx
	h      *host
	values *[]string
}

func (t hostTx) Save(ctx context.Context, e replica.Effects) error {
	for _, row := range e.Records {
		if row.Key == t.h.bad {
			return errDisk
		}
		*t.values = append(*t.values, texts(row.Record)...)
	}
	for _, q := range e.Quarantine {
		if r, err := record.Decode(q.Body); err == nil && !q.Theirs {
			*t.values = append(*t.values, texts(r)...)
			t.h.w.count("quarantine")
		}
	}
	if len(e.QuarantineOut) > 0 {
		t.h.w.count("release")
	}
	for _, row := range e.Events {
		if row.Position == 0 {
			t.h.w.count("gap")
		}
	}
	return t.Tx.Save(ctx, e)
}

// texts lists all text values of a record.
func texts(r record.Record) []string {
	var out []string
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			if v, ok := s.Value.AsText(); ok {
				out = append(out, v)
			}
		}
	}
	return out
}
