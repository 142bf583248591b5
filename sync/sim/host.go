package sim

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// pageItems is how many feed items a page carries in a run: few, so that every exchange has
// many pages in flight, and an event often comes without the record that it names.
func (w *world) pageItems() int { return []int{5, 2, 8, 3}[w.config.Seed%4] }

// host is an edge or a process of the cloud, with its disk, its clock and what may break.
type host struct {
	w         *world
	name      string
	key       string // the name of its signing key
	node      *replica.Node
	buildings []record.ID
	disk      *disk // shared by the processes of the cloud
	snapshots []*disk
	image     *disk // of its memory, too: its run is the one that it was made in
	skew      int64
	frozen    int64      // what the clock shows for ever, zero where it runs
	commit    string     // how the next commit goes wrong: busy, unsure, torn, after; empty for well
	down      bool       // the process died in a commit and starts again
	full      int        // the disk is full until this step
	apart     int        // nobody reaches it until this step
	bad       record.Key // a record that the store cannot take
	old       bool       // it runs the release before
	relay     bool       // nobody writes at it: all comes from phones and from the cloud
	incoming  map[record.Key][]byte
}

// disk is what survives a crash and what a snapshot copies.
type disk struct {
	store *memstore.Store
	// held are all values that this disk's history has seen, in records or held back.
	held map[string]bool
	gone map[record.ID]bool // persons whose access ended, as far as this store knows
	boot record.ID          // the run of the store, not copied
	// unready are positions that are not to be read before a step (without PositionLock).
	unready map[uint64]int
}

func newDisk() *disk {
	return &disk{store: memstore.New(), held: map[string]bool{}, gone: map[record.ID]bool{}, unready: map[uint64]int{}}
}

func (d *disk) clone() *disk {
	return &disk{store: d.store.Snapshot(), held: maps.Clone(d.held), gone: maps.Clone(d.gone), unready: map[uint64]int{}}
}

func signingKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("sim key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func (w *world) newHost(name, keyName string, tier record.Tier, d *disk, buildings ...record.ID) *host {
	h := &host{w: w, name: name, key: keyName, buildings: buildings, disk: d}
	h.node = &replica.Node{Key: signingKey(keyName), Tier: tier, Rules: Rules{}, Store: hostStore{h}, Schema: 1,
		Boot: func() record.ID { return h.disk.boot }, Now: h.clock, Random: w.stream("node " + name),
		Trusted: func(_ context.Context, _, node record.ID, asked record.Tier) (bool, error) {
			if tier == record.TierEdge && asked == record.TierEdge {
				return node == h.node.ID(), nil // an edge knows itself and the cloud
			}
			return w.enrolled[node] == asked, nil
		},
		Servers: func(_ context.Context, _, node record.ID) (replica.Server, error) {
			if tier == record.TierEdge && w.enrolled[node] != record.TierCloud {
				return replica.Server{}, nil // an edge knows itself and the cloud
			}
			return replica.Server{Tier: w.enrolled[node], Revoked: w.revoked[node]}, nil
		}}
	w.enrolled[h.node.ID()] = tier
	w.hosts = append(w.hosts, h)
	if d.boot.IsZero() {
		h.start()
	}
	return h
}

func (h *host) clock() int64 {
	if h.frozen > 0 {
		return h.frozen
	}
	return h.w.now + h.skew
}

// start is a new run of the store: of an edge's process, of the cloud's database.
func (h *host) start() {
	h.w.boots++
	h.disk.boot = record.DerivedID("boot", fmt.Sprint(h.w.boots))
	for _, o := range h.w.hosts {
		if o.disk == h.disk {
			o.restart()
		}
	}
	h.restart()
}

// restart is a new run of the process alone.
func (h *host) restart() {
	h.commit, h.down = "", false
	h.w.cut(h)
	for _, l := range h.w.lines {
		if l.edge == h {
			l.echoes[0] = nil
		} else if h.isCloud() {
			l.echoes[1] = nil
		}
	}
}

// use puts another disk in the place of a store's, as a restore does.
func (h *host) use(d *disk) {
	old := h.disk
	h.disk = d
	for _, o := range h.w.hosts {
		if o.disk == old {
			o.disk = d
		}
	}
}

func (h *host) peer() replica.Peer {
	return replica.Peer{Node: h.node.ID(), Tier: h.node.Tier, PublicKey: h.public()}
}

func (h *host) public() ed25519.PublicKey { return h.node.Key.Public().(ed25519.PublicKey) }

func (h *host) isCloud() bool { return h.node.Tier == record.TierCloud }

// reachable reports whether anybody can talk to the host now.
func (h *host) reachable() bool { return h.apart <= h.w.at && !h.down }

// stream is a source of random bytes of its own, so that one part of a run does not shift
// the choices of another.
func (w *world) stream(name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "%d %s", w.config.Seed, name)))
}
