package cloud

import (
	"context"
	"slices"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
)

// silent is what a building shows of its boxes' silences.
func silent(t *testing.T, p *process, building record.ID) (open, ended []desk.Alarm, tickets int) {
	t.Helper()
	manager := desk.Caller{Person: record.DerivedID("bootstrap admin", adminEmail), Admin: true}
	alarms, err := p.desk.Alarms(t.Context(), manager, building, desk.AlarmFilter{}, desk.Page{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alarms.Items {
		if a.State == "cleared" {
			ended = append(ended, a)
		} else {
			open = append(open, a)
		}
	}
	list, err := p.desk.Tickets(t.Context(), manager, building, desk.TicketFilter{}, desk.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return open, ended, list.Total
}

// TestBoxSilent: a box that is out of touch for longer than is allowed is one alarm with one
// ticket, whichever process notices and however often it starts anew; the alarm ends once the
// box is in touch again, and a later silence joins the ticket while it is open.
func TestBoxSilent(t *testing.T) {
	t.Parallel()
	p := start(t, pgtest.Database(t))
	building := p.building("OAK")
	b := enrol(t, p, building)
	b.connect(p)
	list := edges{fleet: p.fleet, links: p.links, lines: p.lines, now: time.Now}
	// What is looked at lies two days back, for hours pass here, and no alarm is of the future.
	const back = -48 * time.Hour
	boxes := func(ctx context.Context) ([]httpapi.EdgeView, error) {
		all, err := list.Edges(ctx, nil)
		for i := range all {
			if at := all[i].HeardAt; at != nil {
				then := at.Add(back)
				all[i].HeardAt = &then
			}
		}
		return all, err
	}
	view := func() httpapi.EdgeView {
		all, err := boxes(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0]
	}
	eventually(t, "the box to be in touch", func() bool { return view().Connected && view().HeardAt != nil })
	const after = 15 * time.Minute
	now := time.Now().Add(back)
	one, two := newWatchman(after, boxes, p.alone, p.desk, quiet()), newWatchman(after, boxes, p.alone, p.desk, quiet())
	look := func(later time.Duration, who ...*watchman) {
		t.Helper()
		now = now.Add(later)
		for _, w := range who {
			if err := w.once(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect := func(what string, wantOpen, wantEnded, wantTickets int) []desk.Alarm {
		t.Helper()
		open, ended, tickets := silent(t, p, building)
		if len(open) != wantOpen || len(ended) != wantEnded || tickets != wantTickets {
			t.Fatalf("%s: open %+v, ended %+v, %d tickets", what, open, ended, tickets)
		}
		return open
	}
	look(0, one, two)
	b.stop()
	eventually(t, "the box to be out of touch", func() bool { return !view().Connected })
	look(after-time.Minute, one, two)
	expect("a short silence", 0, 0, 0)
	look(2*time.Minute, one, two)
	if open := expect("a long one", 1, 0, 1); open[0].Cause != "box_silent" || open[0].DeviceName != "Box" || open[0].Ticket.IsZero() {
		t.Errorf("%+v", open[0])
	}
	three := newWatchman(after, boxes, p.alone, p.desk, quiet()) // a process that begins meanwhile
	look(time.Hour, one, three)
	look(time.Hour, one, three)
	expect("seen by others", 1, 0, 1)

	b.connect(p)
	eventually(t, "the box to be back", func() bool { return view().Connected })
	four := newWatchman(after, boxes, p.alone, p.desk, quiet()) // it knows of no alarm, and finds one that is over
	look(time.Second, one)
	expect("a moment in touch", 1, 0, 1)
	look(2*boxBackFor, one)
	expect("in touch again", 0, 1, 1)
	b.stop()
	eventually(t, "the box to be out of touch again", func() bool { return !view().Connected })
	look(after+time.Minute, one, two, three)
	expect("silent again: it joins its ticket", 1, 1, 1)
	b.connect(p)
	eventually(t, "the box to be back again", func() bool { return view().Connected })
	look(time.Second, four)
	expect("whoever raised it is gone", 0, 2, 1)
}

// TestNoBoxHeard: where no box at all is heard of several, it is the cloud that hears nothing.
func TestNoBoxHeard(t *testing.T) {
	t.Parallel()
	p := start(t, pgtest.Database(t))
	building := p.building("OAK")
	began := time.Now().Add(-48 * time.Hour) // no alarm is of the future
	var boxes []httpapi.EdgeView
	for _, name := range []string{"a", "b", "c"} {
		boxes = append(boxes, httpapi.EdgeView{ID: record.DerivedID(name), Building: building, HeardAt: &began, Connected: true})
	}
	w := newWatchman(time.Minute, func(context.Context) ([]httpapi.EdgeView, error) { return slices.Clone(boxes), nil }, p.alone, p.desk, quiet())
	look := func(at time.Duration) {
		t.Helper()
		if err := w.once(t.Context(), began.Add(at)); err != nil {
			t.Fatal(err)
		}
	}
	look(0)
	for i := range boxes {
		boxes[i].Connected = false
	}
	look(30 * time.Second)
	look(time.Hour)
	if open, _, tickets := silent(t, p, building); len(open) > 0 || tickets > 0 {
		t.Fatalf("%+v, %d tickets", open, tickets)
	}
	boxes[0].Connected = true
	look(time.Hour + 30*time.Second)
	if open, _, _ := silent(t, p, building); len(open) > 0 {
		t.Fatalf("as soon as one is heard: %+v", open)
	}
	look(time.Hour + 3*time.Minute)
	if open, _, _ := silent(t, p, building); len(open) != 2 {
		t.Fatalf("the others stay silent: %+v", open)
	}
	boxes[1].Revoked = true
	look(time.Hour + 20*time.Minute)
	if open, _, _ := silent(t, p, building); len(open) != 1 || open[0].Hardware != desk.BoxHardware(boxes[2].ID) {
		t.Fatalf("one was revoked: %+v", open)
	}
}
