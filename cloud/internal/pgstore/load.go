package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Load. Each list of keys is joined LATERAL behind a fence (OFFSET 0): the
// planner must look every key up in the primary key, whatever it believes of the table. A
// list that small reads send stands in a sub-select: a planner that sees how few keys there
// are takes the plan that it made for any number for dearer, and plans anew each time, which
// costs more than the look-up.
const (
	snapshotStatement = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`
	// selectState is asked first and has those that follow planned once on a connection: a page
	// of a hundred records, as each of a fleet brings, would else cost more to plan than to look
	// up. (Lists that people ask for have conditions that only a plan of their own can drop.)
	selectState = `SELECT boot, replica, n, head, stamp, clock_offset, position, stored,
		left(set_config('plan_cache_mode', 'force_generic_plan', true), 0) FROM building_state WHERE building = $1`
	selectRecords = `SELECT k.kind, k.id, r.position, r.body FROM unnest((SELECT $2::text[]), (SELECT $3::uuid[])) AS k (kind, id), LATERAL
		(SELECT position, body FROM record WHERE building = $1 AND kind = k.kind AND id = k.id OFFSET 0) r`
	selectTouches = `SELECT k.kind, k.id, t.field, t.replica, t.n, t.covered, t.refused FROM unnest((SELECT $2::text[]), (SELECT $3::uuid[])) AS k (kind, id), LATERAL
		(SELECT field, replica, n, covered, refused FROM phone_touch WHERE building = $1 AND kind = k.kind AND id = k.id OFFSET 0) t
		WHERE EXISTS (SELECT FROM phone_touch WHERE building = $1) ORDER BY k.kind, k.id, t.field COLLATE "C", t.replica, t.n`
	chainColumns = `c.replica, c.card, c.held, c.hash, c.signed, c.receipted, c.receipt, c.fork, c.cut, c.proof`
	selectChains = `SELECT ` + chainColumns + ` FROM chain c WHERE c.building = $1 ORDER BY c.replica`
	lineage      = `WITH RECURSIVE line (replica) AS (SELECT unnest($2::uuid[])
		UNION SELECT c.predecessor FROM line JOIN chain c ON c.building = $1 AND c.replica = line.replica WHERE c.predecessor IS NOT NULL)
		SELECT ` + chainColumns + ` FROM line JOIN chain c ON c.building = $1 AND c.replica = line.replica`
	// ownLineage is that of the replica under which the building was last written.
	ownLineage = `WITH RECURSIVE line (replica) AS (SELECT replica FROM building_state WHERE building = $1
		UNION SELECT c.predecessor FROM line JOIN chain c ON c.building = $1 AND c.replica = line.replica WHERE c.predecessor IS NOT NULL)
		SELECT ` + chainColumns + ` FROM line JOIN chain c ON c.building = $1 AND c.replica = line.replica`
	eventColumns  = `e.replica, e.n, e.hash, e.body, e.details, e.position`
	selectEvents  = `SELECT ` + eventColumns + ` FROM event e WHERE e.building = $1 AND e.replica = $2 AND e.n BETWEEN $3 AND $4 ORDER BY e.n LIMIT $5`
	selectWaiting = `SELECT e.replica, e.n, e.hash, e.body, e.details, e.position FROM unnest($2::uuid[]) AS k (replica), LATERAL
		(SELECT * FROM event WHERE building = $1 AND replica = k.replica
		AND n > coalesce((SELECT held FROM chain WHERE building = $1 AND replica = k.replica), 0) OFFSET 0) e ORDER BY e.replica, e.n`
	selectUnsettled = `SELECT k.replica, t.n FROM unnest($2::uuid[]) AS k (replica), LATERAL
		(SELECT n FROM phone_touch WHERE building = $1 AND replica = k.replica AND NOT covered AND NOT refused ORDER BY n LIMIT 1) t`
	selectCursor   = `SELECT generation, view, position FROM peer_cursor WHERE building = $1 AND peer = $2`
	selectHeldBack = `SELECT kind, id, theirs, code, detail, since, body FROM quarantine WHERE building = $1 AND peer = $2
		ORDER BY theirs, since, kind COLLATE "C", id LIMIT $3`
	selectHeldBackOf = `SELECT q.kind, q.id, q.theirs, q.code, q.detail, q.since, q.body FROM unnest($3::text[], $4::uuid[]) AS k (kind, id)
		JOIN quarantine q ON q.building = $1 AND q.peer = $2 AND NOT q.theirs AND q.kind = k.kind AND q.id = k.id
		WHERE (SELECT count(*) FROM (SELECT FROM quarantine WHERE building = $1 AND peer = $2 LIMIT $5) listed) >= $5`
	selectBranches = `SELECT replica, n, hash, body, details, 0::bigint FROM branch_event
		WHERE building = $1 AND (replica, n, hash) > ($2, $3, $4) ORDER BY replica, n, hash LIMIT $5`
	selectBuildings = `SELECT building FROM building_state WHERE stored ORDER BY building`
)

// Load implements replica.Store.
func (s *Store) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	if err := need.Check(building); err != nil {
		return newHave(replica.State{Building: building}), err
	}
	if gathered(need) {
		return s.loadFew(ctx, building, need.Keys)
	}
	if greets(need) {
		return s.loadGreeting(ctx, building, need)
	}
	return s.load(ctx, building, need)
}

// load reads in a snapshot of its own.
func (s *Store) load(ctx context.Context, building record.ID, need replica.Need) (have replica.Have, err error) {
	b := &pgx.Batch{}
	queueLoad(b, building, need, &have)
	return have, s.snapshot(ctx, "load", b)
}

func queueLoad(b *pgx.Batch, building record.ID, need replica.Need, have *replica.Have) {
	*have = newHave(replica.State{Building: building})
	queueState(b, building, &have.State)
	queueNeed(b, building, need, have)
}

// Load implements replica.Tx. The state needs no query: the lock keeps it.
func (g *group) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	have := newHave(g.state)
	if err := ctx.Err(); err != nil {
		return have, fmt.Errorf("%w: load: %w", replica.ErrBusy, err)
	}
	if err := need.Check(g.building); err != nil {
		return have, err
	}
	if first, ok := g.fetched(need); ok {
		return first, nil
	}
	asked := need
	if g.remembered(need.Chains, have.Chains) {
		need.Chains = nil
	}
	if g.foreseen(need.Keys, &have) {
		need.Keys = nil
	}
	if len(need.Sums.Keys) > 0 {
		if err := g.settle(); err != nil {
			return have, err // nothing is laid over digests
		}
	}
	b := &pgx.Batch{}
	queueNeed(b, g.building, need, &have)
	if b.Len() == 0 {
		return have, nil
	}
	if err := g.send(b); err != nil {
		return have, fmt.Errorf("load: %w", translate(err))
	}
	for _, p := range g.line {
		p.lay(need, &have)
	}
	if len(asked.Chains) > 0 {
		g.rememberChains(slices.Collect(maps.Values(have.Chains)))
	}
	return have, nil
}

// snapshot runs a batch of queries in one snapshot and one round trip. A single statement has
// its own: it needs no transaction around it.
func (s *Store) snapshot(ctx context.Context, what string, queries *pgx.Batch) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.readTimeout)
	defer cancel()
	b := queries
	if queries.Len() > 1 {
		b = &pgx.Batch{}
		b.Queue(snapshotStatement)
		b.QueuedQueries = append(b.QueuedQueries, queries.QueuedQueries...)
		b.Queue("COMMIT")
	}
	free, leave := context.WithTimeout(ctx, s.readTimeout) // readers who share a read bring no deadline
	defer leave()
	c, err := s.pool.Acquire(free)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrBusy, what, err)
	}
	defer c.Release()
	if err := c.SendBatch(deadline, b).Close(); err != nil {
		return fmt.Errorf("%s: %w", what, translate(err))
	}
	return nil
}

func newHave(state replica.State) replica.Have {
	return replica.Have{State: state,
		Records: map[record.Key]replica.Stored{}, Touches: map[record.Key][]replica.PhoneTouch{},
		Chains: map[record.ReplicaID]replica.Chain{}, Events: map[record.Dot]record.Hash{},
		Waiting: map[record.ReplicaID][]replica.EventRow{}, Unsettled: map[record.ReplicaID]uint64{}, Sums: map[record.Key]replica.SumRow{},
		Erased: map[record.Dot]record.Dot{},
	}
}

func queueState(b *pgx.Batch, building record.ID, into *replica.State) {
	query(b, func(rows pgx.Rows) error {
		var stored bool
		var xid string
		return scanState(rows, into, &stored, &xid)
	}, selectState, [16]byte(building))
}

// queueNeed queues a query for each part of a need that is not empty.
func queueNeed(b *pgx.Batch, building record.ID, need replica.Need, have *replica.Have) {
	of := [16]byte(building)
	if len(need.Keys) > 0 {
		queueKeys(b, of, need.Keys, func(rows pgx.Rows) error { return scanRecord(rows, building, have.Records) })
		kinds, ids := columns(need.Keys)
		query(b, func(rows pgx.Rows) error { return scanTouch(rows, building, have.Touches) }, selectTouches, of, kinds, ids)
	}
	if len(need.Sums.Keys) > 0 {
		kinds, ids := columns(need.Sums.Keys)
		query(b, func(rows pgx.Rows) error { return scanSum(rows, building, need.Sums.Salt, have.Sums) }, selectRecords, of, kinds, ids)
	}
	chain := func(rows pgx.Rows) error {
		c, err := scanChain(rows)
		have.Chains[c.Replica] = c
		return err
	}
	switch {
	case need.AllChains:
		query(b, chain, selectChains, of)
	case len(need.Chains) > 0:
		query(b, chain, lineage, of, uuids(need.Chains))
	}
	if len(need.Events) > 0 {
		ids, first, last := ranges(need.Events)
		query(b, func(rows pgx.Rows) error {
			var dot record.Dot
			var hash []byte
			err := rows.Scan((*[16]byte)(&dot.Replica), (*int64bits)(&dot.N), &hash)
			have.Events[dot] = toHash(hash)
			return err
		}, selectHashes, of, uuids(ids), first, last)
		query(b, func(rows pgx.Rows) error {
			var dot, by record.Dot
			err := rows.Scan((*[16]byte)(&dot.Replica), (*int64bits)(&dot.N), (*[16]byte)(&by.Replica), (*int64bits)(&by.N))
			have.Erased[dot] = by
			return err
		}, selectErasures, of, uuids(ids), first, last)
	}
	if len(need.Waiting) > 0 {
		query(b, func(rows pgx.Rows) error {
			e, err := scanEvent(rows)
			have.Waiting[e.Replica] = append(have.Waiting[e.Replica], e)
			return err
		}, selectWaiting, of, uuids(need.Waiting))
	}
	if len(need.Unsettled) > 0 {
		query(b, func(rows pgx.Rows) error {
			var dot record.Dot
			err := rows.Scan((*[16]byte)(&dot.Replica), (*int64bits)(&dot.N))
			have.Unsettled[dot.Replica] = dot.N
			return err
		}, selectUnsettled, of, uuids(need.Unsettled))
	}
	if !need.Peer.IsZero() {
		queuePeer(b, building, need, have)
	}
}

func dotColumns(dots []record.Dot) ([]record.ID, []int64) {
	ids, numbers := make([]record.ID, len(dots)), make([]int64, len(dots))
	for i, d := range dots {
		ids[i], numbers[i] = d.Replica, bits(d.N)
	}
	return ids, numbers
}

// columns are the kinds and ids of keys, side by side.
func columns(keys []record.Key) (kinds []string, ids uuidsOf) {
	kinds = make([]string, len(keys))
	for i := range keys {
		kinds[i] = keys[i].Kind
	}
	return kinds, keys
}

func queuePeer(b *pgx.Batch, building record.ID, need replica.Need, have *replica.Have) {
	query(b, func(rows pgx.Rows) error {
		var view []byte
		c := &have.Cursor
		err := rows.Scan((*[16]byte)(&c.Generation), &view, (*int64bits)(&c.Position))
		c.View = toHash(view)
		return err
	}, selectCursor, [16]byte(building), [16]byte(need.Peer))
	if need.Quarantine <= 0 {
		return
	}
	seen := map[record.Key]bool{}
	add := func(rows pgx.Rows) error {
		q := replica.QuarantineRow{Key: record.Key{Building: building}, Peer: need.Peer}
		err := rows.Scan(&q.Key.Kind, (*[16]byte)(&q.Key.ID), &q.Theirs, &q.Code, &q.Detail, &q.Since, &q.Body)
		if q.Theirs || !seen[q.Key] {
			have.Quarantine = append(have.Quarantine, q)
		}
		seen[q.Key] = seen[q.Key] || !q.Theirs
		return err
	}
	query(b, add, selectHeldBack, [16]byte(building), [16]byte(need.Peer), need.Quarantine)
	if len(need.HeldBack) > 0 {
		kinds, ids := make([]string, len(need.HeldBack)), make([]record.ID, len(need.HeldBack))
		for i, k := range need.HeldBack {
			kinds[i], ids[i] = k.Kind, k.ID
		}
		query(b, add, selectHeldBackOf, [16]byte(building), [16]byte(need.Peer), kinds, uuids(ids), need.Quarantine)
	}
}

// query queues a query whose every row goes to scan.
func query(b *pgx.Batch, scan func(pgx.Rows) error, text string, args ...any) {
	b.Queue(text, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func scanState(rows pgx.Rows, s *replica.State, stored *bool, xid *string) error {
	var head []byte
	err := rows.Scan((*[16]byte)(&s.Boot), (*[16]byte)(&s.Replica), (*int64bits)(&s.N), &head, (*int64bits)(&s.Stamp), &s.ClockOffset, (*int64bits)(&s.Position), stored, xid)
	s.Head = toHash(head)
	return err
}

// scanLocked reads the state of a group's building, which comes first.
func scanLocked(rows pgx.Rows, g *group) error {
	var head []byte
	s := &g.state
	err := rows.Scan((*[16]byte)(&s.Building), (*[16]byte)(&s.Boot), (*[16]byte)(&s.Replica), (*int64bits)(&s.N), &head, (*int64bits)(&s.Stamp), &s.ClockOffset, (*int64bits)(&s.Position), &g.stored, &g.xid)
	s.Head, g.building = toHash(head), s.Building
	return err
}

func scanRecord(rows pgx.Rows, building record.ID, into map[record.Key]replica.Stored) error {
	key := record.Key{Building: building}
	var stored replica.Stored
	if err := rows.Scan(&key.Kind, (*[16]byte)(&key.ID), (*int64bits)(&stored.Position), &stored.Body); err != nil {
		return err
	}
	var err error
	if stored.Record, err = record.Decode(stored.Body); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, key, err)
	}
	into[key] = stored
	return nil
}

// scanSum adds a record up while it passes: nothing of it is kept or decoded.
func scanSum(rows pgx.Rows, building record.ID, salt []byte, into map[record.Key]replica.SumRow) error {
	key := record.Key{Building: building}
	var row replica.SumRow
	var body pgtype.DriverBytes // valid until the next row
	if err := rows.Scan(&key.Kind, (*[16]byte)(&key.ID), (*int64bits)(&row.Position), &body); err != nil {
		return err
	}
	row.Sum = replica.SumRecord(salt, key, body)
	into[key] = row
	return nil
}

func scanTouch(rows pgx.Rows, building record.ID, into map[record.Key][]replica.PhoneTouch) error {
	t := replica.PhoneTouch{Key: record.Key{Building: building}}
	err := rows.Scan(&t.Key.Kind, (*[16]byte)(&t.Key.ID), &t.Field, (*[16]byte)(&t.Dot.Replica), (*int64bits)(&t.Dot.N), &t.Covered, &t.Refused)
	into[t.Key] = append(into[t.Key], t)
	return err
}

func scanEvent(rows pgx.Rows) (replica.EventRow, error) {
	var e replica.EventRow
	var hash []byte
	err := rows.Scan((*[16]byte)(&e.Replica), (*int64bits)(&e.N), &hash, &e.Body, &e.Details, (*int64bits)(&e.Position))
	e.Hash = toHash(hash)
	return e, err
}

func scanChain(rows pgx.Rows) (replica.Chain, error) {
	var c replica.Chain
	var card, hash, signed, receipt, proof []byte
	err := rows.Scan((*[16]byte)(&c.Replica), &card, (*int64bits)(&c.Held), &hash, &signed, (*int64bits)(&c.Receipted), &receipt, (*int64bits)(&c.Fork), (*int64bits)(&c.Cut), &proof)
	if err != nil {
		return c, err
	}
	c.Hash = toHash(hash)
	if card != nil {
		c.Card = &record.Card{}
		if err := record.Unmarshal(card, c.Card); err != nil {
			return c, fmt.Errorf("%w: card of %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	if signed != nil {
		c.Signed = &record.Head{}
		if err := record.Unmarshal(signed, c.Signed); err != nil {
			return c, fmt.Errorf("%w: head of %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	if err := c.DecodeProofs(proof); err != nil {
		return c, fmt.Errorf("%w: proof of %s: %w", replica.ErrCorrupt, c.Replica, err)
	}
	if receipt != nil {
		c.Receipt = &record.Receipt{}
		if err := record.Unmarshal(receipt, c.Receipt); err != nil {
			return c, fmt.Errorf("%w: receipt for %s: %w", replica.ErrCorrupt, c.Replica, err)
		}
	}
	return c, nil
}

// int64bits scans PostgreSQL's signed number into an unsigned one, bit by bit.
type int64bits uint64

// ScanInt64 implements pgtype.Int64Scanner.
func (n *int64bits) ScanInt64(v pgtype.Int8) error {
	*n = int64bits(uint64(v.Int64))
	return nil
}
