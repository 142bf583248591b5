package storetest

import (
	"maps"
	"strings"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

func feedOrder(t *testing.T, s replica.Store) {
	from := id("replica", 1)
	mustUpdate(t, s, building1, func(w *writer) {
		w.event(from, 1, "card", w.position())
		w.record("ticket", id("t", 1), "one")
		w.record("ticket", id("t", 2), "two")
		w.event(from, 2, "second", w.position())
		w.record("note", id("t", 1), "a note with a ticket's id")
	})
	mustUpdate(t, s, building2, func(w *writer) { w.record("ticket", id("t", 1), "elsewhere") })
	mustUpdate(t, s, building1, func(w *writer) { w.record("ticket", id("t", 1), "one moved") })
	page := mustFeed(t, s, building1, 0)
	equal(t, "positions", positions(page), []uint64{1, 3, 4, 5, 6})
	equal(t, "end", page.End, uint64(6))
	equal(t, "state", page.State, mustLoad(t, s, building1, replica.Need{}).State)
	last := page.Items[4]
	equal(t, "key", last.Key, record.Key{Building: building1, Kind: "ticket", ID: id("t", 1)})
	e := page.Items[2].Event
	if e == nil || e.Replica != from || e.N != 2 || string(e.Body) != "second" || e.Hash != record.HashEvent(e.Body) || e.Position != 4 {
		t.Fatalf("event %+v", e)
	}
	equal(t, "after 4", positions(mustFeed(t, s, building1, 4)), []uint64{5, 6})
	equal(t, "after the end", positions(mustFeed(t, s, building1, 6)), []uint64{})
	equal(t, "after what was never there", positions(mustFeed(t, s, building1, ^uint64(0))), []uint64{})
}

func feedPaging(t *testing.T, s replica.Store) {
	ctx := testContext(t)
	mustUpdate(t, s, building1, func(w *writer) {
		for n := range 20 {
			w.record("ticket", id("t", n), strings.Repeat("x", 1000))
		}
	})
	for _, c := range []struct{ limit, bytes, want int }{{7, 1 << 20, 7}, {100, 1 << 20, 20}, {100, 1, 1}, {0, 0, 1}, {1, 1 << 20, 1}, {100, 3500, 4}} {
		page, err := s.Feed(ctx, building1, 0, c.limit, c.bytes)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) != c.want || page.End != 20 {
			t.Fatalf("limit %d, %d bytes: %d items to %d, want %d to 20", c.limit, c.bytes, len(page.Items), page.End, c.want)
		}
	}
	var got []uint64
	for after := uint64(0); after < 20; after = got[len(got)-1] {
		page, err := s.Feed(ctx, building1, after, 3, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, positions(page)...)
	}
	ascending(t, got)
	equal(t, "items in all pages", len(got), 20)
}

func largePage(t *testing.T, s replica.Store) {
	const rows = 2000
	keys := []record.Key{}
	var dots []record.Dot
	for round := range 2 {
		mustUpdate(t, s, building1, func(w *writer) {
			keys = keys[:0]
			for n := range rows {
				kind := []string{"ticket", "message", "of a later release"}[n%3]
				keys = append(keys, w.record(kind, id("r", n), strings.Repeat("x", 100+round)))
				w.event(id("replica", round), uint64(n+1), "e", w.position())
				// What is known to be new may take another way into the store.
				w.effects.Records[n].New, w.effects.Events[n].New = round == 0, n%2 == 0
				w.effects.Events[n].Details = []byte(strings.Repeat("d", n%4))
				dots = append(dots, record.Dot{Replica: id("replica", round), N: uint64(n + 1)})
			}
		})
	}
	have := mustLoad(t, s, building1, replica.Need{Keys: keys, Events: dots})
	equal(t, "records", len(have.Records), rows)
	equal(t, "events", len(have.Events), 2*rows)
	// Each third is asked for, from the end, twice, and with numbers that are nowhere.
	some := []record.Dot{{Replica: id("replica", 0), N: rows + 1}, {Replica: id("replica", 0), N: 1<<63 - 1}, {Replica: id("replica", 0), N: 1 << 63}, {Replica: id("replica", 9), N: 1}}
	want := map[record.Dot]record.Hash{}
	for n := len(dots) - 1; n >= 0; n -= 3 {
		some = append(some, dots[n], dots[n])
		want[dots[n]] = record.HashEvent([]byte("e"))
	}
	equal(t, "events of those asked for", maps.Equal(mustLoad(t, s, building1, replica.Need{Events: some}).Events, want), true)
	for _, k := range keys {
		if title, _ := have.Records[k].Record.Siblings("title")[0].Value.AsText(); len(title) != 101 {
			t.Fatalf("%s is of the first round", k)
		}
	}
	page := mustFeed(t, s, building1, 0)
	ascending(t, positions(page))
	equal(t, "items", len(page.Items), 3*rows)
	equal(t, "end", page.End, uint64(4*rows))
	for n, e := range []*replica.EventRow{page.Items[0].Event, page.Items[2].Event, page.Items[3].Event} {
		if e == nil || string(e.Body) != "e" || e.Hash != record.HashEvent([]byte("e")) || len(e.Details) >= 4 {
			t.Fatalf("event %d of the page: %+v", n, e)
		}
	}
}

func largeRecord(t *testing.T, s replica.Store) {
	key := record.Key{Building: building1, Kind: "of a later release", ID: id("r", 1)}
	r := MakeRecord(author, 1, "x")
	for n := range 7 {
		v := record.Text(strings.Repeat("y", 63<<10))
		r = r.With(strings.Repeat("f", n+1), []record.Sibling{{Dot: record.Dot{Replica: author, N: 1}, Class: record.Person, Value: v}})
	}
	mustUpdate(t, s, building1, func(w *writer) {
		w.effects.Records = []replica.RecordRow{Row(key, w.position(), r)}
		w.effects.Events = []replica.EventRow{{Replica: author, N: 1, Body: make([]byte, record.EventBytesMax), Details: make([]byte, record.DetailsBytesMax), Position: w.position()}}
	})
	page := mustFeed(t, s, building1, 0)
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(body) < record.RecordBytesMax*8/10 || string(page.Items[0].Body) != string(body) || len(page.Items[1].Event.Details) != record.DetailsBytesMax {
		t.Fatalf("a record of %d bytes did not come back whole", len(body))
	}
}
