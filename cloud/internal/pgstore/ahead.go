package pgstore

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// Calls that share a transaction would each wait for the server to answer what they read.
// What they will read first is known before they run, so it is read together with taking the
// lock, and what one of them writes is remembered for the next. All of it stays right for as
// long as the building is locked, and is forgotten with the transaction.

// foreseenMax bounds how many records are read ahead for all calls of a transaction: writes of
// people read a few each. A page reads its own.
const foreseenMax = 512

// ahead is the records that were read ahead, as they stand in the transaction.
type ahead struct {
	asked   map[record.Key]bool // present or not
	records map[record.Key]replica.Stored
	touches map[record.Key][]replica.PhoneTouch
}

// UpdateFor implements replica.Foreseer.
func (s *Store) UpdateFor(ctx context.Context, building record.ID, need replica.Need, fn func(replica.Tx) error) error {
	switch {
	case need.Peer.IsZero():
		return s.update(ctx, building, need.Keys, fn)
	case lightly(building, need):
		return s.update(ctx, building, need, fn)
	}
	return s.update(ctx, building, nil, fn) // a large page is a transaction's worth by itself
}

// foresee lists what the calls will read first, each record once.
func foresee(calls []*groupcommit.Call[*group]) (keys []record.Key) {
	for _, call := range calls {
		if hint, ok := call.Hint().([]record.Key); ok && len(keys)+len(hint) <= foreseenMax {
			keys = append(keys, hint...)
		}
	}
	slices.SortFunc(keys, record.Key.Compare)
	return slices.Compact(keys)
}

// queueAhead reads records, and the chain under which the building was last written, as they
// are once the lock is taken.
func (g *group) queueAhead(b *pgx.Batch, keys []record.Key) {
	have := newHave(replica.State{})
	g.ahead, g.chains = ahead{asked: map[record.Key]bool{}, records: have.Records, touches: have.Touches}, have.Chains
	if len(keys) == 0 {
		return
	}
	for _, k := range keys {
		g.ahead.asked[k] = true
	}
	queueNeed(b, g.building, replica.Need{Keys: keys}, &have)
	query(b, func(rows pgx.Rows) error {
		c, err := scanChain(rows)
		g.chains[c.Replica] = c
		return err
	}, ownLineage, [16]byte(g.building))
}

// foreseen answers for records from what was read ahead, and reports whether it could for all.
func (g *group) foreseen(keys []record.Key, have *replica.Have) bool {
	for _, k := range keys {
		if !g.ahead.asked[k] {
			return false
		}
	}
	for _, k := range keys {
		if s, ok := g.ahead.records[k]; ok {
			have.Records[k] = s
		}
		if t := g.ahead.touches[k]; len(t) > 0 {
			have.Touches[k] = t
		}
	}
	return true
}

// remember keeps what a call saved for those that follow it.
func (g *group) remember(e replica.Effects) {
	g.rememberChains(e.Chains)
	for _, r := range e.Records {
		if g.ahead.asked[r.Key] {
			g.ahead.records[r.Key] = replica.Stored{Record: r.Record, Body: r.Body, Position: r.Position}
		}
	}
	for _, touches := range [][]replica.PhoneTouch{e.Touches, e.TouchesGone} {
		for _, t := range touches {
			delete(g.ahead.asked, t.Key)
		}
	}
}

// forget drops what was remembered: a call that failed may have changed it.
func (g *group) forget() { g.ahead, g.chains = ahead{}, nil }

// remembered answers for chains and their ancestors from what this transaction read or wrote
// before: calls that share it nearly all ask for the chain that they extend. It reports
// whether it could answer for all of them.
func (g *group) remembered(ids []record.ReplicaID, into map[record.ReplicaID]replica.Chain) bool {
	found := map[record.ReplicaID]replica.Chain{}
	for _, id := range ids {
		for !id.IsZero() {
			if _, ok := found[id]; ok {
				break
			}
			c, ok := g.chains[id]
			if !ok {
				return false
			}
			found[id] = c
			id = record.ReplicaID{}
			if c.Card != nil {
				id = c.Card.Predecessor.Replica
			}
		}
	}
	maps.Copy(into, found)
	return true
}

func (g *group) rememberChains(chains []replica.Chain) {
	if g.chains == nil {
		g.chains = map[record.ReplicaID]replica.Chain{}
	}
	for _, c := range chains {
		g.chains[c.Replica] = c
	}
}
