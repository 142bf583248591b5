// Package replica decides what a node does with writes, pages and pushes. A decision is a
// pure step: what it must know comes in as a Have, what must be stored goes out as
// Effects, and a Node brackets each step in one transaction of a Store. Session is the
// state machine of a link between two nodes.
//
// The package must never read a clock, open a socket or start a goroutine: time, keys and
// randomness are handed in. SPEC.md numbers the rules that it implements.
package replica

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"estate/sync/record"
)

// Refusal is an error of the protocol: a wire code and what led to it.
type Refusal struct {
	Code   string
	Detail string
}

// Error prints code and detail.
func (r *Refusal) Error() string { return r.Code + ": " + r.Detail }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// RefusalCode returns the wire code of an error, empty if it is not a Refusal.
func RefusalCode(err error) string {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// Peer is the other side of a link, as the caller authenticated it.
type Peer struct {
	Node      record.ID
	Tier      record.Tier
	PublicKey ed25519.PublicKey
	// Person is whose phone it is: the only one in whose name it writes.
	Person record.ID
}

// Node is one holder of buildings: a cloud (shared by its processes) or an edge. Its
// fields are set once; its methods are safe for concurrent use as far as the Store is.
type Node struct {
	Key   ed25519.PrivateKey
	Tier  record.Tier
	Rules Rules
	Store Store
	// Boot is the generation of the store in this run: it differs after each start of the
	// process (edge) or of the database (cloud), and after each restore or clone.
	Boot func() record.ID
	// Now is the wall clock in Unix milliseconds, without any building's offset.
	Now    func() int64
	Random io.Reader
	// Schema is the version of the table of kinds, told to peers.
	Schema uint64
	// Trusted reports whether a node may act in this tier for a building, revoked or not:
	// whether cards that name it are genuine. An edge knows itself and its cloud: edges beside
	// it are those whose cards the cloud passed on or gave a receipt for. It may do I/O and is
	// never called under the building's lock.
	Trusted func(ctx context.Context, building, node record.ID, tier record.Tier) (bool, error)
	// Servers says what is known of a node whose seal a phone returns: it must know the node
	// for certain, for its seal stands for what a whole building holds. It may do I/O and is
	// never called under the building's lock. Where it is nil only this node's own seals
	// count.
	Servers func(ctx context.Context, building, node record.ID) (Server, error)
}

// ID is the node's id, derived from its key.
func (n *Node) ID() record.ID {
	return record.NodeID(n.PublicKey())
}

// PublicKey is the public half of the node's key.
func (n *Node) PublicKey() ed25519.PublicKey {
	public, ok := n.Key.Public().(ed25519.PublicKey)
	if !ok {
		panic("replica: key is not Ed25519")
	}
	return public
}

// generation is the run of the store that peers' cursors go by. A node that finds its own
// running replica copied begins a new one: the copy has the same run, and other things at
// the same positions of its feed (SPEC R12, R33).
func generation(run record.ID, s State) record.ID {
	if after := copied(run, s.Replica); s.Boot == after {
		return after
	}
	return run
}

func copied(run record.ID, fresh record.ReplicaID) record.ID {
	return record.DerivedID("copied", string(run[:]), string(fresh[:]))
}

func (n *Node) generation(s State) record.ID { return generation(n.Boot(), s) }

// Booter is what a Tx of a store that several processes share offers besides: the run of
// the store that this transaction is part of (see State.Boot).
type Booter interface{ Boot() record.ID }

// runOf asks the transaction before the node: the node may have to ask the store, and
// whoever holds a connection of a pool must not wait for another.
func (n *Node) runOf(tx Tx) record.ID {
	if b, ok := tx.(Booter); ok {
		return b.Boot()
	}
	return n.Boot()
}

// step runs one decision in a transaction: load what it needs, decide, save. chains lists
// the replicas whose chains the decision needs once the first load is known.
// after, if given, looks at the closed decision.
func (n *Node) step(ctx context.Context, building record.ID, need Need, chains []record.ReplicaID, decide func(*ledger) error, after ...func(*ledger)) error {
	need.Chains = append(slices.Clip(need.Chains), chains...)
	return n.update(ctx, building, need, func(tx Tx) error {
		have, err := tx.Load(ctx, need)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		boot := n.runOf(tx)
		if err := loadForks(ctx, tx.Load, &have); err != nil {
			return err
		}
		keys, err := loadRest(ctx, tx.Load, building, need.Keys, &have)
		if err != nil {
			return err
		}
		if err := loadChains(ctx, tx.Load, &have, nil); err != nil {
			return err
		}
		l := newLedger(n, building, boot, have, keys)
		l.run, l.boot = boot, generation(boot, have.State)
		if err := decide(l); err != nil {
			return err
		}
		if err := l.keepAside(ctx, tx.Load); err != nil {
			return err
		}
		effects, changed, err := l.effects()
		if err != nil {
			return err
		}
		for _, look := range after {
			look(l)
		}
		if !changed {
			return nil
		}
		return tx.Save(ctx, effects)
	})
}

func (n *Node) update(ctx context.Context, building record.ID, need Need, fn func(Tx) error) error {
	if s, ok := n.Store.(Foreseer); ok {
		return s.UpdateFor(ctx, building, need, fn)
	}
	return n.Store.Update(ctx, building, fn)
}

type loader func(context.Context, Need) (Have, error)

// loadRest completes a Have with the records that it leads to: those that waiting events
// name, and those that are held back and may be released. It returns all keys that were
// read.
func loadRest(ctx context.Context, load loader, building record.ID, read []record.Key, have *Have) ([]record.Key, error) {
	var rest []record.Key
	for _, rows := range have.Waiting {
		for _, row := range rows {
			if e, err := record.DecodeEvent(row.Body); err == nil {
				rest = append(rest, keysOf(building, e)...)
			}
		}
	}
	for _, q := range have.Quarantine {
		if !q.Theirs {
			rest = append(rest, q.Key)
		}
	}
	slices.SortFunc(rest, record.Key.Compare)
	rest = slices.DeleteFunc(slices.Compact(rest), func(k record.Key) bool { return slices.Contains(read, k) })
	if len(rest) == 0 {
		return read, nil
	}
	more, err := load(ctx, Need{Keys: rest})
	if err != nil {
		return nil, fmt.Errorf("load records: %w", err)
	}
	have.Records, have.Touches = joined(have.Records, more.Records), joined(have.Touches, more.Touches)
	return append(slices.Clone(read), rest...), nil
}

// keysOf lists the records that an event names: most touch several fields of one.
func keysOf(building record.ID, e record.Event) []record.Key {
	return appendKeys(nil, building, &e)
}

func appendKeys(out []record.Key, building record.ID, e *record.Event) []record.Key {
	add := func(kind string, id record.ID) {
		if n := len(out); n == 0 || out[n-1].ID != id || out[n-1].Kind != kind {
			out = append(out, record.Key{Building: building, Kind: kind, ID: id})
		}
	}
	for i := range e.Touches {
		add(e.Touches[i].Kind, e.Touches[i].ID)
	}
	for i := range e.Refusals {
		add(e.Refusals[i].Kind, e.Refusals[i].ID)
	}
	return out
}

func joined[K comparable, V any](a, b map[K]V) map[K]V {
	out := map[K]V{}
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// loadChains completes a Have with the chains of every replica that its records' contexts
// cite, the node's own, and extra ones, ancestors included.
func loadChains(ctx context.Context, load loader, have *Have, extra []record.ReplicaID) error {
	ids := slices.Clone(extra)
	if !have.State.Replica.IsZero() {
		ids = append(ids, have.State.Replica)
	}
	for _, s := range have.Records {
		for _, d := range s.Record.Context.Reaches() {
			ids = append(ids, d.Replica)
		}
	}
	for _, q := range have.Quarantine {
		if r, err := record.Decode(q.Body); err == nil {
			for _, d := range r.Context.Reaches() {
				ids = append(ids, d.Replica)
			}
		}
	}
	slices.SortFunc(ids, record.ID.Compare)
	ids = slices.Compact(ids)
	ids = slices.DeleteFunc(ids, func(id record.ReplicaID) bool { _, ok := have.Chains[id]; return ok })
	if len(ids) == 0 {
		return nil
	}
	more, err := load(ctx, Need{Chains: ids})
	if err != nil {
		return fmt.Errorf("load chains: %w", err)
	}
	if have.Chains == nil {
		have.Chains = map[record.ReplicaID]Chain{}
	}
	for id, c := range more.Chains {
		have.Chains[id] = c
	}
	return nil
}
