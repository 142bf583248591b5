package edge_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/edge"
	"estate/edge/internal/outbound"
	"estate/internal/desk"
	"estate/sync/record"
)

// TestInboxOverTLS: a technician whose plain MQTT client speaks TLS to the box's own authority
// finds after a while away what concerns the technician, each once, and nothing of anybody
// else's.
func TestInboxOverTLS(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTLSListen = "127.0.0.1:0"
	b := enrolledWith(t, c, cfg)
	b.signIn()
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	b.publish(sensor, sensor.Topic, `{"leak":false}`)
	eventually(t, "the sensor", func() bool { return len(b.devices(building)) == 1 })
	b.call(http.MethodPost, fmt.Sprintf("/buildings/%s/devices/%s/adopt", building, b.devices(building)[0].ID), map[string]string{"name": "Cellar"}, nil)
	b.publish(sensor, sensor.Topic, `{"leak":true}`)
	eventually(t, "the alarm", func() bool { return len(b.alarms(building)) == 1 })
	alarm := b.alarms(building)[0]
	tess, omar := b.technician(c, "tess"), b.technician(c, "omar")
	secure := []string{"--cafile", filepath.Join(b.cfg.Data, "mqtt-ca.pem")}
	listen := func() *listener {
		return b.listen(b.MQTTTLSAddr(), tess, true, secure, tess.Topic, omar.Topic, "estate/v1/oak/tech/#", "estate/v1/oak/alarm/#")
	}
	create := func(body map[string]any) (made desk.Ticket) {
		t.Helper()
		if status := b.call(http.MethodPost, "/buildings/"+building+"/tickets", body, &struct{ Ticket *desk.Ticket }{&made}); status != http.StatusCreated {
			t.Fatalf("create: %d", status)
		}
		return made
	}
	first := listen()
	eventually(t, "the alarm that stands, and so the session", func() bool { return len(first.heard("estate/v1/oak/alarm/"+alarm.ID.String())) > 0 })
	first.stop()

	hers := create(map[string]any{"title": "Hers", "assignee": record.DerivedID("tess")})
	create(map[string]any{"title": "His", "assignee": record.DerivedID("omar")})
	if status := b.call(http.MethodPost, "/buildings/"+building+"/alarms/"+alarm.ID.String()+"/acknowledge", nil, nil); status != http.StatusOK {
		t.Fatalf("acknowledge: %d", status)
	}

	again := listen()
	eventually(t, "the assignment, the alarm and that there is more", func() bool {
		return slices.ContainsFunc(again.inbox(outbound.InboxAssignment), func(m outbound.Inbox) bool { return m.ID == hers.ID && m.Ticket.Title == "Hers" }) &&
			slices.ContainsFunc(again.inbox(outbound.InboxAlarm), func(m outbound.Inbox) bool { return m.ID == alarm.ID && m.Alarm.State == "acknowledged" }) &&
			len(again.inbox(outbound.InboxSync)) > 0
	})
	for _, l := range []*listener{first, again} {
		if foreign := l.heard(omar.Topic); len(foreign) > 0 {
			t.Errorf("another's inbox: %s", foreign)
		}
		for _, m := range l.inbox(outbound.InboxAssignment) {
			if m.Ticket.Title == "His" {
				t.Error("another's assignment")
			}
		}
	}
}
