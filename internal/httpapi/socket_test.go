package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/httpapi/live"
	"estate/sync/record"
)

// patience bounds what a test waits for; nothing waits for it to pass.
const patience = time.Minute

// client is a WebSocket as an app holds it.
type client struct {
	t      testing.TB
	socket *websocket.Conn
}

type pushed struct {
	Type, Kind, Cursor, Code string
	Building, ID, Ticket     record.ID
	Position                 uint64
	Reset                    bool
	Record                   json.RawMessage
	Link                     json.RawMessage
	Edge                     json.RawMessage
}

// connect opens a WebSocket as a browser does, with the token as a subprotocol.
func (w *world) connect(name string) *client {
	w.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{live.Subprotocol, "estate.bearer." + w.token(name)}}
	socket, answer, err := dialer.DialContext(w.t.Context(), "ws"+strings.TrimPrefix(w.server.URL, "http")+"/ws", nil)
	if err != nil {
		w.t.Fatalf("connect as %s: %v %v", name, err, answer)
	}
	if socket.Subprotocol() != live.Subprotocol {
		w.t.Errorf("the server selected %q", socket.Subprotocol())
	}
	w.t.Cleanup(func() { _ = socket.Close() })
	return &client{w.t, socket}
}

func (c *client) send(v any) {
	c.t.Helper()
	if err := c.socket.WriteJSON(v); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) next() pushed {
	c.t.Helper()
	if err := c.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	var p pushed
	if err := c.socket.ReadJSON(&p); err != nil {
		c.t.Fatalf("waiting for a message: %v", err)
	}
	return p
}

// closed waits for the end of the connection and gives its code.
func (c *client) closed() int {
	c.t.Helper()
	if err := c.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	for {
		_, _, err := c.socket.ReadMessage()
		var end *websocket.CloseError
		if errors.As(err, &end) {
			return end.Code
		}
		if err != nil {
			c.t.Fatalf("waiting for the end: %v", err)
		}
	}
}

func (c *client) subscribe(building record.ID, cursor string) pushed {
	c.t.Helper()
	c.send(map[string]any{"type": "subscribe", "building": building, "cursor": cursor})
	p := c.next()
	if p.Type != "subscribed" || p.Building != building {
		c.t.Fatalf("subscribe: %+v", p)
	}
	return p
}

// change waits for a change of a kind, passing over others.
func (c *client) change(kind string) pushed {
	c.t.Helper()
	for {
		if p := c.next(); p.Type == "change" && p.Kind == kind {
			return p
		}
	}
}

func TestSocketPushesWhatMayBeSeen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	manager, tenant := w.connect("manager"), w.connect("tenant")
	manager.subscribe(w.oak, "")
	tenant.subscribe(w.oak, "")
	elsewhere := must(w.desk.CreateTicket(t.Context(), desk.Caller{Person: person("manager")}, w.oak, desk.NewTicket{Title: "Boiler room"})).Ticket
	ticket := w.report("tenant", "Leak under the sink")
	must(w.desk.AddNote(t.Context(), desk.Caller{Person: person("manager")}, w.oak, ticket.ID, desk.NewMessage{Text: "internal"}))
	must(w.desk.AddMessage(t.Context(), desk.Caller{Person: person("manager")}, w.oak, ticket.ID, desk.NewMessage{Text: "on our way"}))

	if got := manager.change("ticket"); got.ID != elsewhere.ID || got.Building != w.oak {
		t.Errorf("the manager was told %+v", got)
	}
	if got := manager.change("ticket"); got.ID != ticket.ID {
		t.Errorf("the manager was told %+v", got)
	}
	if got := manager.change("note"); !strings.Contains(string(got.Record), "internal") || got.Ticket != ticket.ID {
		t.Errorf("note: %+v", got)
	}
	manager.change("message")

	// The tenant gets neither the other ticket nor the note.
	got := tenant.next()
	var view desk.Ticket
	if err := json.Unmarshal(got.Record, &view); err != nil || got.Kind != "ticket" || view.ID != ticket.ID || view.Seen == "" || view.Title != "Leak under the sink" {
		t.Errorf("the tenant was told %+v %v", got, err)
	}
	if got := tenant.next(); got.Kind != "message" || !strings.Contains(string(got.Record), "on our way") {
		t.Errorf("the tenant was told %+v", got)
	}
}

func TestSocketRefusals(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *httpapi.Config) { c.Limits.Sockets = 2 })
	address := "ws" + strings.TrimPrefix(w.server.URL, "http") + "/ws"
	dial := func(header http.Header) int {
		socket, answer, err := websocket.DefaultDialer.DialContext(t.Context(), address, header)
		if err == nil {
			_ = socket.Close()
		}
		if answer == nil {
			t.Fatal(err)
		}
		return answer.StatusCode
	}
	bearer := "Bearer " + w.token("tenant")
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"NoToken":     {http.Header{}, 401},
		"OtherSite":   {http.Header{"Authorization": {bearer}, "Origin": {"https://evil.example"}}, 403},
		"OurSite":     {http.Header{"Authorization": {bearer}, "Origin": {w.server.URL}}, 101},
		"NoBrowser":   {http.Header{"Authorization": {bearer}}, 101},
		"ForgedToken": {http.Header{"Authorization": {"Bearer a.b.c"}}, 401},
	} {
		if got := dial(c.header); got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
	if got := w.call("manager", http.MethodGet, "/ws", nil); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a plain request: %d", got.StatusCode)
	}
	manager := w.connect("manager")
	w.connect("manager")
	if got := dial(http.Header{"Authorization": {"Bearer " + w.token("manager")}}); got != http.StatusTooManyRequests {
		t.Errorf("a third connection: %d", got)
	}
	for _, building := range []record.ID{w.elm, record.DerivedID("nowhere")} {
		manager.send(map[string]any{"type": "subscribe", "building": building})
		if got := manager.next(); got.Type != "ended" || got.Code == "" {
			t.Errorf("another building: %+v", got)
		}
	}
	manager.send(map[string]any{"type": "shout"})
	if got := manager.next(); got.Type != "error" {
		t.Errorf("an unknown command: %+v", got)
	}
	if err := manager.socket.WriteMessage(websocket.TextMessage, []byte("{\"type\":\"\xff")); err != nil {
		t.Fatal(err)
	}
	if code := manager.closed(); code != live.CloseInput {
		t.Errorf("no UTF-8: closed with %d", code)
	}
}

func TestSocketResumes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.connect("technician")
	start := c.subscribe(w.oak, "")
	ticket := w.report("manager", "Leak")
	// More than a hub keeps: the rest comes from the store.
	const messages = 1300
	for range messages {
		must(w.desk.AddMessage(t.Context(), desk.Caller{Person: person("manager")}, w.oak, ticket.ID, desk.NewMessage{Text: "drip"}))
	}
	cursor := ""
	for range 10 {
		cursor = c.change("message").Cursor
	}
	_ = c.socket.Close()

	again := w.connect("technician")
	if got := again.subscribe(w.oak, cursor); got.Reset {
		t.Fatalf("a good cursor was refused: %+v", got)
	}
	seen := map[record.ID]bool{}
	for len(seen) < messages-10 {
		seen[again.change("message").ID] = true
	}
	late := w.connect("technician")
	late.subscribe(w.oak, start.Cursor)
	seen = map[record.ID]bool{}
	for len(seen) < messages {
		seen[late.change("message").ID] = true
	}
	for _, bad := range []string{"nonsense", record.DerivedID("another run").String() + ".1", strings.Split(start.Cursor, ".")[0] + ".999999999999999"} {
		if got := late.subscribe(w.oak, bad); !got.Reset {
			t.Errorf("cursor %q was taken: %+v", bad, got)
		}
	}
}

func TestSocketFollowsRights(t *testing.T) {
	t.Parallel()
	w := setup(t)
	technician, tenant := w.connect("technician"), w.connect("tenant")
	technician.subscribe(w.oak, "")
	tenant.subscribe(w.oak, "")
	w.member("technician", w.oak, "technician", false)
	w.member("tenant", w.oak, "tenant", true) // no unit any more
	if code := technician.closed(); code != live.CloseForbidden {
		t.Errorf("a revoked person: closed with %d", code)
	}
	for got := tenant.next(); got.Type != "reset"; got = tenant.next() {
		if got.Kind == "ticket" {
			t.Fatalf("before the reset: %+v", got)
		}
	}
	must(w.desk.CreateTicket(t.Context(), desk.Caller{Person: person("manager")}, w.oak, desk.NewTicket{Title: "Flat 1A", Unit: w.unit}))
	own := must(w.desk.CreateTicket(t.Context(), desk.Caller{Person: person("tenant")}, w.oak, desk.NewTicket{Title: "Entrance", Category: "lift"})).Ticket
	if got := tenant.change("ticket"); got.ID != own.ID {
		t.Errorf("who left the flat was told of it: %+v", got)
	}
}

func TestSocketEnds(t *testing.T) {
	t.Parallel()
	t.Run("ServerStops", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.connect("manager")
		c.subscribe(w.oak, "")
		go w.api.Close()
		if code := c.closed(); code != websocket.CloseGoingAway {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("TokenEnds", func(t *testing.T) {
		t.Parallel()
		late := func() time.Time { return time.Now().Add(24*time.Hour - time.Second) }
		w := setup(t, func(c *httpapi.Config) { c.Now = late })
		if code := w.connect("manager").closed(); code != live.CloseExpired {
			t.Errorf("closed with %d", code)
		}
	})
	t.Run("SignOut", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(c *httpapi.Config) { c.Limits.Heartbeat = time.Second })
		c := w.connect("manager")
		signedOut := make(chan error, 1)
		go func() { signedOut <- w.auth.SignOutEverywhere(t.Context(), person("manager")) }()
		if code := c.closed(); code != live.CloseExpired { // it answers heartbeats meanwhile
			t.Errorf("closed with %d", code)
		}
		if err := <-signedOut; err != nil {
			t.Fatal(err)
		}
	})
	t.Run("SilentClient", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(c *httpapi.Config) { c.Limits.Heartbeat = 50 * time.Millisecond })
		c := w.connect("manager")
		c.socket.SetPingHandler(func(string) error { return nil }) // never answers
		if err := c.socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.socket.ReadMessage(); err == nil || strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("the server kept a client that does not answer: %v", err)
		}
	})
	t.Run("ClientThatReadsNothing", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(c *httpapi.Config) { c.Limits.SocketWrite = 2 * time.Second })
		stuck := w.connect("manager")
		if err := stuck.socket.NetConn().(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		start := stuck.subscribe(w.oak, "")
		other := w.connect("technician")
		other.subscribe(w.oak, "")
		ticket := w.report("manager", "Leak")
		// Enough that no buffer between the two takes it: 12 MB.
		text := strings.Repeat("\u20ac", 8000)
		const messages = 500
		read := make(chan struct{})
		go func() {
			defer close(read)
			for range messages { // the slow one holds nobody up
				other.change("message")
			}
		}()
		for range messages {
			must(w.desk.AddMessage(t.Context(), desk.Caller{Person: person("manager")}, w.oak, ticket.ID, desk.NewMessage{Text: text}))
		}
		<-read
		w.waitFor("the end of the slow client", func() bool { return strings.Contains(w.log.String(), `"route":"/ws"`) })
		again := w.connect("manager")
		again.subscribe(w.oak, start.Cursor)
		for range messages {
			again.change("message")
		}
	})
}

// waitFor looks again each time something is logged, until the condition holds.
func (w *world) waitFor(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("waiting for %s", what)
		case <-tick.C:
		}
	}
}

// fakeLink is an edge's link to the cloud.
type fakeLink struct {
	mu    sync.Mutex
	state string
	moved chan struct{}
}

func (f *fakeLink) Status(context.Context, record.ID) httpapi.LinkStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	return httpapi.LinkStatus{State: f.state}
}

func (f *fakeLink) Watch(record.ID) (<-chan struct{}, func()) { return f.moved, func() {} }

func TestSocketTellsStaffOfTheLink(t *testing.T) {
	t.Parallel()
	link := &fakeLink{state: "offline", moved: make(chan struct{})}
	w := setup(t, func(c *httpapi.Config) { c.Links = link })
	manager, tenant := w.connect("manager"), w.connect("tenant")
	manager.subscribe(w.oak, "")
	tenant.subscribe(w.oak, "")
	if got := manager.next(); got.Type != "sync" || !strings.Contains(string(got.Link), `"offline"`) {
		t.Errorf("first: %+v", got)
	}
	link.mu.Lock()
	link.state = "synced"
	link.mu.Unlock()
	link.moved <- struct{}{}
	if got := manager.next(); got.Type != "sync" || !strings.Contains(string(got.Link), `"synced"`) {
		t.Errorf("then: %+v", got)
	}
	w.report("tenant", "Leak")
	if got := tenant.next(); got.Type != "change" {
		t.Errorf("the tenant was told %+v", got)
	}
}
