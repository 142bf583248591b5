package cloud

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/httpapi"
	"estate/internal/httpapi/live"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/record"
)

func (p *process) edges(building record.ID) []httpapi.EdgeView {
	p.t.Helper()
	var got httpapi.EdgesBody
	p.want(http.StatusOK, http.MethodGet, "/buildings/"+building.String()+"/edges", p.token, nil, &got)
	return got.Items
}

func (p *process) edge(b *box) httpapi.EdgeView {
	p.t.Helper()
	list := p.edges(b.building)
	if len(list) != 1 || list[0].ID != b.key.ID() {
		p.t.Fatalf("edges: %+v", list)
	}
	return list[0]
}

func (b *box) report(state, lane string) httpapi.EdgeReport {
	now := time.Now()
	return httpapi.EdgeReport{At: now, Version: "1.2", Link: httpapi.LinkStatus{State: state, Since: now, Lane: lane, ReceiptAt: &now}}
}

func (b *box) tell(p *process, r httpapi.EdgeReport) {
	b.t.Helper()
	token, _ := b.session(p)
	p.want(http.StatusOK, http.MethodPost, httpapi.PathEdgeState, token, r, nil)
}

// TestEdgeStates takes one edge through its life, at two processes of one cloud.
func TestEdgeStates(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	one, two := start(t, database), start(t, database)
	oak := one.building("oak")
	if list := one.edges(oak); len(list) != 0 {
		t.Fatalf("never enrolled: %+v", list)
	}
	b := enrol(t, one, oak)
	if e := two.edge(b); e.Connected || e.Revoked || e.HeardAt != nil || e.Link != nil || e.ReportedAt != nil || e.EnrolledAt == nil {
		t.Fatalf("enrolled and never in touch: %+v", e)
	}
	b.connect(two)
	for _, p := range []*process{one, two} {
		eventually(t, "connected", func() bool { return p.edge(b).Connected })
	}
	if e := one.edge(b); e.Link != nil || e.HeardAt == nil {
		t.Errorf("connected, and nothing reported yet: %+v", e)
	}
	b.tell(one, b.report("synced", "websocket"))
	if e := two.edge(b); e.Link == nil || e.Link.State != "synced" || e.Version != "1.2" || e.ReportedAt == nil || e.Behind == nil || *e.Behind != 0 {
		t.Errorf("reported: %+v", e)
	}
	// It reports transactions that this database does not hold: no receipt can be true.
	r := b.report("synced", "websocket")
	r.Replica, r.N = record.DerivedID("chain"), 3
	b.tell(one, r)
	if e := two.edge(b); e.Link.State != "syncing" || *e.Behind != 3 || e.SyncedTo != 0 {
		t.Errorf("ahead of the cloud: %+v", e)
	}
	b.tell(one, b.report("synced", "websocket"))
	b.stop()
	for _, p := range []*process{one, two} {
		eventually(t, "offline", func() bool { return !p.edge(b).Connected })
		if e := p.edge(b); e.Link.State != "offline" || e.Link.ReceiptAt == nil || e.Link.Since.IsZero() {
			t.Errorf("offline: %+v", e.Link)
		}
	}
	// Without a WebSocket a report is being in touch, for a while.
	b.tell(one, b.report("synced", "post"))
	if e := two.edge(b); !e.Connected || e.Link.State != "synced" {
		t.Errorf("on the other lane: %+v", e)
	}
	one.want(http.StatusNoContent, http.MethodDelete, "/edges/"+b.key.ID().String(), one.token, nil, nil)
	if e := two.edge(b); e.Connected || !e.Revoked || e.Link.State != "offline" {
		t.Errorf("revoked: %+v", e)
	}
	if _, status := b.session(two); status != http.StatusForbidden {
		t.Errorf("a revoked edge asks for a session: %d", status)
	}
}

// TestRevokeElsewhere: a line ends at the word of whichever process revokes its edge; it is not
// looked at again in this test.
func TestRevokeElsewhere(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	one, two := start(t, database), start(t, database)
	b := enrol(t, one, one.building("oak"))
	b.connect(two)
	one.want(http.StatusNoContent, http.MethodDelete, "/edges/"+b.key.ID().String(), one.token, nil, nil)
	eventually(t, "the line is cut", func() bool { return !two.links.Connected(b.building, b.key.ID()) })
	eventually(t, "the edge says why", func() bool {
		return b.uplink.Status(t.Context()).Code == string(problem.NodeRevoked)
	})
}

// TestStoppedProcess: what a process held ends with it.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	one, two := start(t, database), start(t, database)
	b := enrol(t, one, one.building("oak"))
	b.connect(two)
	eventually(t, "connected", func() bool { return one.edge(b).Connected })
	two.stop()
	if one.edge(b).Connected {
		t.Error("connected to a process that has stopped")
	}
}

// TestEdgesArePushed: a manager at one process sees what happens at another.
func TestEdgesArePushed(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	one, two := start(t, database), start(t, database)
	b := enrol(t, one, one.building("oak"))
	dialer := websocket.Dialer{Subprotocols: []string{live.Subprotocol, "estate.bearer." + one.token}}
	socket, answer, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(one.base, "http")+"/ws", nil)
	if err != nil {
		t.Fatalf("%v: %v", err, answer)
	}
	t.Cleanup(func() { _ = socket.Close() })
	if err := socket.WriteJSON(map[string]any{"type": "subscribe", "building": b.building}); err != nil {
		t.Fatal(err)
	}
	told := func(what string, holds func(httpapi.EdgeView) bool) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for {
			var m struct {
				Type     string
				Building record.ID
				Edge     httpapi.EdgeView
			}
			if err := socket.ReadJSON(&m); err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			if m.Type == "edge" && m.Building == b.building && m.Edge.ID == b.key.ID() && holds(m.Edge) {
				return
			}
		}
	}
	told("the edge as it is", func(e httpapi.EdgeView) bool { return !e.Connected })
	b.connect(two)
	told("the connection", func(e httpapi.EdgeView) bool { return e.Connected })
	b.tell(two, b.report("synced", "websocket"))
	told("the report", func(e httpapi.EdgeView) bool { return e.Link != nil && e.Link.State == string(synclink.Synced) })
	b.stop()
	told("the end", func(e httpapi.EdgeView) bool { return !e.Connected && e.Link.State == string(synclink.Offline) })
	two.want(http.StatusNoContent, http.MethodDelete, "/edges/"+b.key.ID().String(), two.token, nil, nil)
	told("the revocation", func(e httpapi.EdgeView) bool { return e.Revoked })
}

// TestReportsThatAreRefused: who may not report, and what is no report.
func TestReportsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := start(t, pgtest.Database(t))
	b := enrol(t, p, p.building("oak"))
	token, _ := b.session(p)
	whole, err := json.Marshal(b.report("synced", "websocket"))
	if err != nil {
		t.Fatal(err)
	}
	bad := b.report("fine", "websocket")
	for name, c := range map[string]struct {
		token  string
		body   any
		status int
		code   problem.Code
	}{
		"NoToken":      {"", whole, http.StatusUnauthorized, problem.Unauthenticated},
		"PersonsToken": {p.token, whole, http.StatusUnauthorized, problem.TokenInvalid},
		"UnknownField": {token, append([]byte(`{"more":1,`), whole[1:]...), http.StatusBadRequest, problem.InvalidInput},
		"TwoValues":    {token, append(bytes.Clone(whole), whole...), http.StatusBadRequest, problem.InvalidInput},
		"NotJSON":      {token, []byte("\xff"), http.StatusBadRequest, problem.InvalidInput},
		"BadState":     {token, bad, http.StatusBadRequest, problem.InvalidInput},
		"Large":        {token, append([]byte(`{"version":"`), bytes.Repeat([]byte("x"), httpapi.EdgeReportBytesMax)...), http.StatusRequestEntityTooLarge, problem.TooLarge},
	} {
		status, text := p.ask(http.MethodPost, httpapi.PathEdgeState, c.token, c.body, nil)
		if status != c.status || !strings.Contains(text, `"`+string(c.code)+`"`) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if e := p.edge(b); e.ReportedAt != nil {
		t.Errorf("something was kept: %+v", e)
	}
	if e := p.edge(b); e.Link != nil || e.Connected {
		t.Errorf("something counted: %+v", e)
	}
}
