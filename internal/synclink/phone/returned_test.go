package phone_test

import (
	"testing"

	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// SPEC R30: a server is restored from a backup of before a write that it acknowledged and
// that the phone has let go of. The phone gives it back.
func TestReturn(t *testing.T) {
	t.Parallel()
	t.Run("RestoredCloud", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.exchange(w.cloud)
		backup := w.cloud.store.Snapshot()
		d.write(leak, text("title", "leak under sink"))
		second := record.DerivedID("ticket", "second")
		d.report(second, "another")
		d.exchange(w.cloud)
		if kept, _ := d.kept(); kept != 0 {
			t.Fatalf("keeps %d: the case needs a phone that has let go", kept)
		}
		w.cloud = w.serveFrom("cloud", record.TierCloud, backup)
		if w.cloud.title(leak) != "leak" || len(w.cloud.stored(second).Fields) != 0 {
			t.Fatal("the backup is not old")
		}
		d.start() // the app is killed in between: the copies are on its disk
		did, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token)
		if err != nil || did.Returned != 2 {
			t.Fatalf("returned %d, %v", did.Returned, err)
		}
		if w.cloud.title(leak) != "leak under sink" || w.cloud.title(second) != "another" {
			t.Fatalf("the cloud shows %q and %q", w.cloud.title(leak), w.cloud.title(second))
		}
		did, err = d.app.Exchange(t.Context(), w.cloud.http.URL, d.token)
		if err != nil || did.Returned != 0 {
			t.Fatalf("returned %d again, %v", did.Returned, err)
		}
		w.reconcile()
		if w.edge.title(leak) != "leak under sink" {
			t.Fatalf("the edge shows %q", w.edge.title(leak))
		}
	})
	t.Run("RestoredEdge", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		author, reader := w.install("phone", "tess", tess), w.install("second", "tess", tess)
		backup := w.edge.store.Snapshot()
		author.report(leak, "leak")
		author.exchange(w.edge)
		reader.exchange(w.edge)
		author.disk = nil // lost with the backup's gap: only the reader saw it
		w.edge = w.serveFrom("edge", record.TierEdge, backup)
		reader.exchange(w.edge)
		if w.edge.title(leak) != "leak" {
			t.Fatalf("the edge shows %q", w.edge.title(leak))
		}
		w.reconcile()
		if w.cloud.title(leak) != "leak" {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
	})
	t.Run("LostAnswer", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		backup := w.cloud.store.Snapshot()
		for n := range 30 {
			d.report(record.DerivedID("ticket", string(rune('a'+n))), "leak")
		}
		d.exchange(w.cloud)
		w.cloud = w.serveFrom("cloud", record.TierCloud, backup)
		for _, cut := range []int64{1, 400, 600, 900} {
			w.cloud.cutAfter.Store(cut)
			_, _ = d.app.Exchange(t.Context(), w.cloud.http.URL, d.token)
			d.start()
		}
		w.cloud.cutAfter.Store(-1)
		d.exchange(w.cloud)
		for n := range 30 {
			if id := record.DerivedID("ticket", string(rune('a'+n))); w.cloud.title(id) != "leak" {
				t.Fatalf("ticket %d is lost", n)
			}
		}
	})
	// SPEC R13: what the cloud had settled and the phone did not pull yet counts as unsettled
	// when the cloud was restored.
	t.Run("SettledAndLostBeforeThePull", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.exchange(w.cloud)
		backup := w.cloud.store.Snapshot()
		d.report(leak, "leak")
		// The answer is cut off after the receipt and before the page.
		for cut := int64(1); ; cut++ {
			w.cloud.cutAfter.Store(cut)
			if _, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token); err == nil {
				t.Fatal("no answer was cut off after the receipt")
			}
			if kept, unsettled := d.kept(); kept == 1 && unsettled == 0 {
				break
			}
		}
		w.cloud = w.serveFrom("cloud", record.TierCloud, backup)
		d.exchange(w.cloud)
		if w.cloud.title(leak) != "leak" {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
	})
}

// SPEC R29: a ticket that leaves the tenant's view leaves the phone; the end of a
// membership takes everything; an unsent write stays and is told what became of it.
func TestForget(t *testing.T) {
	t.Parallel()
	w := setup(t)
	staff, d := w.install("staff", "tess", tess), w.install("phone", "tom", tom)
	moved, stays := record.DerivedID("ticket", "moved"), record.DerivedID("ticket", "stays")
	staff.report(moved, "moved")
	staff.report(stays, "stays")
	staff.exchange(w.cloud)
	d.exchange(w.cloud)
	if d.shown(moved, "title") != "moved" || d.shown(stays, "title") != "stays" {
		t.Fatal("the tenant does not see the tickets of the unit")
	}
	staff.write(moved, replica.FieldWrite{Field: "unit", Value: record.IDValue(record.DerivedID("unit", "b"))})
	staff.exchange(w.cloud)
	d.exchange(w.cloud)
	if d.shown(moved, "title") != "" || d.shown(stays, "title") != "stays" {
		t.Fatalf("shows %q and %q", d.shown(moved, "title"), d.shown(stays, "title"))
	}
	d.start()
	if d.shown(moved, "title") != "" {
		t.Fatal("what was forgotten is on the disk")
	}
	d.write(stays, text("description", "not sent yet"))
	w.mu.Lock()
	w.roles[tom] = schema.Viewer{Person: tom, Building: building, Role: schema.Tenant}
	w.mu.Unlock()
	d.exchange(w.cloud)
	var keys []record.Key
	d.app.Look(func(o *phone.Outbox) { keys = o.Keys() })
	if len(keys) != 0 || len(d.refusals()) == 0 {
		t.Fatalf("a former member's phone shows %v, %d refusals", keys, len(d.refusals()))
	}
	if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
		t.Fatalf("keeps %d, %d unsettled", kept, unsettled)
	}
}

// SPEC R13, SPEC R29: a settled write on a record that the author will never be shown is not
// kept for ever.
func TestSettledOutOfView(t *testing.T) {
	t.Parallel()
	w := setup(t)
	staff, d := w.install("staff", "tess", tess), w.install("phone", "tom", tom)
	d.report(leak, "leak")
	for cut := int64(1); ; cut++ { // pushed and settled, not pulled
		w.cloud.cutAfter.Store(cut)
		if _, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token); err == nil {
			t.Fatal("no answer was cut off after the receipt")
		}
		if kept, unsettled := d.kept(); kept == 1 && unsettled == 0 {
			break
		}
	}
	w.cloud.cutAfter.Store(-1)
	staff.exchange(w.cloud)
	staff.write(leak, replica.FieldWrite{Field: "unit", Value: record.IDValue(record.DerivedID("unit", "b"))}, replica.FieldWrite{Field: "reporter", Value: record.IDValue(tess)})
	staff.exchange(w.cloud)
	d.exchange(w.cloud)
	if kept, _ := d.kept(); kept != 0 {
		t.Fatalf("keeps %d", kept)
	}
	if w.cloud.title(leak) != "leak" {
		t.Fatalf("the cloud shows %q", w.cloud.title(leak))
	}
}

// SPEC R13: a phone lets go of transactions, the cloud is restored from before them, and
// what they wrote left the phone's view: nobody has them any more. What the phone writes
// after is settled all the same.
func TestSettledBeyondAGap(t *testing.T) {
	t.Parallel()
	w := setup(t)
	staff, d := w.install("staff", "tess", tess), w.install("phone", "tom", tom)
	first, last := record.DerivedID("ticket", "first"), record.DerivedID("ticket", "last")
	d.report(first, "first")
	d.exchange(w.cloud)
	backup := w.cloud.store.Snapshot()
	d.report(leak, "leak")
	d.exchange(w.cloud)
	staff.exchange(w.cloud)
	staff.write(leak, replica.FieldWrite{Field: "unit", Value: record.IDValue(record.DerivedID("unit", "b"))}, replica.FieldWrite{Field: "reporter", Value: record.IDValue(tess)})
	staff.exchange(w.cloud)
	d.exchange(w.cloud)
	w.cloud = w.serveFrom("cloud", record.TierCloud, backup)
	dot := d.report(last, "last")
	d.exchange(w.cloud)
	if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
		t.Fatalf("keeps %d, %d unsettled", kept, unsettled)
	}
	var missing int
	d.app.Look(func(o *phone.Outbox) { missing = len(o.Missing()) })
	if missing != 1 {
		t.Fatalf("%d gaps reported", missing)
	}
	after := record.DerivedID("ticket", "after")
	next := d.report(after, "after")
	if next.Replica == dot.Replica {
		t.Fatal("it goes on under the replica with the gap")
	}
	d.exchange(w.cloud)
	if kept, _ := d.kept(); kept != 0 || w.cloud.title(after) != "after" || w.cloud.title(last) != "last" {
		t.Fatalf("keeps %d, the cloud shows %q and %q", kept, w.cloud.title(last), w.cloud.title(after))
	}
	if c := w.cloud.stored(after).Context; c.Entry(next.Replica) != next.N {
		t.Fatalf("its entry is not raised: %+v", c)
	}
}
