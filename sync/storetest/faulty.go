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

// The faults. FailCommit undoes an update and answers ErrBusy. LoseAnswer commits and
// answers ErrUnsure. RunTwice runs the caller's function, undoes it and runs it again, as
// a store may that shares commits. FailLoad and FailSave make one call inside, or one read
// outside, of a transaction fail with ErrBusy.
const (
	NoFault Fault = iota
	FailCommit
	LoseAnswer
	RunTwice
	FailLoad
	FailSave
)

// Op is a call that may fail.
type Op string

// The calls that Faulty asks about.
const (
	OpUpdate Op = "update"
	OpTxLoad Op = "tx load"
	OpTxSave Op = "tx save"
	OpLoad   Op = "load"
	OpFeed   Op = "feed"
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
	undone := func(tx replica.Tx) error {
		if err := fn(f.wrap(tx)); err != nil {
			return err
		}
		return errInjected
	}
	switch fault {
	case FailCommit:
		return busy(f.Store.Update(ctx, building, undone))
	case RunTwice:
		if err := f.Store.Update(ctx, building, undone); !errors.Is(err, errInjected) {
			return err
		}
	case NoFault, LoseAnswer, FailLoad, FailSave:
	}
	err := f.Store.Update(ctx, building, func(tx replica.Tx) error { return fn(f.wrap(tx)) })
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

// busy turns an injected failure into the error that a real store gives.
func busy(err error) error {
	if errors.Is(err, errInjected) {
		return fmt.Errorf("%w: %w", replica.ErrBusy, err)
	}
	return err
}

type faultyTx struct {
	replica.Tx
	next func(Op) Fault
}

// bootTx keeps what the store's own transaction knows of its boot.
type bootTx struct {
	faultyTx
	replica.Booter
}

func (f *Faulty) wrap(tx replica.Tx) replica.Tx {
	w := faultyTx{Tx: tx, next: f.Next}
	if b, ok := tx.(replica.Booter); ok {
		return bootTx{faultyTx: w, Booter: b}
	}
	return w
}

// Load implements replica.Tx.
func (t faultyTx) Load(ctx context.Context, need replica.Need) (replica.Have, error) {
	if t.next(OpTxLoad) == FailLoad {
		return replica.Have{}, busy(errInjected)
	}
	return t.Tx.Load(ctx, need)
}

// Save implements replica.Tx.
func (t faultyTx) Save(ctx context.Context, e replica.Effects) error {
	if t.next(OpTxSave) == FailSave {
		return busy(errInjected)
	}
	return t.Tx.Save(ctx, e)
}
