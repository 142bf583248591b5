package ingest

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/rules"
)

// register is a Sink of which only is asked who is in service.
type register struct {
	Sink
	out map[string]bool
}

func (r register) Known(hardware string) (Place, bool) { return Place{}, !r.out[hardware] }
func (r register) OutOfService(hardware string) bool   { return r.out[hardware] }

// TestOutOfService: alarms of a device that was taken out of service end, once that is sure, and
// those of all others go on.
func TestOutOfService(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sink := register{out: map[string]bool{}}
	in, err := New(Config{Building: "oak", Link: Link{URL: "tcp://127.0.0.1:1"}, Now: func() time.Time { return now }}, sink, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const many = 3 * serviceStep
	for n := range many {
		o := decode.Observation{Hardware: fmt.Sprint("d", n), Key: "leak", Kind: decode.Leak, Value: decode.BoolValue(true), ArrivalTime: now}
		in.service.watch(o.Hardware)
		in.engine.Observe(in.fact(o, Place{}))
	}
	for s := range 100 {
		now = now.Add(time.Second)
		sink.out["d7"] = s > 10 && s < 20 // for a moment only
		if got := in.letGo(now); len(got) != 0 {
			t.Fatalf("let go: %+v", got)
		}
	}
	sink.out["d5"] = true
	gone := now
	var ended []rules.Effect
	for range 200 {
		now = now.Add(time.Second)
		ended = append(ended, in.letGo(now)...)
	}
	if len(ended) != 1 || ended[0].What != rules.Clear || ended[0].Alarm.Device != "d5" || ended[0].Alarm.Cleared.Sub(gone) < serviceGone {
		t.Fatalf("%+v", ended)
	}
	if open := len(in.engine.Open()); open != many-1 {
		t.Errorf("%d alarms are open", open)
	}
}

// TestBoxSaysThatItHearsNobody: two minutes without the broker are an alarm of the box itself, which
// ends when the broker is back; nobody else is taken for silent meanwhile.
func TestBoxSaysThatItHearsNobody(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	in, err := New(Config{Building: "oak", Box: "box:1", Link: Link{URL: "tcp://127.0.0.1:1"}, Now: func() time.Time { return now }}, register{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	in.engine.Observe(in.fact(decode.Observation{Hardware: "d", Key: "leak", Kind: decode.Leak, Value: decode.BoolValue(false), ArrivalTime: now}, Place{}))
	var got []string
	for s := range 40 * 3600 {
		now = now.Add(time.Second)
		there := s < 60 || s > 39*3600
		for _, e := range append(in.reaches(now, there), in.engine.Tick(now, there)...) {
			got = append(got, fmt.Sprint(s, [...]string{"", " raise ", " mark ", " clear "}[e.What], e.Alarm.Cause, " ", e.Alarm.Device))
		}
	}
	if want := "[180 raise unheard box:1 140431 clear unheard box:1]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}
