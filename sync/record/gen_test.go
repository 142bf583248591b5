package record_test

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"estate/sync/hlc"
	"estate/sync/record"
)

// Generators of well-formed values, records, events and details.

func drawID(t *rapid.T, label string) record.ID {
	var id record.ID
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	id[0] |= 1 // never zero
	return id
}

func drawValue(t *rapid.T) record.Value {
	return rapid.OneOf(
		rapid.Map(rapid.StringN(0, 40, -1), record.Text),
		rapid.Map(rapid.Int64(), record.Int),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), record.Float),
		rapid.Map(rapid.Bool(), record.Bool),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), record.Bytes),
		rapid.SampledFrom([]record.Value{{0x80}, {0x82, 0x01, 0x61, 0x61}, {0xa1, 0x61, 0x61, 0xf5}}),
	).Draw(t, "value")
}

func drawRecord(t *rapid.T) record.Record {
	var replicas []record.ReplicaID
	for range rapid.IntRange(1, 4).Draw(t, "replicas") {
		replicas = append(replicas, drawID(t, "replica"))
	}
	dot := func() record.Dot {
		return record.Dot{Replica: rapid.SampledFrom(replicas).Draw(t, "of"), N: rapid.Uint64Range(1, 1<<40).Draw(t, "n")}
	}
	var r record.Record
	for range rapid.IntRange(0, 4).Draw(t, "fields") {
		var siblings []record.Sibling
		for range rapid.IntRange(1, 3).Draw(t, "siblings") {
			siblings = append(siblings, record.Sibling{Dot: dot(), Stamp: hlc.Stamp(rapid.Uint64().Draw(t, "stamp")),
				Class: rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class"), Value: drawValue(t)})
		}
		r = r.With(rapid.StringMatching(`[a-z_]{1,20}`).Draw(t, "field"), siblings)
	}
	for range rapid.IntRange(0, 3).Draw(t, "entries") {
		r.Context.Vector = append(r.Context.Vector, dot())
	}
	slices.SortFunc(r.Context.Vector, record.Dot.Compare)
	r.Context.Vector = slices.CompactFunc(r.Context.Vector, func(a, b record.Dot) bool { return a.Replica == b.Replica })
	for range rapid.IntRange(0, 3).Draw(t, "dots") {
		r.Context.Dots = append(r.Context.Dots, record.FieldDot{Field: rapid.StringMatching(`[a-z_]{1,20}`).Draw(t, "dot field"), Dot: dot()})
	}
	slices.SortFunc(r.Context.Dots, record.FieldDot.Compare)
	r.Context.Dots = slices.Compact(r.Context.Dots)
	return r
}

// drawEvent draws an event with its details, consistent with each other.
func drawEvent(t *rapid.T) (record.Event, record.Details) {
	e := record.Event{Building: drawID(t, "building"), Replica: drawID(t, "replica"), N: rapid.Uint64Range(2, 1<<50).Draw(t, "n"),
		Prev: record.HashEvent([]byte{1}), Stamp: hlc.Stamp(rapid.Uint64().Draw(t, "stamp")), EventTime: rapid.Int64().Draw(t, "time"),
		Actor:  record.Actor{Class: rapid.SampledFrom([]record.Class{record.Person, record.Automation}).Draw(t, "class"), Person: drawID(t, "person"), Name: rapid.StringN(0, 10, -1).Draw(t, "name")},
		Action: rapid.StringN(0, 10, 64).Draw(t, "action")}
	for range rapid.IntRange(0, 3).Draw(t, "erasures") {
		e.Erasures = append(e.Erasures, record.Dot{Replica: drawID(t, "erased"), N: rapid.Uint64Range(1, 99).Draw(t, "erased n")})
	}
	slices.SortFunc(e.Erasures, record.Dot.Compare)
	e.Erasures = slices.Compact(e.Erasures)
	var details record.Details
	for i := range rapid.IntRange(0, 3).Draw(t, "touches") {
		d := record.Detail{Salt: rapid.SliceOfN(rapid.Byte(), record.SaltBytes, record.SaltBytes).Draw(t, "salt")}
		touch := record.Touch{Kind: "ticket", ID: rapid.SampledFrom([]record.ID{e.Building, e.Replica}).Draw(t, "touched"), Field: fmt.Sprint("field", i)}
		for range rapid.IntRange(0, 2).Draw(t, "replaced") {
			touch.Replaced = append(touch.Replaced, record.Dot{Replica: drawID(t, "replaced"), N: rapid.Uint64Range(1, 9).Draw(t, "replaced n")})
			d.Old = append(d.Old, drawValue(t))
		}
		if rapid.Bool().Draw(t, "adds") {
			d.New = append(d.New, drawValue(t))
		}
		touch.Old, touch.New = record.HashValues(d.Salt, record.LabelOld, d.Old), record.HashValues(d.Salt, record.LabelNew, d.New)
		e.Touches, details = append(e.Touches, touch), append(details, d)
	}
	return e, details
}
