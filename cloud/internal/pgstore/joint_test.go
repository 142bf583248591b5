package pgstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
	"estate/sync/wire"
)

// paging is a store whose every write is a small page's, which goes with those of others.
type paging struct{ *Store }

func (p paging) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	return p.update(ctx, building, replica.Need{Peer: followPeer}, fn)
}

func TestConformanceOfJoinedPages(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) replica.Store { return paging{openTest(t, pgtest.Database(t))} })
}

// jointPage is a page of a building as a returning edge brings it.
type jointPage struct {
	building record.ID
	// spoil changes what is saved.
	spoil func(*replica.Effects) error
	ended chan error
}

func (p *jointPage) send(ctx context.Context, s *Store, before func()) {
	need := pageNeed(p.building, 0, jointPageRows)
	need.Chains, need.Waiting, need.Peer, need.Quarantine = []record.ReplicaID{p.building}, []record.ReplicaID{p.building}, followPeer, 10
	p.ended <- s.UpdateFor(ctx, p.building, need, func(tx replica.Tx) error {
		have, err := tx.Load(ctx, need)
		if err != nil {
			return err
		}
		before()
		e := replica.Effects{State: have.State, Cursor: &replica.PeerCursor{Peer: followPeer, Cursor: wire.Cursor{Position: 1}},
			Chains: []replica.Chain{{Replica: p.building, Held: jointPageRows}}}
		addTickets(&e, p.building, 0, jointPageRows, "new")
		for i := range e.Records {
			e.Records[i].New, e.Events[i].New = true, true
		}
		if p.spoil != nil {
			if err := p.spoil(&e); err != nil {
				return err
			}
		}
		return tx.Save(ctx, e)
	})
}

const jointPageRows = 40

// touchBuilding writes to a building: one that has no row yet is written to by itself.
func touchBuilding(t *testing.T, s *Store, building record.ID) {
	t.Helper()
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		return tx.Save(t.Context(), replica.Effects{State: replica.State{Building: building, Position: 1}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// jointly has a first building's page wait for the others, which so come together.
func jointly(t *testing.T, s *Store, others ...*jointPage) {
	t.Helper()
	first := &jointPage{building: record.DerivedID("b", "first"), ended: make(chan error, 1)}
	for _, p := range append([]*jointPage{first}, others...) {
		touchBuilding(t, s, p.building)
	}
	leads, run := make(chan struct{}), make(chan struct{})
	var once sync.Once
	go first.send(t.Context(), s, func() { once.Do(func() { close(leads) }); <-run })
	<-leads
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i, p := range others {
		p.ended = make(chan error, 1)
		go p.send(t.Context(), s, func() {})
		for s.joints.Waiting() <= i {
			<-tick.C
		}
	}
	close(run)
	if err := <-first.ended; err != nil {
		t.Fatal(err)
	}
}

func pagesOf(names ...string) (out []*jointPage) {
	for _, n := range names {
		out = append(out, &jointPage{building: record.DerivedID("b", n)})
	}
	return out
}

// written is by how many transactions and commands the rows of some buildings were written.
func written(t *testing.T, s *Store, table string, pages ...*jointPage) (rows, commands, transactions int) {
	t.Helper()
	var ids []record.ID
	for _, p := range pages {
		ids = append(ids, p.building)
	}
	err := s.Pool().QueryRow(t.Context(), "SELECT count(*), count(DISTINCT cmin::text), count(DISTINCT xmin::text) FROM "+quote(table)+" WHERE building = ANY($1)",
		uuids(ids)).Scan(&rows, &commands, &transactions)
	if err != nil {
		t.Fatal(err)
	}
	return rows, commands, transactions
}

// Small pages of several buildings that come at once are one transaction, and one COPY for
// each table.
func TestBuildingsShareATransaction(t *testing.T) {
	t.Parallel()
	s, pages := openTest(t, pgtest.Database(t)), pagesOf("1", "2", "3", "4")
	jointly(t, s, pages...)
	for _, p := range pages {
		if err := <-p.ended; err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"record", "ticket", "event"} {
		if rows, commands, transactions := written(t, s, table, pages...); rows != len(pages)*jointPageRows || commands != 1 || transactions != 1 {
			t.Errorf("%s: %d rows of %d commands and %d transactions, want %d of one", table, rows, commands, transactions, len(pages)*jointPageRows)
		}
	}
	for _, p := range pages {
		have, err := s.Load(t.Context(), p.building, replica.Need{Chains: []record.ReplicaID{p.building}, Peer: followPeer})
		if err != nil || have.State.Position != 1+2*jointPageRows || have.Chains[p.building].Held != jointPageRows || have.Cursor.Position != 1 {
			t.Errorf("state %+v, chain %+v, cursor %+v, %v", have.State, have.Chains, have.Cursor, err)
		}
	}
}

var errOwn = errors.New("this page's own")

// A page that fails by itself, and one that the database refuses, fail no other building's.
func TestBadPageFailsNoOtherBuilding(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*replica.Effects) error
		want  error
	}{
		"decision": {func(*replica.Effects) error { return errOwn }, errOwn},
		"row": {func(e *replica.Effects) error {
			e.Records[3] = storetest.Row(e.Records[3].Key, e.Records[3].Position, storetest.MakeRecord(e.Records[3].Key.Building, 4, "no text of PostgreSQL's: \x00"))
			e.Records[3].New = true
			return nil
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, pages := openTest(t, pgtest.Database(t)), pagesOf("1", "2", "3")
			pages[1].spoil = c.spoil
			jointly(t, s, pages...)
			for i, p := range pages {
				if err := <-p.ended; (i == 1) != (err != nil) || i == 1 && c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("page %d: %v", i, err)
				}
			}
			if rows, _, _ := written(t, s, "record", pages...); rows != 2*jointPageRows {
				t.Errorf("%d records, want those of two pages", rows)
			}
			if rows, _, _ := written(t, s, "record", pages[1]); rows != 0 {
				t.Errorf("%d records of the bad page", rows)
			}
		})
	}
}

// A building that another process has locked waits by itself, and holds up no other.
func TestLockedBuildingIsPassedOver(t *testing.T) {
	t.Parallel()
	s, pages := openTest(t, pgtest.Database(t)), pagesOf("1", "2", "3")
	for _, p := range pages {
		touchBuilding(t, s, p.building)
	}
	other, err := pgx.Connect(t.Context(), s.Pool().Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	held, err := other.Begin(t.Context())
	if err == nil {
		_, err = held.Exec(t.Context(), `SELECT FROM building_state WHERE building = $1 FOR UPDATE`, [16]byte(pages[1].building))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2, 1} {
		pages[i].ended = make(chan error, 1)
		go pages[i].send(t.Context(), s, func() {})
	}
	for _, i := range []int{0, 2} {
		if err := <-pages[i].ended; err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-pages[1].ended:
		t.Errorf("the locked building's page ended: %v", err)
	default:
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-pages[1].ended; err != nil {
		t.Error(err)
	}
}
