package sqlitestore

import (
	"database/sql/driver"
	"fmt"
	"maps"

	"estate/sync/record"
	"estate/sync/replica"
)

// pointsMax is up to how many records a look-up for each is cheaper than one statement for
// all of a kind.
const pointsMax = 8

const selectRecord = `SELECT position, body FROM record WHERE building = ? AND kind = ? AND id = ?`

// chainID names a chain of a building.
type chainID struct {
	building record.ID
	replica  record.ReplicaID
}

// kindOf names a kind of a building.
type kindOf struct {
	building record.ID
	kind     string
}

// added is what a transaction did to the number of records that a list shows.
type added struct {
	shown  int  // new ones
	unsure bool // some were not new: they may have been shown before, or not
}

// changed is what a transaction saved of a record.
type changed struct {
	saved    bool
	touched  bool // phones' touches of it were saved or removed
	body     []byte
	position uint64
}

// changes is what a transaction saved beside what it wrote: states and chains, which are
// written once for all that share a commit, and which records are not any more what the
// last commit left.
type changes struct {
	states  map[record.ID]replica.State
	chains  map[chainID]replica.Chain
	records map[record.Key]changed
	touched map[record.ID]bool // buildings of which touches were saved
	totals  map[kindOf]added
	leads   []lead // of all calls that share the commit
}

func newChanges() *changes {
	return &changes{states: map[record.ID]replica.State{}, chains: map[chainID]replica.Chain{}, records: map[record.Key]changed{}, touched: map[record.ID]bool{},
		totals: map[kindOf]added{}}
}

func (c *changes) clear() {
	clear(c.states)
	clear(c.chains)
	clear(c.records)
	clear(c.touched)
	clear(c.totals)
}

func (c *changes) record(k record.Key, change func(*changed)) {
	one := c.records[k]
	change(&one)
	c.records[k] = one
}

func (c *changes) total(of kindOf, more added) {
	have := c.totals[of]
	c.totals[of] = added{have.shown + more.shown, have.unsure || more.unsure}
}

// add takes over what a call did that succeeded.
func (c *changes) add(o *changes) {
	maps.Copy(c.states, o.states)
	maps.Copy(c.chains, o.chains)
	maps.Copy(c.touched, o.touched)
	for of, more := range o.totals {
		c.total(of, more)
	}
	for k, v := range o.records {
		c.record(k, func(have *changed) {
			if v.saved {
				have.saved, have.body, have.position = true, v.body, v.position
			}
			have.touched = have.touched || v.touched
		})
	}
}

// known gives a building's state as it stands in this transaction.
func (t *transaction) known() (replica.State, error) {
	if t.state != nil {
		return *t.state, nil
	}
	s, ok := t.session.changes.states[t.building]
	if !ok {
		s, ok = t.hot.stateOf(t.building)
	}
	if !ok {
		var err error
		if s, err = t.conn.state(t.building); err != nil {
			return s, fmt.Errorf("state: %w", err)
		}
	}
	t.state = &s
	return s, nil
}

// near answers a need from what is in memory as far as that goes.
func (t *transaction) near(need replica.Need, state replica.State) (replica.Have, error) {
	have := emptyHave(state)
	if err := need.Check(t.building); err != nil {
		return have, err
	}
	untouched, err := t.untouched()
	if err != nil {
		return have, err
	}
	var missing, unsaved []record.Key
	for _, k := range need.Keys {
		saved, ok := t.savedHere(k)
		switch {
		case ok && untouched && !saved.touched:
			stored, err := decodeStored(saved.body, saved.position)
			if err != nil {
				return have, fmt.Errorf("%w: %s: %w", replica.ErrCorrupt, k, err)
			}
			have.Records[k] = stored
		case ok:
			missing = append(missing, k)
		case !t.hot.recordOf(k, have):
			lacks, err := t.lacks(k)
			if err != nil {
				return have, fmt.Errorf("record %s: %w", k, err)
			}
			if !lacks || !untouched {
				missing, unsaved = append(missing, k), append(unsaved, k)
			}
		}
	}
	if err := t.read(missing, untouched, have); err != nil {
		return have, err
	}
	t.hot.keepRead(t.building, unsaved, have)
	if err := t.line(need.Chains, have.Chains); err != nil {
		return have, fmt.Errorf("chains: %w", err)
	}
	return have, nil
}

// read looks up what is nowhere in memory.
func (t *transaction) read(keys []record.Key, untouched bool, have replica.Have) error {
	if !untouched || len(keys) > pointsMax {
		return t.conn.loadKeys(t.building, keys, have)
	}
	for _, k := range keys {
		err := t.conn.one(selectRecord, []any{k.Building[:], k.Kind, k.ID[:]}, func(row []driver.Value) error {
			stored, err := decodeStored(blob(row[1]), number(row[0]))
			have.Records[k] = stored
			return err
		})
		if err != nil {
			return fmt.Errorf("record %s: %w", k, err)
		}
	}
	return nil
}

// savedHere is what this transaction, or a call before it in the same commit, saved of a record.
func (t *transaction) savedHere(k record.Key) (changed, bool) {
	own, mine := t.changes.records[k]
	before, theirs := t.session.changes.records[k]
	if !own.saved {
		own.body, own.position = before.body, before.position
	}
	own.saved, own.touched = own.saved || before.saved, own.touched || before.touched
	if !own.saved {
		own.touched = true // nothing but its touches: the record is read
	}
	return own, mine || theirs
}

// untouched reports whether no record of the building has touches of phones.
func (t *transaction) untouched() (bool, error) {
	if t.changes.touched[t.building] || t.session.changes.touched[t.building] {
		return false, nil
	}
	if t.hot.untouchedIn(t.building) {
		return true, nil
	}
	some := false
	err := t.conn.one(anyTouch, []any{t.building[:]}, func(row []driver.Value) error {
		some = number(row[0]) != 0
		return nil
	})
	if err == nil && !some {
		t.hot.knowUntouched(t.building)
	}
	return err == nil && !some, err
}

// line gives chains with their ancestors.
func (t *transaction) line(ids []record.ReplicaID, into map[record.ReplicaID]replica.Chain) error {
	get := func(id record.ReplicaID) (*replica.Chain, bool) {
		at := chainID{t.building, id}
		if c, ok := t.changes.chains[at]; ok {
			return &c, true
		}
		if c, ok := t.session.changes.chains[at]; ok {
			return &c, true
		}
		return t.hot.chainOf(at)
	}
	unknown := lineOf(ids, into, get)
	if len(unknown) == 0 {
		return nil
	}
	found := map[record.ReplicaID]replica.Chain{}
	if err := t.conn.loadLineage(t.building, unknown, found); err != nil {
		return err
	}
	clear(into)
	lineOf(ids, into, func(id record.ReplicaID) (*replica.Chain, bool) {
		c, known := get(id)
		if read, ok := found[id]; ok && !known {
			return &read, true
		}
		return c, true
	})
	t.hot.keepLineRead(t.building, unknown, found, func(id record.ReplicaID) bool {
		at := chainID{t.building, id}
		_, mine := t.changes.chains[at]
		_, theirs := t.session.changes.chains[at]
		return mine || theirs
	})
	return nil
}
