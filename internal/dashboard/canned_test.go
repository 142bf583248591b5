package dashboard_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/dashboard"
)

// policy is stricter than what the page is served with: the page must work under it.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

type object = map[string]any

// canned plays the API with data that a test can change: the page is what is tested here,
// and the API is tested where it is made.
type canned struct {
	*httptest.Server
	mu        sync.Mutex
	tickets   []object
	conflicts []object
	alarms    []object
	edges     []object
	assetPart
	devicePart
	rulePart
	messages []object
	requests []string
	sockets  map[*websocket.Conn]bool
	position int
	down     bool // the WebSocket is refused
	stale    bool // cursors are refused
}

func serve(t *testing.T, now time.Time) *canned {
	t.Helper()
	c := &canned{sockets: map[*websocket.Conn]bool{}, position: 100}
	c.fill(now)
	c.assetPart.fill()
	c.devicePart.fill(now)
	c.rulePart.fill()
	mux := http.NewServeMux()
	files := http.FileServerFS(dashboard.Files())
	mux.HandleFunc("/dashboard/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		http.StripPrefix("/dashboard", files).ServeHTTP(w, r)
	})
	mux.HandleFunc("/ws", c.socket)
	mux.HandleFunc("/", c.api)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(func() { c.cut(); c.Close() })
	return c
}

func (c *canned) api(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r.Method+" "+r.URL.Path)
	var body object
	_ = json.NewDecoder(r.Body).Decode(&body) // most requests have none
	route := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/buildings/b1")
	status, out := c.answer(route, r, body)
	if strings.HasSuffix(route, "/thumbnail") || strings.HasSuffix(route, "/content") {
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(picture())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if out != nil {
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (c *canned) answer(route string, r *http.Request, body object) (int, any) {
	if status, out, ok := c.device(route, body); ok {
		return status, out
	}
	if status, out, ok := c.asset(route, body); ok {
		return status, out
	}
	if status, out, ok := c.rule(route, body); ok {
		return status, out
	}
	switch route {
	case "POST /auth/login":
		if body["password"] != "correct horse" {
			return 401, object{"code": "sign_in_failed", "message": "The e-mail address or the password is wrong", "remedy": "Check both and try again, or ask a manager to reset the password."}
		}
		return 200, tokens()
	case "POST /auth/refresh":
		return 200, tokens()
	case "GET /auth/me":
		return 200, object{"person": "p1", "operator": true, "buildings": []object{{"id": "b1", "name": "Oak House", "code": "OAK", "role": "admin"}, {"id": "b2", "name": "Elm Court", "code": "ELM", "role": "manager"}}}
	case "GET /tickets":
		return 200, list(c.chosen(r))
	case "GET /conflicts":
		return 200, list(c.conflicts)
	case "POST /conflicts/resolve":
		c.conflicts = []object{}
		c.change("ticket", "t2", object{"priority": body["value"], "conflicts": []string{}})
		return 204, nil
	case "POST /alarms/a1/end":
		c.alarms[0]["state"] = "cleared"
		return 200, c.alarms[0]
	case "GET /alarms":
		for _, by := range []string{"device", "asset"} {
			if id := r.URL.Query().Get(by); id != "" {
				return 200, list(where(c.alarms, func(a object) bool { return a[by] == id }))
			}
		}
		return 200, list(where(c.alarms, func(a object) bool { return strings.Contains(r.URL.Query().Get("state"), a["state"].(string)) }))
	case "POST /alarms/a1/acknowledge":
		c.alarms[0]["state"] = "acknowledged"
		return 200, c.alarms[0]
	case "GET /edges":
		return 200, list(c.edges)
	case "POST /edges":
		return 201, object{"code": "7KQ4-M2ZD-9XWC", "expires_at": "2030-01-01T10:00:00Z"}
	case "GET /sync":
		return 200, object{"quarantine": []object{}}
	case "GET /members":
		return 200, list([]object{{"person": "p1", "name": "Ada Admin", "role": "manager", "active": true}, {"person": "p2", "name": "Tom Technician", "role": "technician", "active": true}})
	case "GET /audit":
		return 200, list([]object{{"n": 3, "action": "change", "where": "edge", "actor": object{"id": "p2", "name": "Tom Technician"}, "event_time": c.tickets[1]["reported_at"], "changes": []object{{"kind": "ticket", "id": "t2", "field": "status", "old": []string{"assigned"}, "new": []string{"in_progress"}}}}})
	}
	return c.ticket(route, body)
}

func (c *canned) ticket(route string, body object) (int, any) {
	method, rest, _ := strings.Cut(route, " /tickets/")
	id, part, _ := strings.Cut(rest, "/")
	for _, ticket := range c.tickets {
		switch {
		case ticket["id"] != id:
		case method == "PATCH":
			c.change("ticket", id, body)
			return 200, ticket
		case part == "":
			return 200, ticket
		case part == "messages" && method == "GET":
			return 200, list(c.messages)
		case part == "media":
			return 200, list([]object{{"id": "m1", "ticket": id, "name": "under the sink.jpg", "content_type": "image/png", "size": 100, "digest": "d", "thumbnail": "x"}, {"id": "m2", "ticket": id, "name": "estimate.pdf", "content_type": "application/pdf", "size": 100, "digest": "e"}})
		case part == "notes" && method == "GET":
			return 200, list([]object{})
		case method == "POST":
			return 201, object{"id": "new", "ticket": id, "person": object{"id": "p1", "name": "Ada Admin"}, "text": body["text"], "sent_at": ticket["reported_at"]}
		}
	}
	return 404, object{"code": "not_found", "message": "There is no such thing, or you may not see it", "remedy": "Check the address; ask a manager if you should have access."}
}

func (c *canned) chosen(r *http.Request) []object {
	q := r.URL.Query()
	return where(c.tickets, func(t object) bool {
		done := strings.Contains("resolved closed cancelled", t["status"].(string))
		return (q.Get("asset") == "" || q.Get("asset") == t["asset"]) && (q.Get("open") == "" || !done) && (q.Get("priority") == "" || q.Get("priority") == t["priority"]) &&
			strings.Contains(strings.ToLower(t["title"].(string)), strings.ToLower(q.Get("q")))
	})
}

func where(items []object, keep func(object) bool) []object {
	out := []object{}
	for _, item := range items {
		if keep(item) {
			out = append(out, item)
		}
	}
	return out
}

func list(items []object) object {
	if items == nil {
		items = []object{} // as the API says it
	}
	return object{"items": items, "page": 1, "per_page": 200, "total": len(items)}
}

func tokens() object {
	return object{"person": "p1", "access_token": "access", "access_expires": time.Now().Add(time.Hour), "refresh_token": "refresh"}
}

// change alters a ticket and pushes it. c.mu is held.
func (c *canned) change(kind, id string, fields object) {
	for _, ticket := range c.tickets {
		if ticket["id"] != id {
			continue
		}
		c.position++
		for name, value := range fields {
			ticket[name] = value
		}
		ticket["position"] = c.position
		ticket["seen"] = fmt.Sprint("seen", c.position)
		c.push(object{"type": "change", "building": "b1", "kind": kind, "id": id, "position": c.position, "cursor": fmt.Sprint("g.", c.position), "record": ticket})
	}
}

func (c *canned) push(message object) {
	for socket := range c.sockets {
		_ = socket.WriteJSON(message) // one that has gone is taken out by its reader
	}
}

// do runs something with the data held still.
func (c *canned) do(act func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	act()
}

// cut ends all WebSockets.
func (c *canned) cut() {
	c.do(func() {
		for socket := range c.sockets {
			_ = socket.Close()
		}
	})
}

func (c *canned) socket(w http.ResponseWriter, r *http.Request) {
	down := false
	c.do(func() { down = c.down })
	if down || !strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "estate.bearer.access") {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	socket, err := (&websocket.Upgrader{Subprotocols: []string{"estate.v1"}}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() {
		c.do(func() { delete(c.sockets, socket) })
		_ = socket.Close()
	}()
	for {
		var in object
		if socket.ReadJSON(&in) != nil {
			return
		}
		c.do(func() {
			c.sockets[socket] = true
			c.requests = append(c.requests, fmt.Sprint("subscribe ", in["cursor"]))
			_ = socket.WriteJSON(object{"type": "subscribed", "building": in["building"], "cursor": fmt.Sprint("g.", c.position), "reset": c.stale})
		})
	}
}

// picture is a small photo of nothing.
func picture() []byte {
	img := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for x := range 160 {
		for y := range 120 {
			img.Set(x, y, color.RGBA{R: uint8(60 + x), G: uint8(90 + y), B: 150, A: 255})
		}
	}
	var out bytes.Buffer
	if png.Encode(&out, img) != nil {
		return nil
	}
	return out.Bytes()
}
