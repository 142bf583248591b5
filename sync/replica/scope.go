package replica

import (
	"errors"
	"fmt"
	"slices"

	"estate/sync/record"
)

// ErrUnsure says that a commit was sent and its answer never came: the write may or may not
// have happened. Look before trying again, or make the write one that can be repeated.
var ErrUnsure = errors.New("replica: the commit's outcome is not known")

// ErrScope says that a caller named a record of another building than the one whose lock
// it holds. It is a bug in the caller; nothing was read or written.
var ErrScope = errors.New("replica: key of another building")

// Check returns ErrScope unless all that is needed lies in the building.
func (n Need) Check(building record.ID) error {
	for _, k := range slices.Concat(n.Keys, n.HeldBack, n.Sums.Keys) {
		if k.Building != building {
			return fmt.Errorf("%w: need %s in %s", ErrScope, k, building)
		}
	}
	return nil
}

// Check returns ErrScope unless all that is to be stored lies in the building.
func (e Effects) Check(building record.ID) error {
	if e.State.Building != building {
		return fmt.Errorf("%w: state of %s in %s", ErrScope, e.State.Building, building)
	}
	bad := func(k record.Key) error {
		if k.Building != building {
			return fmt.Errorf("%w: save %s in %s", ErrScope, k, building)
		}
		return nil
	}
	var err error
	for _, r := range e.Records {
		err = errors.Join(err, bad(r.Key))
	}
	for _, t := range e.Touches {
		err = errors.Join(err, bad(t.Key))
	}
	for _, t := range e.TouchesGone {
		err = errors.Join(err, bad(t.Key))
	}
	for _, q := range e.Quarantine {
		err = errors.Join(err, bad(q.Key))
	}
	for _, q := range e.QuarantineOut {
		err = errors.Join(err, bad(q.Key))
	}
	return err
}
