package replica_test

import (
	"context"
	"sync/atomic"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// pooled is a store whose transactions hold a connection: inside one, nobody may wait for
// another connection, as the node's Boot would.
type pooled struct {
	replica.Store
	boot   record.ID
	inside atomic.Int64
}

type pooledTx struct {
	replica.Tx
	boot record.ID
}

func (t pooledTx) Boot() record.ID { return t.boot }

func (p *pooled) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	return p.Store.Update(ctx, building, func(tx replica.Tx) error {
		p.inside.Add(1)
		defer p.inside.Add(-1)
		return fn(pooledTx{tx, p.boot})
	})
}

// A cloud process with as many buildings at once as its pool has connections stood still
// until its deadlines, again and again: each transaction asked for one more connection, to
// read the run of the store that it knew itself. Cites SPEC R12.
func TestNoSecondConnectionInATransaction(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	store := &pooled{Store: cloud.Store, boot: cloud.Boot()}
	cloud.Store = store
	cloud.Boot = func() record.ID {
		if store.inside.Load() > 0 {
			t.Error("the node asks for the store's run inside a transaction")
		}
		return store.boot
	}
	cloud.write(ticket(1), text("note", "cloud"))
	edge.write(ticket(2), text("note", "edge"))
	edge.sync(cloud)
	want(t, "edge's", values(cloud.record(ticket(2)), "note"), []string{"edge"})
	want(t, "cloud's", values(edge.record(ticket(1)), "note"), []string{"cloud"})
}
