package sqlitestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

// The statements of Save. A prepared statement in a loop is as fast as a multi-row one:
// in this process a round trip costs nothing.
const (
	upsertState = `INSERT INTO building_state (building, boot, replica, n, head, stamp, clock_offset, position) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (building) DO UPDATE SET boot = excluded.boot, replica = excluded.replica, n = excluded.n, head = excluded.head,
		stamp = excluded.stamp, clock_offset = excluded.clock_offset, position = excluded.position`
	upsertRecord = `INSERT INTO record (building, kind, id, position, body) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (building, kind, id) DO UPDATE SET position = excluded.position, body = excluded.body`
	upsertEvent = `INSERT INTO event (building, replica, n, hash, body, details, position) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (building, replica, n) DO UPDATE SET hash = excluded.hash, body = excluded.body, details = excluded.details, position = excluded.position`
	insertBranch  = `INSERT INTO branch_event (building, replica, n, hash, body, details) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (building, replica, n, hash) DO NOTHING`
	deleteEvent   = `DELETE FROM event WHERE building = ? AND replica = ? AND n = ?`
	insertErasure = `INSERT INTO erasure (building, replica, n, by_replica, by_n) VALUES (?, ?, ?, ?, ?) ON CONFLICT (building, replica, n) DO NOTHING`
	eraseEvent    = `UPDATE event SET details = NULL WHERE building = ? AND replica = ? AND n = ? AND details IS NOT NULL`
	eraseBranch   = `UPDATE branch_event SET details = NULL WHERE building = ? AND replica = ? AND n = ? AND details IS NOT NULL`
	// What is erased is overwritten in the file, not only given free.
	overwriteOn  = `PRAGMA secure_delete = ON`
	overwriteOff = `PRAGMA secure_delete = OFF`
	upsertChain  = `INSERT INTO chain (building, replica, card, predecessor, held, hash, signed, receipted, receipt, fork, cut, proof) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (building, replica) DO UPDATE SET card = excluded.card, predecessor = excluded.predecessor, held = excluded.held,
		hash = excluded.hash, signed = excluded.signed, receipted = excluded.receipted, receipt = excluded.receipt, fork = excluded.fork, cut = excluded.cut,
		proof = excluded.proof`
	upsertTouch = `INSERT INTO phone_touch (building, kind, id, field, replica, n, covered, refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (building, kind, id, field, replica, n) DO UPDATE SET covered = excluded.covered, refused = excluded.refused`
	deleteTouch    = `DELETE FROM phone_touch WHERE building = ? AND kind = ? AND id = ? AND field = ? AND replica = ? AND n = ?`
	upsertHeldBack = `INSERT INTO quarantine (building, peer, theirs, kind, id, code, detail, since, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (building, peer, theirs, kind, id) DO UPDATE SET code = excluded.code, detail = excluded.detail, since = excluded.since, body = excluded.body`
	deleteHeldBack = `DELETE FROM quarantine WHERE building = ? AND peer = ? AND theirs = ? AND kind = ? AND id = ?`
	upsertCursor   = `INSERT INTO peer_cursor (building, peer, generation, view, position) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (building, peer) DO UPDATE SET generation = excluded.generation, view = excluded.view, position = excluded.position`
)

// transaction is the Tx of one Update.
type transaction struct {
	*session
	building record.ID
	tables   map[string]tableText
	changes  *changes
	// broken is the first Save that failed: a caller that overlooks it keeps nothing.
	broken error
	state  *replica.State // as it stands in this transaction, once it was read or saved
}

// Load implements replica.Tx.
func (t *transaction) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	if err := ctx.Err(); err != nil {
		return replica.Have{}, fmt.Errorf("%w: load: %w", replica.ErrBusy, err)
	}
	state, err := t.known()
	if err != nil {
		return replica.Have{}, err
	}
	if near(need) {
		return t.near(need, state)
	}
	// The statements of what else there is read the table of chains.
	for _, c := range []*changes{t.session.changes, t.changes} {
		if len(c.chains) == 0 {
			continue
		}
		if err := t.begins(); err != nil {
			return replica.Have{}, err
		}
		if err := t.conn.saveChains(c); err != nil {
			return replica.Have{}, fmt.Errorf("save chains: %w", err)
		}
	}
	return t.conn.load(t.building, need, state)
}

// Save implements replica.Tx.
func (t *transaction) Save(ctx context.Context, e replica.Effects) error {
	err := t.save(ctx, e)
	t.broken = cmp.Or(t.broken, err)
	t.state = nil
	if err == nil {
		t.state = &e.State
	}
	return err
}

func (t *transaction) save(ctx context.Context, e replica.Effects) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: save: %w", replica.ErrBusy, err)
	}
	if err := e.Check(t.building); err != nil {
		return err
	}
	if err := t.begins(); err != nil {
		return err
	}
	steps := []struct {
		what string
		save func(replica.Effects) error
	}{{"state", t.saveState}, {"records", t.saveRecords}, {"events", t.saveEvents}, {"branches", t.saveBranches}, {"erasures", t.saveErasures}, {"chains", t.saveChains}, {"touches", t.saveTouches}, {"peers", t.savePeers}}
	for _, step := range steps {
		if err := step.save(e); err != nil {
			return fmt.Errorf("save %s: %w", step.what, err)
		}
	}
	if len(e.Records)+len(e.Events) > 0 {
		t.moved = append(t.moved, t.building)
	}
	return nil
}

// saveState only notes the state: it is written once for all that share the commit.
func (t *transaction) saveState(e replica.Effects) error {
	t.changes.states[t.building] = e.State
	return nil
}

func (c *conn) saveStates(of *changes) error {
	for building, s := range of.states {
		err := c.exec(upsertState, building[:], s.Boot[:], s.Replica[:], bits(s.N), s.Head[:], bits(uint64(s.Stamp)), s.ClockOffset, bits(s.Position))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) saveRecords(e replica.Effects) error {
	for _, r := range e.Records {
		t.bytes += 2 * len(r.Body) // with its row in the table of its kind
		if r.Position == 0 {
			return fmt.Errorf("%w: %s without a position", replica.ErrCorrupt, r.Key)
		}
		t.changes.record(r.Key, func(c *changed) { c.saved, c.body, c.position = true, r.Body, r.Position })
		if err := t.conn.exec(upsertRecord, t.building[:], r.Key.Kind, r.Key.ID[:], bits(r.Position), r.Body); err != nil {
			return fmt.Errorf("%s: %w", r.Key, err)
		}
		if table, ok := t.tables[r.Key.Kind]; ok {
			args := table.args(r.Key, r.Position, r.Record)
			if err := t.conn.exec(table.upsert, args...); err != nil {
				return fmt.Errorf("project %s: %w", r.Key, err)
			}
			t.brings(table, args)
			t.changes.total(kindOf{t.building, r.Key.Kind}, table.adds(args, r.New))
		}
	}
	return nil
}

func (t *transaction) saveEvents(e replica.Effects) error {
	for _, r := range e.Events {
		t.bytes += len(r.Body) + len(r.Details)
		err := t.conn.exec(upsertEvent, t.building[:], r.Replica[:], bits(r.N), r.Hash[:], r.Body, orNull(r.Details), bits(r.Position))
		if err != nil {
			return fmt.Errorf("%d of %s: %w", r.N, r.Replica, err)
		}
	}
	return nil
}

// saveBranches moves events of forked chains beside them.
func (t *transaction) saveBranches(e replica.Effects) error {
	for _, d := range e.EventsGone {
		if err := t.conn.exec(deleteEvent, t.building[:], d.Replica[:], bits(d.N)); err != nil {
			return fmt.Errorf("%d of %s: %w", d.N, d.Replica, err)
		}
	}
	for _, r := range e.Branches {
		if err := t.conn.exec(insertBranch, t.building[:], r.Replica[:], bits(r.N), r.Hash[:], r.Body, orNull(r.Details)); err != nil {
			return fmt.Errorf("%d of %s: %w", r.N, r.Replica, err)
		}
	}
	return nil
}

// saveErasures drops details for good, and remembers that they are gone.
func (t *transaction) saveErasures(e replica.Effects) (err error) {
	if len(e.Erasures) == 0 {
		return nil
	}
	if err := t.conn.pragma(overwriteOn); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.conn.pragma(overwriteOff)) }()
	for _, x := range e.Erasures {
		if err := t.conn.exec(insertErasure, t.building[:], x.Dot.Replica[:], bits(x.Dot.N), x.By.Replica[:], bits(x.By.N)); err != nil {
			return fmt.Errorf("%d of %s: %w", x.Dot.N, x.Dot.Replica, err)
		}
		for _, text := range []string{eraseEvent, eraseBranch} {
			if err := t.conn.exec(text, t.building[:], x.Dot.Replica[:], bits(x.Dot.N)); err != nil {
				return fmt.Errorf("%d of %s: %w", x.Dot.N, x.Dot.Replica, err)
			}
		}
	}
	return nil
}

// saveChains only notes the chains, as saveState does the state.
func (t *transaction) saveChains(e replica.Effects) error {
	for _, c := range e.Chains {
		t.changes.chains[chainID{t.building, c.Replica}] = c
	}
	return nil
}

func (c *conn) saveChains(of *changes) error {
	for id, chain := range of.chains {
		if err := c.saveChain(id.building, chain); err != nil {
			return fmt.Errorf("%s: %w", id.replica, err)
		}
	}
	return nil
}

func (c *conn) saveChain(building record.ID, chain replica.Chain) (err error) {
	var card, predecessor, signed, receipt, proof []byte
	if chain.Card != nil {
		if card, err = record.Marshal(chain.Card); err != nil {
			return err
		}
		if p := chain.Card.Predecessor.Replica; !p.IsZero() {
			predecessor = p[:]
		}
	}
	if chain.Signed != nil {
		if signed, err = record.Marshal(chain.Signed); err != nil {
			return err
		}
	}
	if proof, err = chain.EncodeProofs(); err != nil {
		return err
	}
	if chain.Receipt != nil {
		if receipt, err = record.Marshal(chain.Receipt); err != nil {
			return err
		}
	}
	return c.exec(upsertChain, building[:], chain.Replica[:], orNull(card), orNull(predecessor), bits(chain.Held), chain.Hash[:],
		orNull(signed), bits(chain.Receipted), orNull(receipt), bits(chain.Fork), bits(chain.Cut), orNull(proof))
}

func (t *transaction) saveTouches(e replica.Effects) error {
	for _, p := range slices.Concat(e.TouchesGone, e.Touches) {
		t.changes.touched[t.building] = true
		t.changes.record(p.Key, func(c *changed) { c.touched = true })
	}
	for _, p := range e.TouchesGone {
		if err := t.conn.exec(deleteTouch, t.building[:], p.Key.Kind, p.Key.ID[:], p.Field, p.Dot.Replica[:], bits(p.Dot.N)); err != nil {
			return err
		}
	}
	for _, p := range e.Touches {
		err := t.conn.exec(upsertTouch, t.building[:], p.Key.Kind, p.Key.ID[:], p.Field, p.Dot.Replica[:], bits(p.Dot.N), p.Covered, p.Refused)
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) savePeers(e replica.Effects) error {
	for _, q := range e.QuarantineOut {
		if err := t.conn.exec(deleteHeldBack, t.building[:], q.Peer[:], q.Theirs, q.Key.Kind, q.Key.ID[:]); err != nil {
			return err
		}
	}
	for _, q := range e.Quarantine {
		err := t.conn.exec(upsertHeldBack, t.building[:], q.Peer[:], q.Theirs, q.Key.Kind, q.Key.ID[:], q.Code, q.Detail, q.Since, orNull(q.Body))
		if err != nil {
			return err
		}
	}
	if e.Cursor == nil {
		return nil
	}
	c := e.Cursor.Cursor
	return t.conn.exec(upsertCursor, t.building[:], e.Cursor.Peer[:], c.Generation[:], c.View[:], bits(c.Position))
}

// bits stores an unsigned number in SQLite's signed column; reading turns it back.
func bits(n uint64) int64 { return int64(n) }

// orNull stores empty bytes as NULL.
func orNull(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return b
}
