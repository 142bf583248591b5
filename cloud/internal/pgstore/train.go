package pgstore

import (
	"time"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
	"estate/sync/replica"
)

// A transaction's rows take the server tens of milliseconds, its commit one. So the rows of the
// next ones are written meanwhile, each on a connection of its own and without the building's
// lock, and only what makes them count comes in order:
//
//	k    lock ─ read ─ decide ─ rows ────────── chains, cursor, state ─ commit
//	k+1                read ─ decide ─ rows ────────────────────────────────── lock ─ chains, cursor, state ─ commit
//	k+2                                read ─ decide ─ rows ─────────────────────────────────────────────────── lock …
//
// Why nobody can tell the difference, whatever other writers, other processes and the server do:
//
//  1. Whoever commits holds the lock on the building's row. k+1 takes it after the answer to
//     k's commit, and goes on only if the row is the very version that k wrote (xmin) with the
//     position that k promised. Every transaction that changes a building writes that row, so
//     nothing was committed between k and k+1: what k+1 was decided on is what is there, and
//     its positions, its numbers, the head of its chain and the boot follow k's. Otherwise all
//     of it is rolled back and decided again under the lock.
//  2. Positions become visible in their order, as a reader of the feed needs: k+1 commits after
//     k did. A row that is not committed nobody sees, be it written early or late.
//  3. The rows that are written early are records, events and rows of kinds, under keys that no
//     transaction under way can write: a row that is new was read as absent with all that is
//     promised laid over it, one that is not is looked for among what is promised, and all
//     positions lie behind those promised. So k never waits for k+1. Rows that all share
//     (chain, cursor, state) are written under the lock.
//  4. A transaction without the lock never waits for the lock (SKIP LOCKED), and for a row or a
//     table only for rowTimeout. Another process that came in between, holds the lock and
//     waits for a row of k+1, for its position, say, goes on as soon as k+1 has found the lock
//     taken. Should the server still see a deadlock in that time, who is ended by it tries again.
//  5. If k fails, or nobody knows, its promise is broken before it is tried again: k+1 and all
//     that rest on it roll back and make room. If k's answer was lost and its commit is found
//     to be there, xmin says so, too; the numbers of transactions that the server's crash gives
//     out anew belong to another run, which ends every connection. A k+1 whose connection is
//     lost has committed nothing or is asked about by its number, as any other.
//  6. What is kept in memory learns of k before k+1 may commit: probes and watchers are told
//     in the order of positions.
//
// Rows are not held for longer than rowsKept: who changes a table may wait for them and have k
// wait behind itself, and neither the server nor k knows that they wait for each other.

const (
	// rowTimeout ends a wait for a row or table while the building is not locked. It must be
	// well below the server's deadlock_timeout (one second), see above.
	rowTimeout = "200ms"
	// rowsKept is how long rows are held that were written before the lock could be taken.
	rowsKept = 5 * time.Second
	// waryFor is how many transactions take the lock first after another process came in
	// between: who shares a building writes more than once.
	waryFor = 16
)

// writeRows sends the records and events that wait before the lock is taken, where that is
// safe, and promises what the transaction leaves behind.
func (g *group) writeRows(t *turn) error {
	if g.prior == nil || !g.ownRows() {
		return nil
	}
	if t.of.wary.Load() > 0 {
		t.of.wary.Add(-1)
		return nil
	}
	statements, err := g.statements(g.waiting)
	if err != nil {
		return err
	}
	var rows []statement
	for _, s := range statements {
		if s.rows {
			rows = append(rows, s)
		} else {
			g.late = append(g.late, s)
		}
	}
	t.promise(g)
	g.apart = true
	return g.run(rows, &pgx.Batch{})
}

// ownRows reports whether the rows that wait are none that a transaction under way can write.
func (g *group) ownRows() bool {
	if g.wrote || !followable(g.waiting) {
		return false
	}
	last := g.prior.state.Position
	for _, e := range g.waiting {
		for i := range e.Records {
			if r := &e.Records[i]; r.Position <= last || !r.New && g.underWay(r.Key) {
				return false
			}
		}
		for i := range e.Events {
			if r := &e.Events[i]; r.Position <= last || !r.New {
				return false
			}
		}
	}
	return true
}

// underWay reports whether a transaction of the line writes a record.
func (g *group) underWay(k record.Key) bool {
	for _, p := range g.line {
		if p.keys()[k] {
			return true
		}
	}
	return false
}

func keysOf(effects []replica.Effects) map[record.Key]bool {
	keys := map[record.Key]bool{}
	for _, e := range effects {
		for i := range e.Records {
			keys[e.Records[i].Key] = true
		}
	}
	return keys
}
