package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgtype"

	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Save: one for each part, whatever its size.
const (
	updateState   = `UPDATE building_state SET boot = $2, replica = $3, n = $4, head = $5, stamp = $6, clock_offset = $7, position = $8, stored = true WHERE building = $1`
	upsertRecords = `INSERT INTO record (building, kind, id, position, body) SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::bigint[], $5::bytea[])
		ON CONFLICT (building, kind, id) DO UPDATE SET position = excluded.position, body = excluded.body`
	deleteRecords = `DELETE FROM record WHERE ctid = ANY (ARRAY(SELECT r.ctid FROM unnest($2::text[], $3::uuid[]) AS k (kind, id), LATERAL
		(SELECT ctid FROM record WHERE building = $1 AND kind = k.kind AND id = k.id OFFSET 0) r))`
	upsertEvents = `INSERT INTO event (building, replica, n, hash, body, details, position)
		SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[])
		ON CONFLICT (building, replica, n) DO UPDATE SET hash = excluded.hash, body = excluded.body, details = excluded.details, position = excluded.position`
	upsertChains = `INSERT INTO chain (building, replica, card, predecessor, held, hash, signed, receipted, receipt, fork, cut, proof)
		SELECT $1, * FROM unnest($2::uuid[], $3::bytea[], $4::uuid[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bigint[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bytea[])
		ON CONFLICT (building, replica) DO UPDATE SET card = excluded.card, predecessor = excluded.predecessor, held = excluded.held,
		hash = excluded.hash, signed = excluded.signed, receipted = excluded.receipted, receipt = excluded.receipt, fork = excluded.fork, cut = excluded.cut,
		proof = excluded.proof`
	insertBranches = `INSERT INTO branch_event (building, replica, n, hash, body, details)
		SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[]) ON CONFLICT (building, replica, n, hash) DO NOTHING`
	deleteEvents   = `DELETE FROM event e USING unnest($2::uuid[], $3::bigint[]) AS k (replica, n) WHERE e.building = $1 AND e.replica = k.replica AND e.n = k.n`
	insertErasures = `INSERT INTO erasure (building, replica, n, by_replica, by_n) SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::uuid[], $5::bigint[])
		ON CONFLICT (building, replica, n) DO NOTHING`
	eraseEvents = `UPDATE event e SET details = NULL FROM unnest($2::uuid[], $3::bigint[]) AS k (replica, n)
		WHERE e.building = $1 AND e.replica = k.replica AND e.n = k.n AND e.details IS NOT NULL`
	eraseBranches = `UPDATE branch_event e SET details = NULL FROM unnest($2::uuid[], $3::bigint[]) AS k (replica, n)
		WHERE e.building = $1 AND e.replica = k.replica AND e.n = k.n AND e.details IS NOT NULL`
	upsertTouches = `INSERT INTO phone_touch (building, kind, id, field, replica, n, covered, refused)
		SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::boolean[], $8::boolean[])
		ON CONFLICT (building, kind, id, field, replica, n) DO UPDATE SET covered = excluded.covered, refused = excluded.refused`
	deleteTouches = `DELETE FROM phone_touch t USING unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[]) AS k (kind, id, field, replica, n)
		WHERE t.building = $1 AND t.kind = k.kind AND t.id = k.id AND t.field = k.field AND t.replica = k.replica AND t.n = k.n`
	upsertHeldBack = `INSERT INTO quarantine (building, peer, theirs, kind, id, code, detail, since, body)
		SELECT $1, * FROM unnest($2::uuid[], $3::boolean[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::bigint[], $9::bytea[])
		ON CONFLICT (building, peer, theirs, kind, id) DO UPDATE SET code = excluded.code, detail = excluded.detail, since = excluded.since, body = excluded.body`
	deleteHeldBack = `DELETE FROM quarantine q USING unnest($2::uuid[], $3::boolean[], $4::text[], $5::uuid[]) AS k (peer, theirs, kind, id)
		WHERE q.building = $1 AND q.peer = k.peer AND q.theirs = k.theirs AND q.kind = k.kind AND q.id = k.id`
	upsertCursor = `INSERT INTO peer_cursor (building, peer, generation, view, position) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (building, peer) DO UPDATE SET generation = excluded.generation, view = excluded.view, position = excluded.position`
)

// Save implements replica.Tx. The effects wait for the next round trip.
func (g *group) Save(ctx context.Context, e replica.Effects) error {
	if err := savable(ctx, g.building, e); err != nil {
		g.broken = cmp.Or(g.broken, err)
		return err
	}
	g.waiting = append(g.waiting, e)
	if g.from == 0 {
		g.from = g.state.Position
	}
	if g.store.probes.wants(g.building) {
		g.leads = append(g.leads, g.store.leads(e.Records)...)
	} else {
		g.unled = true
	}
	g.state, g.stored = e.State, true
	g.remember(e)
	g.moved = g.moved || len(e.Records)+len(e.Events) > 0
	return nil
}

func savable(ctx context.Context, building record.ID, e replica.Effects) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: save: %w", replica.ErrBusy, err)
	}
	if err := e.Check(building); err != nil {
		return err
	}
	for i := range e.Records {
		if e.Records[i].Position == 0 {
			return fmt.Errorf("%w: %s without a position", replica.ErrCorrupt, e.Records[i].Key)
		}
	}
	return nil
}

// statements are those that save effects of one transaction, in their order.
func (g *group) statements(waiting []replica.Effects) ([]statement, error) {
	if len(waiting) == 0 {
		return nil, nil
	}
	of, s := [16]byte(g.building), waiting[len(waiting)-1].State
	var out []statement
	for _, e := range combined(waiting) {
		from := len(out)
		out = append(append(out, g.saveRecords(e.Records)...), saveEvents(of, e.Events)...)
		for i := range out[from:] {
			out[from+i].rows = true
		}
		chains, err := saveChains(of, e.Chains)
		if err != nil {
			return nil, err
		}
		out = append(append(out, chains...), saveBranches(of, e.EventsGone, e.Branches)...)
		out = append(out, saveErasures(of, e.Erasures)...)
		out = append(append(out, saveTouches(of, e.TouchesGone, e.Touches)...), saveHeldBack(of, e.QuarantineOut, e.Quarantine)...)
		if e.Cursor != nil {
			c := e.Cursor.Cursor
			out = append(out, statement{text: upsertCursor, args: []any{of, [16]byte(e.Cursor.Peer), [16]byte(c.Generation), c.View[:], bits(c.Position)}})
		}
		// Of one call's rows no two are the same: those that need round trips go first, in few.
		slices.SortStableFunc(out[from:], func(a, b statement) int { return cmp.Compare(a.turn(), b.turn()) })
	}
	return append(out, statement{text: updateState, args: []any{of, [16]byte(s.Boot), [16]byte(s.Replica), bits(s.N), s.Head[:], bits(uint64(s.Stamp)), s.ClockOffset, bits(s.Position)}}), nil
}

// combined joins what calls that follow each other save, so that it takes as many statements
// as one of them: of rows that several write the last stays. What deletes rows, too, must
// not pass what was written before it, and stays by itself.
func combined(waiting []replica.Effects) []replica.Effects {
	if len(waiting) == 1 {
		return waiting
	}
	var out []replica.Effects
	joins := false
	for _, e := range waiting {
		plain := onlyAdds(e)
		if plain && joins {
			last := &out[len(out)-1]
			last.Records = append(last.Records, e.Records...)
			last.Events = append(last.Events, e.Events...)
			last.Chains = append(last.Chains, e.Chains...)
			continue
		}
		if plain { // the slices are the calls' own, and are about to grow
			e.Records, e.Events, e.Chains = slices.Clip(e.Records), slices.Clip(e.Events), slices.Clip(e.Chains)
		}
		out, joins = append(out, e), plain
	}
	return out
}

// onlyAdds reports whether effects write records, events and chains, and nothing else.
func onlyAdds(e replica.Effects) bool {
	return len(e.Touches)+len(e.TouchesGone)+len(e.Quarantine)+len(e.QuarantineOut)+len(e.Branches)+len(e.EventsGone)+len(e.Erasures) == 0 && e.Cursor == nil
}

// eventsOnce keeps the last of rows of one event.
func eventsOnce(rows []replica.EventRow) []replica.EventRow {
	dot := func(r *replica.EventRow) record.Dot { return record.Dot{Replica: r.Replica, N: r.N} }
	if rising(rows, func(a, b *replica.EventRow) int { return dot(a).Compare(dot(b)) }) {
		return rows
	}
	return lastOf(rows, dot)
}

func saveEvents(of [16]byte, rows []replica.EventRow) []statement {
	if len(rows) == 0 {
		return nil
	}
	rows = eventsOnce(rows)
	fresh, rows := split(rows, func(r *replica.EventRow) bool { return r.New })
	var out []statement
	if len(fresh) > 0 {
		out = append(out, copyEventRows(of, fresh))
	}
	if len(rows) == 0 {
		return out
	}
	ids, numbers, at := make([]record.ID, len(rows)), make([]int64, len(rows)), make([]int64, len(rows))
	hashes, bodies, details := make([][]byte, len(rows)), make([][]byte, len(rows)), make([][]byte, len(rows))
	for i := range rows {
		r := &rows[i]
		ids[i], numbers[i], at[i], hashes[i], bodies[i], details[i] = r.Replica, bits(r.N), bits(r.Position), r.Hash[:], r.Body, orNull(r.Details)
	}
	return append(out, statement{text: upsertEvents, args: []any{of, uuids(ids), numbers, hashes, bodies, details, at}})
}

// saveBranches moves events of forked chains beside them.
func saveBranches(of [16]byte, gone []record.Dot, rows []replica.EventRow) []statement {
	var out []statement
	if len(gone) > 0 {
		ids, numbers := dotColumns(gone)
		out = append(out, statement{text: deleteEvents, args: []any{of, uuids(ids), numbers}})
	}
	if len(rows) > 0 {
		ids, numbers := make([]record.ID, len(rows)), make([]int64, len(rows))
		hashes, bodies, details := make([][]byte, len(rows)), make([][]byte, len(rows)), make([][]byte, len(rows))
		for i := range rows {
			r := &rows[i]
			ids[i], numbers[i], hashes[i], bodies[i], details[i] = r.Replica, bits(r.N), r.Hash[:], r.Body, orNull(r.Details)
		}
		out = append(out, statement{text: insertBranches, args: []any{of, uuids(ids), numbers, hashes, bodies, details}})
	}
	return out
}

// saveErasures drops details and remembers that they are gone.
func saveErasures(of [16]byte, list []replica.Erasure) []statement {
	if len(list) == 0 {
		return nil
	}
	list = lastOf(list, func(x *replica.Erasure) record.Dot { return x.Dot })
	dots, by := make([]record.Dot, len(list)), make([]record.Dot, len(list))
	for i, x := range list {
		dots[i], by[i] = x.Dot, x.By
	}
	ids, numbers := dotColumns(dots)
	byIDs, byNumbers := dotColumns(by)
	return []statement{
		{text: insertErasures, args: []any{of, uuids(ids), numbers, uuids(byIDs), byNumbers}},
		{text: eraseEvents, args: []any{of, uuids(ids), numbers}},
		{text: eraseBranches, args: []any{of, uuids(ids), numbers}},
	}
}

func saveChains(of [16]byte, rows []replica.Chain) ([]statement, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	rows = lastOf(rows, func(c *replica.Chain) record.ID { return c.Replica })
	n := len(rows)
	ids, before := make([]record.ID, n), make([]pgtype.UUID, n)
	cards, hashes, signed := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	held, receipted, receipts := make([]int64, n), make([]int64, n), make([][]byte, n)
	forks, cuts, proofs := make([]int64, n), make([]int64, n), make([][]byte, n)
	for i := range rows {
		c := &rows[i]
		ids[i], hashes[i], held[i], receipted[i] = c.Replica, c.Hash[:], bits(c.Held), bits(c.Receipted)
		forks[i], cuts[i] = bits(c.Fork), bits(c.Cut)
		var err error
		if c.Card != nil {
			if cards[i], err = record.Marshal(c.Card); err != nil {
				return nil, err
			}
			p := c.Card.Predecessor.Replica
			before[i] = pgtype.UUID{Bytes: p, Valid: !p.IsZero()}
		}
		if c.Signed != nil {
			if signed[i], err = record.Marshal(c.Signed); err != nil {
				return nil, err
			}
		}
		if proofs[i], err = c.EncodeProofs(); err != nil {
			return nil, err
		}
		if c.Receipt != nil {
			if receipts[i], err = record.Marshal(c.Receipt); err != nil {
				return nil, err
			}
		}
	}
	return []statement{{text: upsertChains, args: []any{of, uuids(ids), cards, before, held, hashes, signed, receipted, receipts, forks, cuts, proofs}}}, nil
}

func saveTouches(of [16]byte, gone, rows []replica.PhoneTouch) []statement {
	type key struct {
		key   record.Key
		field string
		dot   record.Dot
	}
	columns := func(rows []replica.PhoneTouch) []any {
		kinds, ids, fields := make([]string, len(rows)), make([]record.ID, len(rows)), make([]string, len(rows))
		from, numbers := make([]record.ID, len(rows)), make([]int64, len(rows))
		for i, p := range rows {
			kinds[i], ids[i], fields[i], from[i], numbers[i] = p.Key.Kind, p.Key.ID, p.Field, p.Dot.Replica, bits(p.Dot.N)
		}
		return []any{of, kinds, uuids(ids), fields, uuids(from), numbers}
	}
	var out []statement
	if len(gone) > 0 {
		out = append(out, statement{text: deleteTouches, args: columns(gone)})
	}
	if len(rows) > 0 {
		rows = lastOf(rows, func(p *replica.PhoneTouch) key { return key{p.Key, p.Field, p.Dot} })
		covered, refused := make([]bool, len(rows)), make([]bool, len(rows))
		for i, p := range rows {
			covered[i], refused[i] = p.Covered, p.Refused
		}
		out = append(out, statement{text: upsertTouches, args: append(columns(rows), covered, refused)})
	}
	return out
}

func saveHeldBack(of [16]byte, gone, rows []replica.QuarantineRow) []statement {
	type key struct {
		key    record.Key
		peer   record.ID
		theirs bool
	}
	columns := func(rows []replica.QuarantineRow) []any {
		peers, theirs, kinds, ids := make([]record.ID, len(rows)), make([]bool, len(rows)), make([]string, len(rows)), make([]record.ID, len(rows))
		for i, q := range rows {
			peers[i], theirs[i], kinds[i], ids[i] = q.Peer, q.Theirs, q.Key.Kind, q.Key.ID
		}
		return []any{of, uuids(peers), theirs, kinds, uuids(ids)}
	}
	var out []statement
	if len(gone) > 0 {
		out = append(out, statement{text: deleteHeldBack, args: columns(gone)})
	}
	if len(rows) > 0 {
		rows = lastOf(rows, func(q *replica.QuarantineRow) key { return key{q.Key, q.Peer, q.Theirs} })
		codes, details, since, bodies := make([]string, len(rows)), make([]string, len(rows)), make([]int64, len(rows)), make([][]byte, len(rows))
		for i, q := range rows {
			codes[i], details[i], since[i], bodies[i] = q.Code, q.Detail, q.Since, orNull(q.Body)
		}
		out = append(out, statement{text: upsertHeldBack, args: append(columns(rows), codes, details, since, bodies)})
	}
	return out
}

// rising reports whether rows come in strict order, as those of a page nearly always do: then
// no two are of one key.
func rising[R any](rows []R, compare func(a, b *R) int) bool {
	for i := 1; i < len(rows); i++ {
		if compare(&rows[i-1], &rows[i]) >= 0 {
			return false
		}
	}
	return true
}

// lastOf keeps the last of rows with equal keys: one statement may write a row only once.
func lastOf[R any, K comparable](rows []R, key func(*R) K) []R {
	at := make(map[K]int, len(rows))
	for i := range rows {
		at[key(&rows[i])] = i
	}
	if len(at) == len(rows) {
		return rows
	}
	var out []R
	for i := range rows {
		if at[key(&rows[i])] == i {
			out = append(out, rows[i])
		}
	}
	return out
}

// flat has the driver encode arrays of bytes without reflection.
func flat(args []any) []any {
	for i, a := range args {
		if list, ok := a.([][]byte); ok {
			args[i] = pgtype.FlatArray[[]byte](list)
		}
	}
	return args
}

// uuids are ids as an argument; the driver reads them where they are.
type uuids []record.ID

// Dimensions implements pgtype.ArrayGetter.
func (u uuids) Dimensions() []pgtype.ArrayDimension { return oneDimension(len(u)) }

// Index implements pgtype.ArrayGetter.
func (u uuids) Index(i int) any { return (*uuidValue)(&u[i]) }

// IndexType implements pgtype.ArrayGetter.
func (u uuids) IndexType() any { return new(uuidValue) }

// uuidsOf is uuids of keys.
type uuidsOf []record.Key

// Dimensions implements pgtype.ArrayGetter.
func (u uuidsOf) Dimensions() []pgtype.ArrayDimension { return oneDimension(len(u)) }

// Index implements pgtype.ArrayGetter.
func (u uuidsOf) Index(i int) any { return (*uuidValue)(&u[i].ID) }

// IndexType implements pgtype.ArrayGetter.
func (u uuidsOf) IndexType() any { return new(uuidValue) }

func oneDimension(length int) []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(length), LowerBound: 1}}
}

type uuidValue record.ID

// UUIDValue implements pgtype.UUIDValuer.
func (u *uuidValue) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: *u, Valid: true}, nil }

// bits stores an unsigned number in PostgreSQL's signed type; int64bits turns it back.
func bits(n uint64) int64 { return int64(n) }

func orNull(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func toHash(b []byte) (h record.Hash) {
	copy(h[:], b)
	return h
}
