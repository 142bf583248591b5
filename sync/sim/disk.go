package sim

import (
	"context"
	"errors"
	"fmt"

	"estate/sync/record"
	"estate/sync/replica"
)

// hostStore is the host's disk as its node sees it.
type hostStore struct{ h *host }

var (
	errDisk = errors.New("sim: the disk cannot take this record")
	errTorn = fmt.Errorf("%w: sim: the process died before the commit was whole", replica.ErrBusy)
	errDied = fmt.Errorf("%w: sim: the process died after the commit", replica.ErrUnsure)
	errDown = fmt.Errorf("%w: sim: the process is not running", replica.ErrBusy)
	errFull = fmt.Errorf("%w: sim: the disk is full", replica.ErrBusy)
)

// stumbles reports whether an error is one that the simulator itself made.
func stumbles(err error) bool {
	return errors.Is(err, replica.ErrBusy) || errors.Is(err, replica.ErrUnsure) || errors.Is(err, errDisk)
}

func (s hostStore) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	h := s.h
	switch {
	case h.down:
		return errDown
	case h.full > h.w.at && !h.w.healing:
		h.w.count("disk full")
		return errFull
	}
	var changes []change
	fault := h.commit
	h.commit = ""
	err := h.disk.store.Update(ctx, building, func(tx replica.Tx) error {
		changes = changes[:0]
		t := &hostTx{Tx: tx, h: h, changes: &changes}
		if err := fn(t); err != nil {
			return err
		}
		switch fault {
		case "busy":
			return replica.ErrBusy
		case "torn":
			return errTorn
		}
		return nil
	})
	if fault == "torn" || fault == "after" {
		h.down = true
	}
	if err != nil {
		return err
	}
	for _, c := range changes {
		h.w.committed(h, c)
	}
	switch fault {
	case "unsure":
		return replica.ErrUnsure
	case "after":
		return errDied
	}
	return nil
}

func (s hostStore) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	if s.h.down {
		return replica.Have{}, errDown
	}
	return s.h.disk.store.Load(ctx, building, need)
}

func (s hostStore) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	if s.h.down {
		return replica.FeedPage{}, errDown
	}
	page, err := s.h.disk.store.Feed(ctx, building, after, min(limit, s.h.w.pageItems()), bytesMax)
	return s.h.ready(page, after), err
}

func (s hostStore) Chains(ctx context.Context, building record.ID) ([]replica.Chain, error) {
	if s.h.down {
		return nil, errDown
	}
	return s.h.disk.store.Chains(ctx, building)
}

func (s hostStore) Events(ctx context.Context, building record.ID, id record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error) {
	if s.h.down {
		return nil, errDown
	}
	rows, err := s.h.disk.store.Events(ctx, building, id, from, to, limit)
	return s.h.unplaced(rows), err
}

func (s hostStore) Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) ([]replica.EventRow, error) {
	if s.h.down {
		return nil, errDown
	}
	return s.h.disk.store.Branches(ctx, building, after, limit)
}

func (s hostStore) Buildings(ctx context.Context) ([]record.ID, error) {
	return s.h.disk.store.Buildings(ctx)
}

func (s hostStore) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.h.disk.store.Watch(building)
}

// change is what one Save changed, to be judged once it is committed.
type change struct {
	building record.ID
	effects  replica.Effects
	before   map[record.Key]record.Record
	wrote    replica.State // the identity before
}

type hostTx struct {
	replica.Tx
	h       *host
	changes *[]change
	loaded  map[record.ReplicaID]replica.Chain // as they were before without touched them
}

func (t *hostTx) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	have, err := t.Tx.Load(ctx, need)
	if err == nil {
		t.without(&have)
	}
	return have, err
}

func (t *hostTx) Save(ctx context.Context, e replica.Effects) error {
	t.restore(&e)
	c := change{building: e.State.Building, effects: e, before: map[record.Key]record.Record{}}
	var keys []record.Key
	for _, row := range e.Records {
		if row.Key == t.h.bad {
			return errDisk
		}
		keys = append(keys, row.Key)
	}
	have, err := t.Tx.Load(ctx, replica.Need{Keys: keys})
	if err != nil {
		return err
	}
	c.wrote = have.State
	for k, s := range have.Records {
		c.before[k] = s.Record
	}
	*t.changes = append(*t.changes, c)
	return t.Tx.Save(ctx, e)
}

// texts lists all text values of a record.
func texts(r record.Record) []string {
	var out []string
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			if v, ok := s.Value.AsText(); ok {
				out = append(out, v)
			}
		}
	}
	return out
}
