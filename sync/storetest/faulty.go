package storetest

import (
	"context"
	"errors"
	"fmt"

	"estate/sync/record"
	"estate/sync/replica"
)

// errInjected is the cause inside every injected failure.
var errInjected = errors.New("storetest: injected fault")

// Fault is what goes wrong with one call.
type Fault int

// The faults. FailCommit undoes an update and answers ErrBusy, as a full disk does.
// LoseAnswer commits and answers ErrUnsure; TearCommit undoes and answers ErrUnsure: the
// caller cannot tell the two apart. RunTwice runs the caller's function, undoes it and runs
// it again, as a store may that shares commits. FailLoad and FailSave make one call inside,
// or one read outside, of a transaction fail with ErrBusy. DropLine is a connection that is
// lost within a transaction: the call fails, so does every later one, and nothing is kept
// even if the caller overlooks it.
const (
	NoFault Fault = iota
	FailCommit
	LoseAnswer
	TearCommit
	RunTwice
	FailLoad
	FailSave
	DropLine
)

// Faults lists what can go wrong with a call.
func Faults(op Op) []Fault {
	switch op {
	case OpUpdate:
		return []Fault{FailCommit, LoseAnswer, TearCommit, RunTwice}
	case OpTxLoad:
		return []Fault{FailLoad, DropLine}
	case OpTxSave:
		return []Fault{FailSave, DropLine}
	case OpLoad, OpFeed, OpChains, OpEvents:
		return []Fault{FailLoad}
	}
	return nil
}

// Op is a call that may fail.
type Op string

// The calls that Faulty asks about.
const (
	OpUpdate Op = "update"
	OpTxLoad Op = "tx load"
	OpTxSave Op = "tx save"
	OpLoad   Op = "load"
	OpFeed   Op = "feed"
	OpChains Op = "chains"
	OpEvents Op = "events"
)

// Faulty is a Store in which things go wrong on demand. Next is asked at each call, from
// whatever goroutine makes it, and decides what happens.
type Faulty struct {
	replica.Store
	Next func(Op) Fault
}

// Update implements replica.Store.
func (f *Faulty) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	fault := f.Next(OpUpdate)
	run := func(tx replica.Tx) error {
		line := &faultyTx{Tx: tx, next: f.Next}
		return errors.Join(fn(line.wrap()), line.dropped)
	}
	undone := func(tx replica.Tx) error {
		if err := run(tx); err != nil {
			return err
		}
		return errInjected
	}
	switch fault {
	case FailCommit:
		return busy(f.Store.Update(ctx, building, undone))
	case TearCommit:
		if err := f.Store.Update(ctx, building, undone); !errors.Is(err, errInjected) || errors.Is(err, replica.ErrBusy) {
			return err
		}
		return fmt.Errorf("%w: %w", replica.ErrUnsure, errInjected)
	case RunTwice:
		if err := f.Store.Update(ctx, building, undone); !errors.Is(err, errInjected) || errors.Is(err, replica.ErrBusy) {
			return err
		}
	case NoFault, LoseAnswer, FailLoad, FailSave, DropLine:
	}
	err := f.Store.Update(ctx, building, run)
	if fault == LoseAnswer && err == nil {
		return fmt.Errorf("%w: %w", replica.ErrUnsure, errInjected)
	}
	return err
}

// Load implements replica.Store.
func (f *Faulty) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	if f.Next(OpLoad) == FailLoad {
		return replica.Have{}, busy(errInjected)
	}
	return f.Store.Load(ctx, building, need)
}

// Feed implements replica.Store.
func (f *Faulty) Feed(ctx context.Context, building record.ID, after uint64, limit, bytesMax int) (replica.FeedPage, error) {
	if f.Next(OpFeed) == FailLoad {
		return replica.FeedPage{}, busy(errInjected)
	}
	return f.Store.Feed(ctx, building, after, limit, bytesMax)
}

// Chains implements replica.Store.
func (f *Faulty) Chains(ctx context.Context, building record.ID) ([]replica.Chain, error) {
	if f.Next(OpChains) == FailLoad {
		return nil, busy(errInjected)
	}
	return f.Store.Chains(ctx, building)
}

// Events implements replica.Store.
func (f *Faulty) Events(ctx context.Context, building record.ID, from record.ReplicaID, first, last uint64, limit int) ([]replica.EventRow, error) {
	if f.Next(OpEvents) == FailLoad {
		return nil, busy(errInjected)
	}
	return f.Store.Events(ctx, building, from, first, last, limit)
}

// Branches implements replica.Store.
func (f *Faulty) Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) ([]replica.EventRow, error) {
	if f.Next(OpEvents) == FailLoad {
		return nil, busy(errInjected)
	}
	return f.Store.Branches(ctx, building, after, limit)
}

// busy turns an injected failure into the error that a real store gives.
func busy(err error) error {
	if errors.Is(err, errInjected) {
		return fmt.Errorf("%w: %w", replica.ErrBusy, err)
	}
	return err
}

type faultyTx struct {
	replica.Tx
	next    func(Op) Fault
	dropped error // the connection was lost
}

// bootTx keeps what the store's own transaction knows of its boot.
type bootTx struct {
	*faultyTx
	replica.Booter
}

func (t *faultyTx) wrap() replica.Tx {
	if b, ok := t.Tx.(replica.Booter); ok {
		return bootTx{faultyTx: t, Booter: b}
	}
	return t
}

// Load implements replica.Tx.
func (t *faultyTx) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	if err := t.call(OpTxLoad); err != nil {
		return replica.Have{}, err
	}
	return t.Tx.Load(ctx, need)
}

// Save implements replica.Tx.
func (t *faultyTx) Save(ctx context.Context, e replica.Effects) error {
	if err := t.call(OpTxSave); err != nil {
		return err
	}
	return t.Tx.Save(ctx, e)
}

func (t *faultyTx) call(op Op) error {
	switch t.next(op) {
	case FailLoad, FailSave:
		return busy(errInjected)
	case DropLine:
		t.dropped = busy(errInjected)
	case NoFault, FailCommit, LoseAnswer, TearCommit, RunTwice:
	}
	return t.dropped
}
