package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Load.
const (
	selectState = `SELECT boot, replica, n, head, stamp, clock_offset, position FROM building_state WHERE building = ?`
	// The keys of one kind come as a JSON array of hex texts: one statement reads a page.
	// CROSS JOIN keeps the planner from scanning the table and the array for each row.
	selectRecords = `SELECT r.id, r.position, r.body FROM json_each(?3) k CROSS JOIN record r ON r.building = ?1 AND r.kind = ?2 AND r.id = unhex(k.value)`
	selectTouches = `SELECT t.id, t.field, t.replica, t.n, t.covered, t.refused FROM json_each(?3) k
		CROSS JOIN phone_touch t ON t.building = ?1 AND t.kind = ?2 AND t.id = unhex(k.value) ORDER BY t.id, t.field, t.replica, t.n`
	anyTouch     = `SELECT EXISTS (SELECT 1 FROM phone_touch WHERE building = ?)`
	chainColumns = `c.replica, c.card, c.held, c.hash, c.signed, c.receipted, c.receipt, c.fork, c.cut, c.proof`
	selectChains = `SELECT ` + chainColumns + ` FROM chain c WHERE c.building = ? ORDER BY c.replica`
	lineage      = `WITH RECURSIVE line (replica) AS (SELECT unhex(value) FROM json_each(?2)
		UNION SELECT c.predecessor FROM line CROSS JOIN chain c ON c.building = ?1 AND c.replica = line.replica WHERE c.predecessor IS NOT NULL)
		SELECT ` + chainColumns + ` FROM line CROSS JOIN chain c ON c.building = ?1 AND c.replica = line.replica`
	// anyErasure spares a look-up for each event where nothing was ever erased.
	anyErasure    = `SELECT EXISTS (SELECT 1 FROM erasure WHERE building = ?)`
	selectErasure = `SELECT by_replica, by_n FROM erasure WHERE building = ? AND replica = ? AND n = ?`
	selectHashes  = `SELECT n, hash FROM event WHERE building = ? AND replica = ? AND n BETWEEN ? AND ?`
	eventColumns  = `e.replica, e.n, e.hash, e.body, e.details, e.position`
	selectEvents  = `SELECT ` + eventColumns + ` FROM event e WHERE e.building = ? AND e.replica = ? AND e.n BETWEEN ? AND ? ORDER BY e.n LIMIT ?`
	selectWaiting = `SELECT ` + eventColumns + ` FROM event e WHERE e.building = ?1 AND e.replica = ?2
		AND e.n > coalesce((SELECT held FROM chain WHERE building = ?1 AND replica = ?2), 0) ORDER BY e.n`
	selectUnsettled = `SELECT n FROM phone_touch WHERE building = ? AND replica = ? AND covered = 0 AND refused = 0 ORDER BY n LIMIT 1`
	selectCursor    = `SELECT generation, view, position FROM peer_cursor WHERE building = ? AND peer = ?`
	selectHeldBack  = `SELECT kind, id, theirs, code, detail, since, body FROM quarantine WHERE building = ? AND peer = ?
		ORDER BY theirs, since, kind, id LIMIT ?`
	selectHeldBackOf = `SELECT kind, id, theirs, code, detail, since, body FROM quarantine WHERE building = ? AND peer = ? AND theirs = 0 AND kind = ? AND id = ?`
	selectBranches   = `SELECT replica, n, hash, body, details, 0 FROM branch_event WHERE building = ? AND (replica, n, hash) > (?, ?, ?) ORDER BY replica, n, hash LIMIT ?`
	selectBuildings  = `SELECT building FROM building_state ORDER BY building`
)

// stretchGapMax is how many events between two that are asked for are read on the way rather
// than passed over by a search.
const stretchGapMax = 8

// Load implements replica.Store.
func (s *Store) Load(ctx context.Context, building record.ID, need replica.Need) (have replica.Have, err error) {
	var commits uint64
	if near(need) && ctx.Err() == nil && !s.isClosed() {
		if err := need.Check(building); err != nil {
			return replica.Have{}, err
		}
		var all bool
		if have, commits, all = s.hot.load(building, need); all {
			return have, nil
		}
	}
	err = s.snapshot(ctx, "load", func(c *conn) error {
		state, err := c.state(building)
		if err == nil {
			have, err = c.load(building, need, state)
		}
		return err
	})
	if err == nil && near(need) {
		s.hot.keep(commits, building, need, have)
	}
	return have, err
}

// emptyHave has nothing but a state.
func emptyHave(state replica.State) replica.Have {
	return replica.Have{
		State:   state,
		Records: map[record.Key]replica.Stored{}, Touches: map[record.Key][]replica.PhoneTouch{},
		Chains: map[record.ReplicaID]replica.Chain{}, Events: map[record.Dot]record.Hash{},
		Waiting: map[record.ReplicaID][]replica.EventRow{}, Unsettled: map[record.ReplicaID]uint64{}, Sums: map[record.Key]replica.SumRow{},
		Erased: map[record.Dot]record.Dot{},
	}
}

func (c *conn) load(building record.ID, need replica.Need, state replica.State) (replica.Have, error) {
	have := emptyHave(state)
	if err := need.Check(building); err != nil {
		return have, err
	}
	if err := c.loadKeys(building, need.Keys, have); err != nil {
		return have, err
	}
	if err := c.loadSums(building, need.Sums, have.Sums); err != nil {
		return have, fmt.Errorf("digests: %w", err)
	}
	if err := c.loadChains(building, need, have.Chains); err != nil {
		return have, fmt.Errorf("chains: %w", err)
	}
	if err := c.loadEvents(building, need, have); err != nil {
		return have, fmt.Errorf("events: %w", err)
	}
	if !need.Peer.IsZero() {
		if err := c.loadPeer(building, need, &have); err != nil {
			return have, fmt.Errorf("peer %s: %w", need.Peer, err)
		}
	}
	return have, nil
}

func (c *conn) state(building record.ID) (replica.State, error) {
	s := replica.State{Building: building}
	err := c.each(selectState, []any{building[:]}, func(rows *sql.Rows) (bool, error) {
		var boot, id, head sql.RawBytes
		var n, stamp, position int64
		err := rows.Scan(&boot, &id, &n, &head, &stamp, &s.ClockOffset, &position)
		copy(s.Boot[:], boot)
		copy(s.Replica[:], id)
		copy(s.Head[:], head)
		s.N, s.Stamp, s.Position = uint64(n), hlc.Stamp(uint64(stamp)), uint64(position)
		return true, err
	})
	return s, err
}

// loadKeys reads records and touches, kind by kind.
func (c *conn) loadKeys(building record.ID, keys []record.Key, have replica.Have) error {
	if len(keys) == 0 {
		return nil
	}
	kinds := map[string][]record.ID{}
	for _, k := range keys {
		kinds[k.Kind] = append(kinds[k.Kind], k.ID)
	}
	touched := false
	err := c.each(anyTouch, []any{building[:]}, func(rows *sql.Rows) (bool, error) { return true, rows.Scan(&touched) })
	if err != nil {
		return fmt.Errorf("touches: %w", err)
	}
	for kind, ids := range kinds {
		args := []any{building[:], kind, hexList(ids)}
		if err := c.each(selectRecords, args, func(rows *sql.Rows) (bool, error) { return true, scanRecord(rows, building, kind, have.Records) }); err != nil {
			return fmt.Errorf("records of kind %s: %w", kind, err)
		}
		if !touched {
			continue
		}
		if err := c.each(selectTouches, args, func(rows *sql.Rows) (bool, error) { return true, scanTouch(rows, building, kind, have.Touches) }); err != nil {
			return fmt.Errorf("touches of kind %s: %w", kind, err)
		}
	}
	return nil
}

// loadSums reads records only to add them up: nothing of them is kept or decoded.
func (c *conn) loadSums(building record.ID, need replica.SumNeed, into map[record.Key]replica.SumRow) error {
	kinds := map[string][]record.ID{}
	for _, k := range need.Keys {
		kinds[k.Kind] = append(kinds[k.Kind], k.ID)
	}
	for kind, ids := range kinds {
		err := c.each(selectRecords, []any{building[:], kind, hexList(ids)}, func(rows *sql.Rows) (bool, error) {
			var id, body sql.RawBytes
			var position int64
			err := rows.Scan(&id, &position, &body)
			key := record.Key{Building: building, Kind: kind}
			copy(key.ID[:], id)
			into[key] = replica.SumRow{Sum: replica.SumRecord(need.Salt, key, body), Position: uint64(position)}
			return true, err
		})
		if err != nil {
			return fmt.Errorf("records of kind %s: %w", kind, err)
		}
	}
	return nil
}

func scanRecord(rows *sql.Rows, building record.ID, kind string, into map[record.Key]replica.Stored) error {
	var id sql.RawBytes
	var position int64
	var stored replica.Stored
	if err := rows.Scan(&id, &position, &stored.Body); err != nil {
		return err
	}
	key := record.Key{Building: building, Kind: kind}
	copy(key.ID[:], id)
	var err error
	if stored.Record, err = record.Decode(stored.Body); err != nil {
		return fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, key, err)
	}
	stored.Position = uint64(position)
	into[key] = stored
	return nil
}

func scanTouch(rows *sql.Rows, building record.ID, kind string, into map[record.Key][]replica.PhoneTouch) error {
	var id, from sql.RawBytes
	var n int64
	t := replica.PhoneTouch{Key: record.Key{Building: building, Kind: kind}}
	if err := rows.Scan(&id, &t.Field, &from, &n, &t.Covered, &t.Refused); err != nil {
		return err
	}
	copy(t.Key.ID[:], id)
	copy(t.Dot.Replica[:], from)
	t.Dot.N = uint64(n)
	into[t.Key] = append(into[t.Key], t)
	return nil
}

func (c *conn) loadChains(building record.ID, need replica.Need, into map[record.ReplicaID]replica.Chain) error {
	if need.AllChains {
		return c.each(selectChains, []any{building[:]}, addChain(into))
	}
	return c.loadLineage(building, need.Chains, into)
}

func (c *conn) loadLineage(building record.ID, ids []record.ReplicaID, into map[record.ReplicaID]replica.Chain) error {
	if len(ids) == 0 {
		return nil
	}
	return c.each(lineage, []any{building[:], hexList(ids)}, addChain(into))
}

func addChain(into map[record.ReplicaID]replica.Chain) func(*sql.Rows) (bool, error) {
	return func(rows *sql.Rows) (bool, error) {
		chain, err := scanChain(rows)
		into[chain.Replica] = chain
		return true, err
	}
}

func (c *conn) loadEvents(building record.ID, need replica.Need, have replica.Have) error {
	if err := c.loadHashes(building, need.Events, have.Events); err != nil {
		return err
	}
	if err := c.loadErasures(building, need.Events, have.Erased); err != nil {
		return err
	}
	for _, id := range need.Waiting {
		waiting, err := c.events(selectWaiting, building[:], id[:])
		if err != nil {
			return err
		}
		if len(waiting) > 0 {
			have.Waiting[id] = waiting
		}
	}
	for _, id := range need.Unsettled {
		err := c.each(selectUnsettled, []any{building[:], id[:]}, func(rows *sql.Rows) (bool, error) {
			var n int64
			err := rows.Scan(&n)
			have.Unsettled[id] = uint64(n)
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadHashes reads a page's events, most of them neighbours in their chain, by stretches.
func (c *conn) loadHashes(building record.ID, dots []record.Dot, into map[record.Dot]record.Hash) error {
	dots = slices.Clone(dots)
	slices.SortFunc(dots, record.Dot.Compare)
	for len(dots) > 0 {
		n := 1
		for n < len(dots) && dots[n].Replica == dots[0].Replica && dots[n].N-dots[n-1].N <= stretchGapMax && bits(dots[n].N) >= bits(dots[0].N) {
			n++
		}
		stretch := dots[:n]
		dots = dots[n:]
		from := stretch[0].Replica
		err := c.each(selectHashes, []any{building[:], from[:], bits(stretch[0].N), bits(stretch[n-1].N)}, func(rows *sql.Rows) (bool, error) {
			var b sql.RawBytes
			var number int64
			var hash record.Hash
			err := rows.Scan(&number, &b)
			copy(hash[:], b)
			dot := record.Dot{Replica: from, N: uint64(number)}
			if _, asked := slices.BinarySearchFunc(stretch, dot, record.Dot.Compare); asked {
				into[dot] = hash
			}
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// loadErasures says which of these events were erased, and by which.
func (c *conn) loadErasures(building record.ID, dots []record.Dot, into map[record.Dot]record.Dot) error {
	some := false
	if len(dots) > 0 {
		err := c.each(anyErasure, []any{building[:]}, func(rows *sql.Rows) (bool, error) { return true, rows.Scan(&some) })
		if err != nil {
			return err
		}
	}
	if !some {
		return nil
	}
	for _, dot := range dots {
		err := c.each(selectErasure, []any{building[:], dot.Replica[:], bits(dot.N)}, func(rows *sql.Rows) (bool, error) {
			var from sql.RawBytes
			var n int64
			err := rows.Scan(&from, &n)
			by := record.Dot{N: uint64(n)}
			copy(by.Replica[:], from)
			into[dot] = by
			return true, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) loadPeer(building record.ID, need replica.Need, have *replica.Have) error {
	err := c.each(selectCursor, []any{building[:], need.Peer[:]}, func(rows *sql.Rows) (bool, error) {
		var generation, view sql.RawBytes
		var position int64
		err := rows.Scan(&generation, &view, &position)
		copy(have.Cursor.Generation[:], generation)
		copy(have.Cursor.View[:], view)
		have.Cursor.Position = uint64(position)
		return true, err
	})
	if err != nil || need.Quarantine <= 0 {
		return err
	}
	seen := map[record.Key]bool{}
	add := func(rows *sql.Rows) (bool, error) {
		q := replica.QuarantineRow{Key: record.Key{Building: building}, Peer: need.Peer}
		var id sql.RawBytes
		err := rows.Scan(&q.Key.Kind, &id, &q.Theirs, &q.Code, &q.Detail, &q.Since, &q.Body)
		copy(q.Key.ID[:], id)
		if q.Theirs || !seen[q.Key] {
			have.Quarantine = append(have.Quarantine, q)
		}
		seen[q.Key] = seen[q.Key] || !q.Theirs
		return true, err
	}
	if err := c.each(selectHeldBack, []any{building[:], need.Peer[:], need.Quarantine}, add); err != nil {
		return err
	}
	if len(have.Quarantine) < need.Quarantine {
		return nil // that is all there is
	}
	for _, k := range need.HeldBack {
		if err := c.each(selectHeldBackOf, []any{building[:], need.Peer[:], k.Kind, k.ID[:]}, add); err != nil {
			return err
		}
	}
	return nil
}

// hexList is the ids as a JSON array of hex texts.
func hexList(ids []record.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = hex.EncodeToString(id[:])
	}
	b, err := json.Marshal(texts)
	if err != nil {
		panic(fmt.Sprintf("sqlitestore: hex texts: %v", err)) // strings always marshal
	}
	return string(b)
}
