package edge_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"estate/edge"
	"estate/edge/internal/outbound"
	"estate/sync/record"
)

// TestOrdersThroughMosquitto: with a mosquitto in place of the box's own broker a valve is ordered,
// hears the time before its order and answers; and a technician's device finds in its session what
// came while it was away.
func TestOrdersThroughMosquitto(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	m := newMosquitto(t)
	b := onMosquitto(t, c, m)
	building := c.building.String()
	login, tess := b.login(edge.LoginInput{Name: "cellar"}), b.technician(c, "tess")
	if files := m.write(b.cfg); len(files.LeftOut) > 0 {
		t.Errorf("left out: %q", files.LeftOut)
	}
	m.start()
	eventually(t, "the box hears", func() bool { return b.hearing(building).Heard })

	first := b.listen(m.listen, tess, true, nil, tess.Topic, "estate/v1/oak/time")
	assign := func(title string) {
		t.Helper()
		if status := b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]any{"title": title, "assignee": record.DerivedID("tess")}, nil); status != http.StatusCreated {
			t.Fatalf("create: %d", status)
		}
	}
	eventually(t, "an assignment, and so the session", func() bool {
		assign("While it is there")
		return len(first.inbox(outbound.InboxAssignment)) > 0
	})
	first.stop()
	assign("While it was away")

	own := strings.TrimSuffix(login.Topic, "state")
	valve := connect(t, m.listen, login, own+"set", "estate/v1/oak/time")
	valve.publish(own+"announcement", []byte(`{"name":"Cellar","entities":{"valve":{"component":"valve"}}}`), true)
	valve.publish(own+"state", []byte(`{"valve":"open"}`), false)
	s := b.adopted(building, "plain:oak/cellar")
	valve.publish(own+"state", []byte(`{"valve":"open"}`), false)
	s.control("valve", "open")
	asked := s.order("valve", "closed")
	var told struct{ ID, Value string }
	if err := json.Unmarshal(valve.ordered(own+"set", 0).payload, &told); err != nil || told.Value != "close" || told.ID != asked.ID.String() {
		t.Errorf("told %+v, %v", told, err)
	}
	if len(valve.all("estate/v1/oak/time")) == 0 {
		t.Error("the time was not told before the order")
	}
	valve.publish(own+"answer", []byte(`{"id":"`+told.ID+`","entity":"valve","result":"done","value":"closed"}`), false)
	if got := s.ends(asked); got.State != "answered" || got.Answer != "closed" {
		t.Errorf("the order: %+v", got)
	}

	again := b.listen(m.listen, tess, true, nil, tess.Topic)
	eventually(t, "what came while it was away", func() bool {
		return slices.ContainsFunc(again.inbox(outbound.InboxAssignment), func(one outbound.Inbox) bool { return one.Ticket.Title == "While it was away" })
	})
}
