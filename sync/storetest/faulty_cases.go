package storetest

import (
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

func always(op Op, fault Fault) func(Op) Fault {
	return func(at Op) Fault {
		if at == op {
			return fault
		}
		return NoFault
	}
}

func writeOne(t *testing.T, s replica.Store) error {
	return update(testContext(t), s, building1, func(w *writer) { w.record("ticket", id("t", 1), "x") })
}

func kept(t *testing.T, s replica.Store, want int) {
	t.Helper()
	page := mustFeed(t, s, building1, 0)
	if len(page.Items) != want || page.End != uint64(want) {
		t.Fatalf("%d items to %d are kept, want %d", len(page.Items), page.End, want)
	}
}

func faultyCommit(t *testing.T, s replica.Store) {
	wantError(t, writeOne(t, &Faulty{Store: s, Next: always(OpUpdate, FailCommit)}), replica.ErrBusy)
	kept(t, s, 0)
	wantError(t, writeOne(t, &Faulty{Store: s, Next: always(OpTxSave, FailSave)}), replica.ErrBusy)
	kept(t, s, 0)
}

func faultyAnswer(t *testing.T, s replica.Store) {
	wantError(t, writeOne(t, &Faulty{Store: s, Next: always(OpUpdate, TearCommit)}), replica.ErrUnsure)
	kept(t, s, 0)
	wantError(t, writeOne(t, &Faulty{Store: s, Next: always(OpUpdate, LoseAnswer)}), replica.ErrUnsure)
	kept(t, s, 1)
}

func faultyLoad(t *testing.T, s replica.Store) {
	wantError(t, writeOne(t, &Faulty{Store: s, Next: always(OpTxLoad, FailLoad)}), replica.ErrBusy)
	kept(t, s, 0)
	_, err := (&Faulty{Store: s, Next: always(OpLoad, FailLoad)}).Load(testContext(t), building1, replica.Need{})
	wantError(t, err, replica.ErrBusy)
	_, err = (&Faulty{Store: s, Next: always(OpFeed, FailLoad)}).Feed(testContext(t), building1, 0, 1, 1)
	wantError(t, err, replica.ErrBusy)
}

// A transaction whose connection is lost keeps nothing, though its caller overlooks it.
func faultyLine(t *testing.T, s replica.Store) {
	for _, at := range []Op{OpTxLoad, OpTxSave} {
		f := &Faulty{Store: s, Next: always(at, DropLine)}
		err := f.Update(testContext(t), building1, func(tx replica.Tx) error {
			w := &writer{effects: replica.Effects{State: replica.State{Building: building1}}}
			if have, err := tx.Load(testContext(t), replica.Need{}); err == nil {
				w.have, w.effects.State = have, have.State
			}
			w.record("ticket", record.DerivedID("t"), "x")
			_ = tx.Save(testContext(t), w.effects)
			return nil
		})
		wantError(t, err, replica.ErrBusy)
		kept(t, s, 0)
	}
}

func faultyTwice(t *testing.T, s replica.Store) {
	runs := 0
	f := &Faulty{Store: s, Next: always(OpUpdate, RunTwice)}
	err := f.Update(testContext(t), building1, func(tx replica.Tx) error {
		runs++
		have, err := tx.Load(testContext(t), replica.Need{})
		if err != nil {
			return err
		}
		w := &writer{have: have, effects: replica.Effects{State: have.State}}
		w.record("ticket", record.DerivedID("t"), "x")
		return tx.Save(testContext(t), w.effects)
	})
	if err != nil || runs != 2 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	kept(t, s, 1)
}
