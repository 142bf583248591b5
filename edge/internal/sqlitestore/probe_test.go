package sqlitestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// coded writes a ticket with a code.
func coded(t *testing.T, s *Store, building record.ID, code string) {
	t.Helper()
	author := record.DerivedID("author")
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		have, err := tx.Load(t.Context(), replica.Need{})
		if err != nil {
			return err
		}
		e := replica.Effects{State: have.State}
		e.State.Building, e.State.N, e.State.Position = building, e.State.N+1, e.State.Position+1
		dot := record.Dot{Replica: author, N: e.State.N}
		r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}.
			With("code", []record.Sibling{{Dot: dot, Stamp: hlc.Stamp(dot.N << 16), Class: record.Person, Value: record.Text(code)}})
		body, err := r.Encode()
		if err != nil {
			return err
		}
		e.Records = []replica.RecordRow{{Key: record.Key{Building: building, Kind: "ticket", ID: record.DerivedID(code)}, Record: r, Body: body, Position: e.State.Position, New: true}}
		return tx.Save(t.Context(), e)
	})
	if err != nil {
		t.Error(err)
	}
}

func (q *Queries) hasCode(t *testing.T, building record.ID, code string) bool {
	t.Helper()
	found, err := q.Select(t.Context(), desk.Selection{Shape: "tickets_by_code", Building: building, Lead: record.Text(code), Limit: 2})
	if err != nil {
		t.Error(err)
	}
	return len(found.Rows) > 0
}

// TestFreeCodesAreKnown: whether a code is taken is known without a look-up for codes that
// nobody has, and told right for those that somebody has, whenever they came.
func TestFreeCodesAreKnown(t *testing.T) {
	t.Parallel()
	path, building := filepath.Join(t.TempDir(), "edge.db"), record.DerivedID("building")
	s := openTest(t, path)
	coded(t, s, building, "OAK-BEFORE")
	q := NewQueries(s, schema.Kinds())
	const writers, each = 4, 25
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				code := fmt.Sprintf("OAK-%d-%d", w, i)
				coded(t, s, building, code)
				if !q.hasCode(t, building, code) || !q.hasCode(t, building, "OAK-BEFORE") {
					t.Errorf("%s or the one before is not found once it is acknowledged", code)
				}
			}
		})
	}
	all.Wait()
	of, free := kindOf{building, "ticket"}, 0
	for i := range 100 {
		code := fmt.Sprintf("OAK-FREE-%d", i)
		if q.hasCode(t, building, code) {
			t.Errorf("%s is taken", code)
		}
		if absent, _ := s.hot.absent(of, code); absent {
			free++
		}
	}
	if free < 95 { // 101 bits of a million are set
		t.Errorf("only %d of 100 free codes are known to be free", free)
	}
	if absent, _ := s.hot.absent(of, "OAK-BEFORE"); absent {
		t.Error("a code from before the first question is said to be free")
	}
	if q.hasCode(t, record.DerivedID("other"), "OAK-BEFORE") {
		t.Error("another building has the code")
	}
}

// TestProbeSeesACommitUnderWay: a probe that is made between a commit's beginning and its end
// has what comes with it, and so has one that was there before.
func TestProbeSeesACommitUnderWay(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	of := kindOf{record.DerivedID("building"), "ticket"}
	for _, made := range []string{"before", "under way"} {
		t.Run(strings.ReplaceAll(made, " ", ""), func(t *testing.T) {
			h := hot{seed: s.hot.seed}
			change := newChanges()
			tx := &transaction{session: &session{hot: &h, changes: change}, building: of.building}
			table := s.tables["ticket"]
			args := make([]any, 3+len(table.Columns))
			args[3+table.probed] = "OAK-1"
			tx.brings(table, args)
			var fill *probe
			if made == "before" {
				_, fill = h.absent(of, "")
				h.fill(fill, nil)
			}
			known := h.ending(change)
			if made != "before" {
				_, fill = h.absent(of, "")
				h.fill(fill, nil)
			} else if absent, _ := h.absent(of, "OAK-1"); absent {
				t.Error("free while its commit may already be seen")
			}
			h.ended(change, known, true)
			if absent, _ := h.absent(of, "OAK-1"); absent {
				t.Error("free after its commit")
			}
			if absent, _ := h.absent(of, "OAK-2"); !absent {
				t.Error("nothing is known to be free")
			}
		})
	}
}

// TestNoMediaIsKnown: that there are no files to move is known without a look-up, until there
// are.
func TestNoMediaIsKnown(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	building := record.DerivedID("building")
	photo := record.Key{Building: building, Kind: "media", ID: record.DerivedID("photo")}
	feed := func(after uint64) int {
		items, err := s.MediaFeed(t.Context(), building, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(items)
	}
	author := record.DerivedID("author")
	if n := feed(0); n != 0 {
		t.Fatalf("%d files in an empty store", n)
	}
	coded(t, s, building, "OAK-1")
	if none, _ := s.hot.noMedia(building, 0); !none {
		t.Error("a ticket has it look for files")
	}
	for n := range 2 {
		if _, err := counter(t.Context(), s, building, photo, author); err != nil {
			t.Fatal(err)
		}
		position := uint64(2 + n)
		if got := feed(position - 1); got != 1 {
			t.Errorf("%d files behind %d", got, position-1)
		}
		if got := feed(position); got != 0 {
			t.Errorf("%d files behind %d", got, position)
		}
		if none, _ := s.hot.noMedia(building, position); !none {
			t.Error("the look that found none is forgotten")
		}
		if got := feed(0); got != 1 {
			t.Errorf("%d files in all", got)
		}
	}
}

// Who waits for records of some kinds wakes after a commit that brought one, and after no other.
func TestKindsWakeTheirWatchers(t *testing.T) {
	t.Parallel()
	s := openTest(t, filepath.Join(t.TempDir(), "edge.db"))
	building, other, author := record.DerivedID("building"), record.DerivedID("other"), record.DerivedID("author")
	devices, stopDevices := s.WatchKinds(building, "device", "rule")
	tickets, stopTickets := s.WatchKinds(building, "ticket")
	defer stopTickets()
	woken := func(moved <-chan struct{}) bool {
		select {
		case <-moved:
			return true
		default:
			return false
		}
	}
	for _, c := range []struct {
		building         record.ID
		kind             string
		stop             bool
		devices, tickets bool
	}{
		{building: building, kind: "ticket", tickets: true},
		{building: building, kind: "device", devices: true},
		{building: building, kind: "rule", devices: true},
		{building: building, kind: "unit"},
		{building: other, kind: "device"},
		{building: building, kind: "device", stop: true},
	} {
		if c.stop {
			stopDevices()
			stopDevices() // may be called again
		}
		if _, err := counter(t.Context(), s, c.building, record.Key{Building: c.building, Kind: c.kind, ID: record.DerivedID(c.kind)}, author); err != nil {
			t.Fatal(err)
		}
		if got := woken(devices); got != c.devices {
			t.Errorf("a %s wakes who waits for devices and rules: %t", c.kind, got)
		}
		if got := woken(tickets); got != c.tickets {
			t.Errorf("a %s wakes who waits for tickets: %t", c.kind, got)
		}
	}
	failed := errors.New("no")
	err := s.Update(t.Context(), building, func(tx replica.Tx) error {
		e := replica.Effects{State: replica.State{Building: building, Position: 99}}
		k := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("gone")}
		e.Records = []replica.RecordRow{storetest.Row(k, 99, storetest.MakeRecord(author, 99, "x"))}
		if err := tx.Save(t.Context(), e); err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) || woken(tickets) {
		t.Errorf("a ticket that was taken back wakes who waits for tickets, or is kept: %v", err)
	}
}
