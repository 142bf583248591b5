package sqlitestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// counter writes n into a record and the state, as one transaction after another.
func counter(ctx context.Context, s *Store, building record.ID, key record.Key, author record.ReplicaID) (n uint64, err error) {
	err = s.Update(ctx, building, func(tx replica.Tx) error {
		have, err := tx.Load(ctx, replica.Need{Keys: []record.Key{key}})
		if err != nil {
			return err
		}
		n = have.Records[key].Record.Context.Entry(author) + 1
		e := replica.Effects{State: have.State}
		e.State.Building, e.State.N, e.State.Position = building, have.State.N+1, have.State.Position+1
		e.Records = []replica.RecordRow{storetest.Row(key, e.State.Position, storetest.MakeRecord(author, n, fmt.Sprint(n)))}
		return tx.Save(ctx, e)
	})
	return n, err
}

// TestAcknowledgedIsRead holds that a read after an acknowledgement sees what was
// acknowledged, and a later read of a record nothing older, whatever is kept in memory: rights
// that ended have ended for the next request.
func TestAcknowledgedIsRead(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	building, author := record.DerivedID("building"), record.DerivedID("author")
	const keys, writes = 3, 40
	var key [keys]record.Key
	var acknowledged [keys]atomic.Uint64
	for i := range key {
		key[i] = record.Key{Building: building, Kind: "ticket", ID: record.DerivedID(fmt.Sprint(i))}
	}
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var before [keys]uint64
			for {
				select {
				case <-done:
					return
				default:
				}
				for i := range key {
					least, state := max(before[i], acknowledged[i].Load()), uint64(0)
					for k := range acknowledged {
						state += acknowledged[k].Load()
					}
					have, err := s.Load(t.Context(), building, replica.Need{Keys: key[i : i+1]})
					got := have.Records[key[i]].Record.Context.Entry(author)
					if err != nil || got < least || have.State.N < state {
						t.Errorf("read %d of %d, state %d of %d: %v", got, least, have.State.N, state, err)
						return
					}
					before[i] = got
				}
			}
		})
	}
	for i := range key {
		writers.Go(func() {
			for range writes {
				n, err := counter(t.Context(), s, building, key[i], author)
				if err != nil {
					t.Error(err)
					return
				}
				acknowledged[i].Store(n)
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	have, err := s.Load(t.Context(), building, replica.Need{Keys: key[:]})
	if err != nil || have.State.N != keys*writes || have.Records[key[0]].Record.Context.Entry(author) != writes {
		t.Errorf("at the end state %d, %d records: %v", have.State.N, len(have.Records), err)
	}
}

// TestFailedCallIsForgotten holds that memory keeps nothing of a call that saved and failed,
// nor of one whose commit failed.
func TestFailedCallIsForgotten(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	building, author := record.DerivedID("building"), record.DerivedID("author")
	key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("one")}
	if _, err := counter(t.Context(), s, building, key, author); err != nil {
		t.Fatal(err)
	}
	need := replica.Need{Keys: []record.Key{key}, Chains: []record.ReplicaID{author}}
	read := func() string {
		have, err := s.Load(t.Context(), building, need)
		return fmt.Sprint(have.State.N, have.Records[key].Record.Context.Entry(author), len(have.Chains), err)
	}
	for range 2 { // from the file, then from memory
		if got := read(); got != "1 1 0 <nil>" {
			t.Fatal(got)
		}
	}
	failure := errors.New("after it saved")
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		have, err := tx.Load(t.Context(), need)
		if err != nil {
			return err
		}
		e := replica.Effects{State: have.State, Chains: []replica.Chain{{Replica: author, Held: 7}}}
		e.State.N, e.State.Position = 9, 9
		e.Records = []replica.RecordRow{storetest.Row(key, 9, storetest.MakeRecord(author, 9, "nine"))}
		return errors.Join(tx.Save(t.Context(), e), failure)
	})
	if !errors.Is(err, failure) {
		t.Fatal(err)
	}
	if got := read(); got != "1 1 0 <nil>" {
		t.Errorf("after a call that failed: %s", got)
	}
	if n, err := counter(t.Context(), s, building, key, author); err != nil || n != 2 {
		t.Errorf("the next call counts to %d: %v", n, err)
	}
	if got := read(); got != "2 2 0 <nil>" {
		t.Errorf("after the next call: %s", got)
	}
}

// TestOldSnapshotIsNotKept holds that what a snapshot found is kept only where no commit came
// between its beginning and that.
func TestOldSnapshotIsNotKept(t *testing.T) {
	t.Parallel()
	building, author := record.DerivedID("building"), record.DerivedID("author")
	key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("one")}
	need := replica.Need{Keys: []record.Key{key}}
	row := storetest.Row(key, 1, storetest.MakeRecord(author, 1, "old"))
	old := emptyHave(replica.State{Building: building})
	old.Records[key] = replica.Stored{Record: row.Record, Body: row.Body, Position: 1}
	change := newChanges()
	change.states[building] = replica.State{Building: building, Position: 2}
	change.record(key, func(c *changed) { c.saved, c.position = true, 2 })
	for name, when := range map[string]struct{ begun, kept int }{
		"Quiet": {0, 0}, "BegunBefore": {0, 1}, "BegunAndEndedBefore": {0, 2}, "WhileOneRuns": {1, 1}, "FromOneThatRan": {1, 2}, "After": {2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h hot
			var known []record.Key
			steps := []func(){func() {}, func() { known = h.ending(change) }, func() { h.ended(change, known, true) }}
			var began uint64
			for step, do := range steps {
				do()
				if step == when.begun {
					_, began, _ = h.load(building, need)
				}
				if step == when.kept {
					h.keep(began, building, need, old)
				}
			}
			_, _, kept := h.load(building, need)
			if want := name == "After"; kept != want {
				t.Errorf("kept is %v, want %v", kept, want)
			}
		})
	}
}
