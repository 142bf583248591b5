package phone_test

import (
	"bytes"
	"testing"

	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

var leak = record.DerivedID("ticket", "leak")

func text(field, value string) replica.FieldWrite {
	return replica.FieldWrite{Field: field, Value: record.Text(value)}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	t.Run("OfflineWritesArrive", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.write(leak, text("title", "leak under sink"))
		if d.shown(leak, "title") != "leak under sink" {
			t.Fatalf("offline it shows %q", d.shown(leak, "title"))
		}
		d.exchange(w.cloud)
		if got := w.cloud.title(leak); got != "leak under sink" {
			t.Fatalf("the cloud shows %q", got)
		}
		if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
			t.Fatalf("keeps %d, %d unsettled, after the cloud settled all", kept, unsettled)
		}
		if d.shown(leak, "title") != "leak under sink" || len(d.refusals()) != 0 {
			t.Fatalf("shows %q, refused %+v", d.shown(leak, "title"), d.refusals())
		}
	})
	t.Run("EdgeAloneSettlesNothing", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.exchange(w.edge)
		d.exchange(w.edge)
		if w.edge.title(leak) != "leak" {
			t.Fatal("the edge does not have it")
		}
		if _, unsettled := d.kept(); unsettled != 1 {
			t.Fatalf("%d unsettled, want 1: only the cloud settles", unsettled)
		}
	})
	t.Run("TwoPathsAndDuplicates", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "one")
		d.exchange(w.edge)
		d.write(leak, text("title", "two"))
		d.exchange(w.cloud)
		d.write(leak, text("title", "three"))
		before := d.disk
		d.exchange(w.edge)
		d.exchange(w.cloud)
		w.reconcile()
		// The phone is put back to before: it sends everything again, both ways.
		d.disk = before
		d.start()
		d.exchange(w.edge)
		d.exchange(w.cloud)
		w.reconcile()
		d.exchange(w.cloud)
		for _, s := range []*server{w.edge, w.cloud} {
			if siblings := s.stored(leak).Siblings("title"); len(siblings) != 1 || s.title(leak) != "three" {
				t.Fatalf("the %s holds %d siblings and shows %q", s.name, len(siblings), s.title(leak))
			}
		}
		a, _ := w.edge.stored(leak).Encode()
		b, _ := w.cloud.stored(leak).Encode()
		if !bytes.Equal(a, b) {
			t.Fatal("edge and cloud differ")
		}
		if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
			t.Fatalf("keeps %d, %d unsettled", kept, unsettled)
		}
	})
	t.Run("LostAnswerIsRepeated", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		for _, cut := range []int64{0, 1, 40, 300, 420} {
			w.cloud.cutAfter.Store(cut)
			if _, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token); err == nil {
				t.Fatalf("%d bytes were taken for an answer", cut)
			}
			d.start() // killed as well
		}
		w.cloud.cutAfter.Store(-1)
		d.exchange(w.cloud)
		if siblings := w.cloud.stored(leak).Siblings("title"); len(siblings) != 1 {
			t.Fatalf("%d siblings", len(siblings))
		}
		if kept, _ := d.kept(); kept != 0 {
			t.Fatalf("keeps %d", kept)
		}
	})
	t.Run("KilledAppKeepsWhatItSaved", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		first := d.report(leak, "leak")
		d.start()
		second := d.write(leak, text("title", "leak again"))
		if first.Replica == second.Replica {
			t.Fatal("a start did not mint a fresh replica")
		}
		d.exchange(w.cloud)
		if w.cloud.title(leak) != "leak again" || len(w.cloud.stored(leak).Siblings("title")) != 1 {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
	})
	t.Run("FullDiskIsNotSaved", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.full = true
		if _, err := d.app.Write("ticket.edit", phone.Change{Kind: "ticket", ID: leak, Fields: []replica.FieldWrite{text("title", "lost")}}); err == nil {
			t.Fatal("a write was called saved on a full disk")
		}
		if d.shown(leak, "title") != "leak" {
			t.Fatalf("shows %q", d.shown(leak, "title"))
		}
		d.full = false
		d.write(leak, text("title", "kept"))
		d.exchange(w.cloud)
		if w.cloud.title(leak) != "kept" {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
	})
	t.Run("CardGoesToAServerThatLacksIt", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.exchange(w.cloud) // settled; the edge, cut off, never heard of this phone
		d.write(leak, text("priority", "high"))
		d.exchange(w.edge)
		if got, _ := schema.Default().Shown("ticket", "priority", w.edge.stored(leak)).AsText(); got != "high" {
			t.Fatalf("the edge shows %q", got)
		}
		w.reconcile()
		d.exchange(w.cloud)
		if kept, _ := d.kept(); kept != 0 {
			t.Fatalf("keeps %d", kept)
		}
	})
	t.Run("Reinstall", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.exchange(w.cloud)
		again := w.install("phone reinstalled", "tess", tess)
		again.exchange(w.cloud)
		if again.shown(leak, "title") != "leak" {
			t.Fatalf("a fresh install shows %q", again.shown(leak, "title"))
		}
		again.write(leak, text("title", "leak, again"))
		again.exchange(w.cloud)
		if w.cloud.title(leak) != "leak, again" || len(w.cloud.stored(leak).Siblings("title")) != 1 {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
	})
	t.Run("ManyTransactions", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		for i := range 1200 {
			id := record.DerivedID("ticket", string(rune('a'+i%26)), string(rune('a'+i/26)))
			var err error
			d.app.Look(func(o *phone.Outbox) {
				_, err = o.Write(d.app.Now().UnixMilli(), "ticket.edit", 0, phone.Change{Kind: "ticket", ID: id, Fields: []replica.FieldWrite{text("title", "leak")}})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		d.exchange(w.cloud)
		if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
			t.Fatalf("keeps %d, %d unsettled", kept, unsettled)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	t.Run("FieldOfAnotherRole", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tom", tom)
		d.report(leak, "leak")
		dot := d.write(leak, text("priority", "urgent")) // staff's to set
		d.write(leak, text("status", "cancelled"))
		d.exchange(w.cloud)
		refused := d.refusals()
		if len(refused) != 1 || refused[0].Code != wire.CodeFieldForbidden || refused[0].Field != "priority" || refused[0].Dot != dot {
			t.Fatalf("refused %+v", refused)
		}
		if value, _ := refused[0].Value[0].AsText(); value != "urgent" {
			t.Fatalf("the value is kept as %q", value)
		}
		if d.shown(leak, "priority") != "" || d.shown(leak, "status") != "cancelled" {
			t.Fatalf("shows priority %q, status %q", d.shown(leak, "priority"), d.shown(leak, "status"))
		}
		if kept, unsettled := d.kept(); kept != 0 || unsettled != 0 {
			t.Fatalf("keeps %d, %d unsettled: a refusal settles", kept, unsettled)
		}
		d.start()
		if len(d.refusals()) != 1 {
			t.Fatal("a refusal was forgotten")
		}
	})
	t.Run("ClockAYearAhead", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.clock.Store(365 * 24 * 3600 * 1000)
		d := w.install("phone", "tess", tess)
		first := d.report(leak, "leak")
		d.write(leak, text("title", "leak in the kitchen"))
		d.exchange(w.cloud)
		if w.cloud.title(leak) != "leak in the kitchen" {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
		refused := d.refusals()
		if len(refused) == 0 || refused[0].Code != wire.CodeClockAhead || refused[0].Dot != first || refused[0].Reissued.N == 0 {
			t.Fatalf("refused %+v", refused)
		}
		for _, r := range refused {
			if r.Code != wire.CodeClockAhead {
				t.Fatalf("written again, and refused as %s: %+v", r.Code, r)
			}
		}
		for _, s := range w.cloud.stored(leak).Siblings("title") {
			if ahead := s.Stamp.Millis() - w.cloud.node.Now(); ahead > 1000 {
				t.Fatalf("stamped %d ms ahead", ahead)
			}
		}
		if kept, _ := d.kept(); kept != 0 {
			t.Fatalf("keeps %d", kept)
		}
	})
	t.Run("AnotherPersonsApp", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.report(leak, "leak")
		d.exchange(w.cloud)
		d.token = "tom"
		d.write(leak, text("title", "forged"))
		_, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token)
		if code := refusalCode(t, err); code != "forbidden" {
			t.Fatalf("error %v", err)
		}
		if w.cloud.title(leak) != "leak" {
			t.Fatalf("the cloud shows %q", w.cloud.title(leak))
		}
		if _, unsettled := d.kept(); unsettled != 1 {
			t.Fatal("what was not taken is gone")
		}
	})
	t.Run("NoToken", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "mallory", tess)
		_, err := d.app.Exchange(t.Context(), w.cloud.http.URL, "mallory")
		if code := refusalCode(t, err); code != "token_invalid" {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("OthersUnitsStayHidden", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		staff := w.install("phone", "tess", tess)
		staff.report(leak, "in unit a")
		hidden := record.DerivedID("ticket", "hidden")
		staff.write(hidden, text("title", "elsewhere"), replica.FieldWrite{Field: "unit", Value: record.IDValue(record.DerivedID("unit", "b"))})
		staff.exchange(w.cloud)
		d := w.install("tenant's phone", "tom", tom)
		d.exchange(w.cloud)
		var keys []record.Key
		d.app.Look(func(o *phone.Outbox) { keys = o.Keys() })
		if len(keys) != 1 || keys[0].ID != leak {
			t.Fatalf("the tenant sees %v", keys)
		}
	})
	t.Run("AnotherBuilding", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		d := w.install("phone", "tess", tess)
		d.c.Building, d.disk = record.DerivedID("building", "elm"), nil
		d.start()
		d.report(leak, "leak")
		_, err := d.app.Exchange(t.Context(), w.cloud.http.URL, d.token)
		if code := refusalCode(t, err); code != "not_found" {
			t.Fatalf("error %v", err)
		}
	})
}

func TestReceiptsAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tess", tess)
	dot := d.report(leak, "leak")
	forged := record.Receipt{Issuer: w.cloud.node.ID(), Replica: dot.Replica, N: dot.N, Settled: dot.N}
	d.app.Look(func(o *phone.Outbox) {
		push := o.Pushes("anywhere", 1)[0]
		forged.Hash = push.Head.Hash
		forged.Signature = make([]byte, 64)
		if code := refusalCode(t, o.TakeReceipt("anywhere", 0, forged)); code != wire.CodeBadSignature {
			t.Errorf("a forged receipt: %q", code)
		}
		edges := record.SignReceipt(w.edge.node.Key, building, forged)
		if err := o.TakeReceipt("anywhere", 0, edges); err != nil {
			t.Error(err)
		}
		forged.Hash[0] ^= 1
		if err := o.TakeReceipt("anywhere", 0, record.SignReceipt(w.cloud.node.Key, building, forged)); err != nil || len(o.Forked()) != 1 {
			t.Errorf("a receipt for another event: %v, told of %v", err, o.Forked())
		}
		if _, unsettled := o.Kept(); unsettled != 1 {
			t.Errorf("%d unsettled, want 1", unsettled)
		}
	})
}

// An app that saw another's value at the cloud replaces it at an edge that is cut off and
// knows neither the value nor who wrote it. It brings what proves the number, also after
// it was killed, and edge and cloud agree without a conflict (SPEC R9).
func TestProofsTravel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	theirs, mine := w.install("theirs", "tess", tess), w.install("mine", "tom", tom)
	theirs.report(leak, "theirs")
	mine.exchange(w.edge) // it knows the edge, and the edge knows nothing
	theirs.exchange(w.cloud)
	mine.exchange(w.cloud)
	mine.start()
	mine.write(leak, text("title", "mine"))
	mine.exchange(w.edge)
	if got := w.edge.title(leak); got != "mine" {
		t.Fatalf("the edge shows %q", got)
	}
	w.reconcile()
	for _, s := range []*server{w.edge, w.cloud} {
		if got := s.stored(leak).Siblings("title"); len(got) != 1 || s.title(leak) != "mine" {
			t.Fatalf("the %s has %d titles and shows %q, want one", s.name, len(got), s.title(leak))
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := w.install("phone", "tom", tom)
	d.report(leak, "leak")
	d.write(leak, text("priority", "urgent"))
	d.exchange(w.cloud)
	d.write(leak, text("status", "cancelled"))
	before := d.disk
	o, err := phone.New(d.c, before)
	if err != nil {
		t.Fatal(err)
	}
	after, err := o.Save()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Fatal("load and save changed the state")
	}
	other := d.c
	other.Key = named("another phone")
	for name, c := range map[string]struct {
		config phone.Config
		saved  []byte
	}{"AnotherKey": {other, before}, "CutOff": {d.c, before[:len(before)-1]}, "Garbage": {d.c, []byte("garbage")}} {
		if _, err := phone.New(c.config, c.saved); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
}
