package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// A fleet that comes back at once brings a page for each of its buildings. By itself such a
// page costs more in round trips and statements than in rows, so those that wait at the same
// time share one transaction:
//
//	BEGIN, lock the buildings' rows, read what each page needs    one round trip
//	each page is decided, by itself
//	the rows of all, a COPY for each table                        one round trip for each
//	what else they save, COMMIT                                   one round trip
//
// A building that somebody else has locked is passed over: nobody waits for a lock while
// holding another's, so no two transactions can wait for each other. What is passed over, and
// all whose transaction broke, is done again by itself: one bad page fails no other building's.

const (
	// jointMax bounds the buildings in one transaction, and how long each of them stays locked.
	jointMax = 16
	// jointKeysMax bounds a page that goes with others; a larger one is a transaction's worth.
	jointKeysMax = 256
	// jointsBeside is how many transactions let another begin while they are written: more
	// would only make each of them smaller.
	jointsBeside = 2

	lockManyStatement = `SELECT building, boot, replica, n, head, stamp, clock_offset, position, stored,
		CASE WHEN set_config('enable_seqscan', 'off', true) || set_config('plan_cache_mode', 'force_generic_plan', true) <> '' THEN pg_current_xact_id()::text END
		FROM building_state WHERE building = ANY($1::uuid[]) FOR UPDATE SKIP LOCKED`
)

// errand is a building's call that goes with those of others.
type errand struct {
	building record.ID
	call     *groupcommit.Call[*group]
	need     replica.Need // what it reads first
	group    *group
	// done says that err is the outcome. Otherwise the call is to run by itself.
	done bool
	err  error
}

// fetched is what was read together with taking the lock.
type fetched struct {
	need replica.Need
	have replica.Have
}

// withOthers runs a batch together with those of other buildings, where it is a single small
// page that follows nothing, and reports whether that was its end.
func (s *Store) withOthers(t *turn, batch []*groupcommit.Call[*group]) (done bool, err error) {
	if len(batch) != 1 || t.of.prior.Load() != nil {
		return false, nil
	}
	need, ok := batch[0].Hint().(replica.Need)
	if !ok {
		return false, nil
	}
	e := &errand{building: t.of.building, call: batch[0], need: need}
	err = s.joints.DoFor(context.Background(), e, func(struct{}) error { return nil })
	return e.done || err != nil, errors.Join(e.err, err)
}

// lightly reports whether a building's page is small enough to go with others.
func lightly(building record.ID, n replica.Need) bool {
	return n.Check(building) == nil && len(n.Keys) <= jointKeysMax && len(n.Events) <= 4*jointKeysMax && len(n.Sums.Keys) == 0
}

// joint is one transaction of several buildings.
type joint struct {
	store *Store
	conn  *pgx.Conn
	ctx   context.Context //nolint:containedctx // the transaction's own deadline, not a caller's
	all   []*errand
}

// together runs one batch of errands. What it cannot do is left to each errand's building.
func (s *Store) together(calls []*groupcommit.Call[struct{}], handOn func()) error {
	ctx, cancel := context.WithTimeout(context.Background(), updateTimeout)
	defer cancel()
	under := s.underWay.Add(1)
	defer s.underWay.Add(-1)
	j := &joint{store: s, ctx: ctx}
	for _, c := range calls {
		if e, ok := c.Hint().(*errand); ok {
			j.all = append(j.all, e)
		}
	}
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil // each finds out by itself
	}
	defer c.Release() // a connection inside a transaction is closed by the pool
	j.conn = c.Conn()
	if err := j.begin(); err != nil || !j.decide() {
		j.giveUp()
		return nil // as above
	}
	if under <= jointsBeside {
		handOn() // the next buildings are others
	}
	j.commit()
	return nil
}

// begin locks the buildings that nobody else has locked, and reads what their calls need.
func (j *joint) begin() error {
	locked := map[record.ID]*group{}
	b := &pgx.Batch{}
	b.Queue(beginStatement)
	ids := make([]record.ID, len(j.all))
	for i, e := range j.all {
		ids[i] = e.building
	}
	query(b, func(rows pgx.Rows) error {
		g := &group{store: j.store, conn: j.conn, ctx: j.ctx}
		err := scanLocked(rows, g)
		locked[g.building] = g
		return err
	}, lockManyStatement, uuids(ids))
	read := make([]*fetched, len(j.all))
	for i, e := range j.all {
		read[i] = &fetched{need: e.need, have: newHave(replica.State{})}
		queueNeed(b, e.building, e.need, &read[i].have)
		query(b, func(rows pgx.Rows) error {
			c, err := scanChain(rows)
			read[i].have.Chains[c.Replica] = c
			return err
		}, ownLineage, [16]byte(e.building))
	}
	if err := j.conn.SendBatch(j.ctx, b).Close(); err != nil {
		return fmt.Errorf("lock %d buildings: %w", len(j.all), err)
	}
	for i, e := range j.all {
		if e.group = locked[e.building]; e.group != nil {
			e.group.first = read[i]
		}
	}
	return nil
}

// decide runs the calls and reports whether the transaction can go on.
func (j *joint) decide() bool {
	for _, e := range j.all {
		g := e.group
		if g == nil {
			continue
		}
		err := e.call.Try(g)
		if g.aborted || err != nil && g.sent {
			return false
		}
		if e.done = true; err != nil {
			e.group = nil // the call has its error, and nothing of it was sent
		}
	}
	return true
}

// giveUp has every call run by itself, as if it had not run at all.
func (j *joint) giveUp() {
	_, _ = j.conn.Exec(j.ctx, "ROLLBACK") // where that fails the pool drops the connection, which does the same
	for _, e := range j.all {
		e.call.Fail(nil)
		e.done, e.err = false, nil
	}
}

func (j *joint) commit() {
	statements, err := j.statements()
	if err == nil {
		b := &pgx.Batch{}
		b.Queue("COMMIT")
		err = (&group{store: j.store, conn: j.conn, ctx: j.ctx}).run(statements, b)
	}
	var refused *pgconn.PgError
	switch {
	case err == nil:
	case errors.As(err, &refused) && !j.conn.IsClosed():
		j.giveUp()
		return
	default:
		j.unsure(err)
	}
	for _, e := range j.all {
		if e.group != nil {
			e.group.tell() // after an unknown end, as far as anybody knows
		}
	}
}

// unsure finds out what became of a commit that was not answered.
func (j *joint) unsure(cause error) {
	asked := false
	for _, e := range j.all {
		if e.group == nil {
			continue
		}
		if e.group.unled = true; !asked {
			cause, asked = j.store.outcome(e.group.xid, e.group.Boot(), cause), true
		}
		e.err = cause
	}
}

// statements are those that save what the calls decided: new rows of all buildings by one
// COPY for each table, the others building by building.
func (j *joint) statements() ([]statement, error) {
	fresh := j.takeNew()
	out := fresh.statements(j.store.tables)
	for _, e := range j.all {
		if e.group == nil {
			continue
		}
		own, err := e.group.statements(e.group.waiting)
		if err != nil {
			return nil, err
		}
		out = append(out, own...)
	}
	return out, nil
}

// freshRows are new rows of several buildings.
type freshRows struct {
	records []replica.RecordRow
	events  []freshEvent
}

type freshEvent struct {
	building record.ID
	row      *replica.EventRow
}

// takeNew takes the new rows out of what the calls decided, if they are enough to be copied.
func (j *joint) takeNew() (out freshRows) {
	all := map[record.ID]*replica.Effects{}
	records, events := 0, 0
	for _, e := range j.all {
		if e.group == nil || len(e.group.waiting) != 1 { // of several, the order counts
			continue
		}
		own := &e.group.waiting[0]
		own.Records, own.Events = recordsOnce(own.Records), eventsOnce(own.Events)
		records, events = records+len(own.Records), events+len(own.Events)
		all[e.building] = own
	}
	if records+events < copyRowsMin {
		return out
	}
	out.records, out.events = make([]replica.RecordRow, 0, records), make([]freshEvent, 0, events)
	for building, own := range all {
		var left []replica.RecordRow
		for i := range own.Records {
			if r := &own.Records[i]; r.New {
				out.records = append(out.records, *r)
			} else {
				left = append(left, *r)
			}
		}
		var old []replica.EventRow
		for i := range own.Events {
			if r := &own.Events[i]; r.New {
				out.events = append(out.events, freshEvent{building, r})
			} else {
				old = append(old, *r)
			}
		}
		own.Records, own.Events = left, old
	}
	return out
}

func (f freshRows) statements(tables map[string]tableText) (out []statement) {
	if len(f.records) > 0 {
		out = append(out, copyRecordRows(f.records))
		for _, of := range byKind(f.records) {
			if table, ok := tables[of[0].Key.Kind]; ok {
				out = append(out, table.copyRows(of))
			}
		}
	}
	if len(f.events) > 0 {
		out = append(out, statement{text: copyEvents, copied: &copied{rows: len(f.events), row: func(b []byte, i int) []byte {
			return appendEvent(b, f.events[i].building, f.events[i].row)
		}}})
	}
	return out
}

// fetched answers the first read from what was read with taking the lock.
func (g *group) fetched(need replica.Need) (replica.Have, bool) {
	f := g.first
	if f == nil || len(g.waiting) > 0 || !sameNeed(f.need, need) {
		return replica.Have{}, false
	}
	g.first = nil // its maps are the caller's now
	f.have.State = g.state
	g.rememberChains(slices.Collect(maps.Values(f.have.Chains)))
	return f.have, true
}

func sameNeed(a, b replica.Need) bool {
	return a.Peer == b.Peer && a.AllChains == b.AllChains && a.Quarantine == b.Quarantine && slices.Equal(a.Keys, b.Keys) && slices.Equal(a.Chains, b.Chains) && slices.Equal(a.Events, b.Events) &&
		slices.Equal(a.Waiting, b.Waiting) && slices.Equal(a.Unsettled, b.Unsettled) && slices.Equal(a.HeldBack, b.HeldBack) &&
		len(a.Sums.Keys)+len(b.Sums.Keys) == 0
}
