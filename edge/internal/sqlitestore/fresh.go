package sqlitestore

import (
	"bytes"
	"database/sql/driver"

	"estate/sync/record"
)

// freshMax bounds the ids that are remembered of a kind: more than come in one commit.
const freshMax = 4 * batchMax

// selectHighest finds the highest id of a kind, at the end of the primary key.
const selectHighest = `SELECT id FROM record WHERE building = ? AND kind = ? ORDER BY id DESC LIMIT 1`

// fresh knows which records of a kind there are above a floor: of a new record, whose id begins
// with its time, that it is not there yet.
type fresh struct {
	floor record.ID
	above map[record.ID]struct{}
}

// lacks reports whether it is certain that there is no such record.
func (f *fresh) lacks(id record.ID) bool {
	if bytes.Compare(id[:], f.floor[:]) <= 0 {
		return false
	}
	_, there := f.above[id]
	return !there
}

// add takes a record that is there. Once those are many, the floor rises above them.
func (f *fresh) add(id record.ID) {
	if bytes.Compare(id[:], f.floor[:]) <= 0 {
		return
	}
	f.above[id] = struct{}{}
	if len(f.above) <= freshMax {
		return
	}
	for id := range f.above {
		if bytes.Compare(id[:], f.floor[:]) > 0 {
			f.floor = id
		}
	}
	clear(f.above)
}

// lacks reports whether it is certain that no commit brought a record; known says that its kind
// is looked after here.
func (h *hot) lacks(k record.Key) (lacks, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.at(k.Building).fresh[k.Kind]
	return f != nil && f.lacks(k.ID), f != nil
}

// keepHighest begins to look after a kind, whose highest id in the store is given.
func (h *hot) keepHighest(of kindOf, highest record.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(of.building).fresh[of.kind] = &fresh{floor: highest, above: map[record.ID]struct{}{}}
}

// lacks reports whether it is certain that a record is not in the store. What this transaction
// saved is not looked for.
func (t *transaction) lacks(k record.Key) (bool, error) {
	lacks, known := t.hot.lacks(k)
	if known {
		return lacks, nil
	}
	var highest record.ID
	err := t.conn.one(selectHighest, []any{k.Building[:], k.Kind}, func(row []driver.Value) error {
		copy(highest[:], blob(row[0]))
		return nil
	})
	if err != nil {
		return false, err
	}
	t.hot.keepHighest(kindOf{k.Building, k.Kind}, highest)
	return false, nil
}
