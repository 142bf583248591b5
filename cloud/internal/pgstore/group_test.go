package pgstore

import (
	"context"
	"sync"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

func TestGroupedWriters(t *testing.T) {
	t.Parallel()
	storetest.RunGrouped(t, openTest(t, pgtest.Database(t)))
}

// queued is a context that tells when a caller of Update waits for its turn.
type queued struct {
	context.Context
	once    sync.Once
	waiting chan struct{}
}

func (q *queued) Done() <-chan struct{} {
	q.once.Do(func() { close(q.waiting) })
	return q.Context.Done()
}

// together runs writers in one transaction, in their order.
func together(t *testing.T, s *Store, building record.ID, writers ...func(replica.Tx) error) {
	t.Helper()
	var wg sync.WaitGroup
	defer wg.Wait()
	run, lead := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		if err := s.Update(t.Context(), building, func(replica.Tx) error { close(lead); <-run; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-lead
	for _, fn := range writers {
		q := &queued{Context: t.Context(), waiting: make(chan struct{})}
		wg.Go(func() {
			if err := s.Update(q, building, fn); err != nil {
				t.Error(err)
			}
		})
		<-q.waiting
	}
	close(run)
}

// What writers who share a commit save is one statement for each table. PostgreSQL numbers
// the commands of a transaction, and a row tells which one made it.
func TestOneStatementForAGroup(t *testing.T) {
	t.Parallel()
	const writers = 12
	s := openTest(t, pgtest.Database(t))
	building, author := record.DerivedID("b"), record.DerivedID("author")
	shared := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("shared")}
	var fns []func(replica.Tx) error
	for n := range uint64(writers) {
		fns = append(fns, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			own := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("t", string(rune('a'+n)))}
			e.Events = []replica.EventRow{{Replica: author, N: n + 1, Body: []byte("event"), Position: e.State.Position + 1}}
			e.Records = []replica.RecordRow{storetest.Row(own, e.State.Position+2, storetest.MakeRecord(author, n+1, "own")),
				storetest.Row(shared, e.State.Position+3, storetest.MakeRecord(author, n+1, "shared"))}
			e.Chains = []replica.Chain{{Replica: author, Held: n + 1}}
			e.State.Position += 3
			return tx.Save(t.Context(), e)
		})
	}
	together(t, s, building, fns...)
	for table, rows := range map[string]int{"record": writers + 1, "ticket": writers + 1, "event": writers, "chain": 1} {
		var got, commands, transactions int
		err := s.Pool().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT cmin::text), count(DISTINCT xmin::text) FROM "+quote(table)+" WHERE building = $1",
			[16]byte(building)).Scan(&got, &commands, &transactions)
		if err != nil {
			t.Fatal(err)
		}
		if got != rows || commands != 1 || transactions != 1 {
			t.Errorf("%s: %d rows of %d commands and %d transactions, want %d of one", table, got, commands, transactions, rows)
		}
	}
	have, err := s.Load(t.Context(), building, replica.Need{Keys: []record.Key{shared}, Chains: []record.ReplicaID{author}})
	if err != nil {
		t.Fatal(err)
	}
	if have.State.Position != 3*writers || have.Records[shared].Position != 3*writers || have.Chains[author].Held != writers {
		t.Errorf("state %+v, the shared record at %d, its author's chain at %d: want what the last writer saved",
			have.State, have.Records[shared].Position, have.Chains[author].Held)
	}
}
