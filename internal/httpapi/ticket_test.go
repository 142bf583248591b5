package httpapi_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/problem"
	"estate/sync/record"
)

// report has somebody report something and gives the ticket.
func (w *world) report(name, title string) desk.Ticket {
	w.t.Helper()
	var out desk.TicketResult
	w.want(http.StatusCreated, w.call(name, http.MethodPost, w.in(w.oak, "/tickets"),
		map[string]any{"title": title, "category": "plumbing", "unit": w.unit})).decode(w.t, &out)
	return out.Ticket
}

func TestTickets(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ticket := w.report("tenant", "Leak under the sink")
	one := w.in(w.oak, "/tickets/"+ticket.ID.String())
	got := w.want(http.StatusOK, w.call("technician", http.MethodGet, "/api"+one, nil))
	if tag := got.Header.Get("ETag"); tag != `"`+ticket.Seen+`"` {
		t.Errorf("the entity tag is %s, the token %s", tag, ticket.Seen)
	}
	w.want(http.StatusOK, w.call("technician", http.MethodPatch, one, map[string]any{"priority": "high"}, "If-Match", got.Header.Get("ETag")))
	// The manager saw the state before: both values stand.
	var conflicted desk.Ticket
	w.want(http.StatusOK, w.call("manager", http.MethodPatch, one, map[string]any{"priority": "urgent"}, "If-Match", got.Header.Get("ETag"))).decode(t, &conflicted)
	if len(conflicted.Conflicts) != 1 || conflicted.Conflicts[0] != "priority" {
		t.Fatalf("a stale token made conflicts %v", conflicted.Conflicts)
	}
	var conflicts httpapi.ConflictsBody
	w.want(http.StatusOK, w.call("technician", http.MethodGet, one+"/conflicts", nil)).decode(t, &conflicts)
	if len(conflicts.Items) != 1 || len(conflicts.Items[0].Siblings) != 2 {
		t.Fatalf("conflicts: %+v", conflicts)
	}
	w.want(http.StatusNoContent, w.call("technician", http.MethodPost, w.in(w.oak, "/conflicts/resolve"),
		map[string]any{"kind": "ticket", "id": ticket.ID, "field": "priority", "value": "high", "seen": conflicts.Items[0].Seen}))
	var list desk.List[desk.Ticket]
	w.want(http.StatusOK, w.call("manager", http.MethodGet, w.in(w.oak, "/tickets?open=true&priority=high&per_page=1"), nil)).decode(t, &list)
	if list.Total != 1 || len(list.Items[0].Conflicts) != 0 || list.PerPage != 1 {
		t.Errorf("list: %+v", list)
	}
	w.want(http.StatusForbidden, w.call("tenant", http.MethodPatch, one, map[string]any{"priority": "low"}))
	w.want(http.StatusForbidden, w.call("tenant", http.MethodPost, one+"/notes", map[string]any{"text": "mine"}))
	w.want(http.StatusCreated, w.call("manager", http.MethodPost, one+"/notes", map[string]any{"text": "call the plumber"}))
	w.want(http.StatusNoContent, w.call("manager", http.MethodDelete, one, nil))
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	path, body := w.in(w.oak, "/tickets"), map[string]any{"title": "Lift stuck", "category": "lift"}
	send := func(name, key string) string {
		var out desk.TicketResult
		w.want(http.StatusCreated, w.call(name, http.MethodPost, path, body, "Idempotency-Key", key)).decode(t, &out)
		return out.Ticket.ID.String()
	}
	first := send("manager", "k1")
	if again := send("manager", "k1"); again != first {
		t.Error("a retry made another ticket")
	}
	if other := send("manager", "k2"); other == first {
		t.Error("another key gave the same ticket")
	}
	if other := send("technician", "k1"); other == first {
		t.Error("another person's key gave the same ticket")
	}
	one := path + "/" + first + "/messages"
	var a, b desk.Message
	w.want(http.StatusCreated, w.call("manager", http.MethodPost, one, map[string]any{"text": "hello"}, "Idempotency-Key", "m")).decode(t, &a)
	w.want(http.StatusCreated, w.call("manager", http.MethodPost, one, map[string]any{"text": "hello"}, "Idempotency-Key", "m")).decode(t, &b)
	if a.ID != b.ID {
		t.Error("a retry made another message")
	}
	var elm, again desk.Building
	house := map[string]any{"name": "Elm", "code": "ELM"}
	w.want(http.StatusCreated, w.call("operator", http.MethodPost, "/buildings", house, "Idempotency-Key", "b")).decode(t, &elm)
	w.want(http.StatusCreated, w.call("operator", http.MethodPost, "/buildings", house, "Idempotency-Key", "b")).decode(t, &again)
	if elm.ID != again.ID {
		t.Error("a retry made another building")
	}
	if got := w.call("manager", http.MethodPost, path, body, "Idempotency-Key", strings.Repeat("k", 129)); got.code() != string(problem.InvalidInput) {
		t.Errorf("a long key: %s", got.text)
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ticket := w.report("tenant", "Leak")
	picture := bytes.Repeat([]byte("picture"), 1000)
	digest, _, err := media.HashOf(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	m := must(w.desk.AddMedia(t.Context(), desk.Caller{Person: person("tenant")}, w.oak, ticket.ID,
		desk.NewMedia{Digest: record.Hash(digest), Size: int64(len(picture)), ContentType: "image/jpeg", Name: "leak.jpg"}))
	content := w.in(w.oak, "/media/"+m.ID.String()+"/content")
	if got := w.call("tenant", http.MethodGet, content, nil); got.StatusCode != http.StatusNotFound || got.code() != string(problem.NotFound) {
		t.Errorf("a file that has not arrived: %d %s", got.StatusCode, got.text)
	}
	if err := w.blobs.Put(t.Context(), digest, bytes.NewReader(picture)); err != nil {
		t.Fatal(err)
	}
	if got := w.want(http.StatusOK, w.call("tenant", http.MethodGet, content, nil)); got.text != string(picture) {
		t.Error("the bytes differ")
	}
	if got := w.want(http.StatusPartialContent, w.call("manager", http.MethodGet, content, nil, "Range", "bytes=0-6")); got.text != "picture" {
		t.Errorf("a range gave %q", got.text)
	}
	w.want(http.StatusNotFound, w.call("neighbour", http.MethodGet, content, nil))
	w.want(http.StatusNotFound, w.call("tenant", http.MethodGet, w.in(w.oak, "/media/"+m.ID.String()+"/thumbnail"), nil))
	if got := w.want(http.StatusOK, w.call("tenant", http.MethodPost, "/media/uploads/", nil)); got.text != person("tenant").String() {
		t.Errorf("uploads were told %q", got.text)
	}
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.report("tenant", "Leak")
	var events desk.List[desk.AuditEvent]
	w.want(http.StatusOK, w.call("manager", http.MethodGet, w.in(w.oak, "/audit?per_page=2"), nil)).decode(t, &events)
	if len(events.Items) != 2 || events.Next == "" {
		t.Fatalf("audit: %+v", events)
	}
	w.want(http.StatusForbidden, w.call("technician", http.MethodGet, w.in(w.oak, "/audit"), nil))
	w.want(http.StatusForbidden, w.call("tenant", http.MethodGet, w.in(w.oak, "/audit/export"), nil))
	got := w.want(http.StatusOK, w.call("manager", http.MethodGet, w.in(w.oak, "/audit/export"), nil))
	if strings.Count(got.text, "\n") < 5 || strings.Contains(got.text, "argon2") || got.Header.Get("Content-Type") != "application/jsonl" {
		t.Errorf("export: %s", got.text)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var tokens httpapi.TokensBody
	w.want(http.StatusOK, w.call("", http.MethodPost, "/auth/login", map[string]string{"email": "Tenant@example.org", "password": password})).decode(t, &tokens)
	bearer := []string{"Authorization", "Bearer " + tokens.AccessToken}
	var me httpapi.MeBody
	w.want(http.StatusOK, w.call("", http.MethodGet, "/auth/me", nil, bearer...)).decode(t, &me)
	if me.Person != person("tenant") || len(me.Buildings) != 1 || me.Buildings[0].Role != "tenant" || me.Operator {
		t.Errorf("me: %+v", me)
	}
	var next httpapi.TokensBody
	w.want(http.StatusOK, w.call("", http.MethodPost, "/api/auth/refresh", map[string]string{"refresh_token": tokens.RefreshToken})).decode(t, &next)
	w.want(http.StatusNoContent, w.call("", http.MethodPost, "/auth/logout", nil, "Authorization", "Bearer "+next.AccessToken))
	if got := w.call("", http.MethodGet, "/auth/me", nil, bearer...); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the sign-out: %d", got.StatusCode)
	}
	wrong := w.call("", http.MethodPost, "/auth/login", map[string]string{"email": "tenant@example.org", "password": "wrong password"})
	if wrong.StatusCode != http.StatusUnauthorized || wrong.code() != string(problem.SignInFailed) {
		t.Errorf("a wrong password: %s", wrong.text)
	}
	for _, secret := range []string{password, "wrong password", tokens.AccessToken, tokens.RefreshToken, "$argon2"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("%q was logged", secret)
		}
	}
}

func TestRegisterNode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := func(building record.ID) map[string]any {
		return map[string]any{"public_key": []byte(public), "signature": ed25519.Sign(private, httpapi.NodeProof(building, person("technician")))}
	}
	path := w.in(w.oak, "/nodes")
	var node httpapi.NodeAnswer
	w.want(http.StatusCreated, w.call("technician", http.MethodPost, path, body(w.oak))).decode(t, &node)
	if node.ID != record.NodeID(public) {
		t.Errorf("node %s", node.ID)
	}
	w.want(http.StatusCreated, w.call("technician", http.MethodPost, path, body(w.oak)))
	for name, got := range map[string]response{
		"proof of another building": w.call("technician", http.MethodPost, path, body(w.elm)),
		"proof of another person":   w.call("manager", http.MethodPost, path, body(w.oak)),
	} {
		if got.code() != string(problem.NodeProofInvalid) {
			t.Errorf("%s: %s", name, got.text)
		}
	}
}

func TestEdgesAndAccounts(t *testing.T) {
	t.Parallel()
	box := httpapi.EdgeView{ID: record.DerivedID("box"), Building: record.DerivedID("elsewhere")}
	edges := &fakeEdges{boxes: []httpapi.EdgeView{box}}
	w := setup(t, func(c *httpapi.Config) { c.Edges = edges })
	var code httpapi.EnrolmentAnswer
	w.want(http.StatusCreated, w.call("manager", http.MethodPost, "/edges", map[string]any{"building": w.oak})).decode(t, &code)
	if code.Code == "" || time.Until(code.ExpiresAt) <= 0 {
		t.Errorf("code: %+v", code)
	}
	w.want(http.StatusForbidden, w.call("technician", http.MethodPost, "/edges", map[string]any{"building": w.oak}))
	w.want(http.StatusNotFound, w.call("manager", http.MethodPost, "/edges", map[string]any{"building": w.elm}))
	w.want(http.StatusNotFound, w.call("manager", http.MethodDelete, "/edges/"+box.ID.String(), nil))
	w.want(http.StatusForbidden, w.call("tenant", http.MethodGet, "/edges", nil))
	var list httpapi.EdgesBody
	w.want(http.StatusOK, w.call("manager", http.MethodGet, "/edges", nil)).decode(t, &list)
	if list.Total != 0 {
		t.Errorf("a manager sees boxes of other buildings: %+v", list)
	}
	w.want(http.StatusOK, w.call("operator", http.MethodGet, "/edges", nil)).decode(t, &list)
	if list.Total != 1 {
		t.Errorf("the operator sees %+v", list)
	}
	var a, b httpapi.AccountView
	body := map[string]any{"name": "New", "email": "new@example.org"}
	w.want(http.StatusCreated, w.call("operator", http.MethodPost, "/accounts", body, "Idempotency-Key", "a")).decode(t, &a)
	w.want(http.StatusCreated, w.call("operator", http.MethodPost, "/accounts", body, "Idempotency-Key", "a")).decode(t, &b)
	if a.ID != b.ID {
		t.Error("a retry made another person")
	}
}

// TestEraseAudit: an admin erases what the audit keeps of a record; nobody else does.
func TestEraseAudit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ticket := w.report("tenant", "Leak at Mrs Miller's")
	path := w.in(w.oak, "/audit/erasures")
	request := map[string]any{"kind": "ticket", "id": ticket.ID, "reason": "request"}
	for _, who := range []string{"manager", "technician", "tenant"} {
		w.want(http.StatusForbidden, w.call(who, http.MethodPost, path, request))
	}
	w.want(http.StatusNotFound, w.call("neighbour", http.MethodPost, path, request))
	for name, bad := range map[string]map[string]any{
		"reason": {"kind": "ticket", "id": ticket.ID, "reason": "she asked"}, "events": {"events": []map[string]any{{"replica": ticket.ID, "n": 0}}, "reason": "request"}, "nothing": {"reason": "request"},
	} {
		if got := w.call("operator", http.MethodPost, path, bad); got.StatusCode != http.StatusBadRequest || got.code() != string(problem.InvalidInput) {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	for _, erased := range []int{1, 0} {
		var out desk.Erasure
		w.want(http.StatusOK, w.call("operator", http.MethodPost, path, request)).decode(t, &out)
		if out.Erased != erased || len(out.Events) != erased {
			t.Errorf("erasure: %+v, want %d", out, erased)
		}
	}
	got := w.want(http.StatusOK, w.call("manager", http.MethodGet, w.in(w.oak, "/audit?kind=ticket&id="+ticket.ID.String()), nil))
	if strings.Contains(got.text, "Miller") || !strings.Contains(got.text, `"reason":"request"`) {
		t.Errorf("audit: %s", got.text)
	}
	if got := w.call("tenant", http.MethodGet, w.in(w.oak, "/tickets/"+ticket.ID.String()), nil); !strings.Contains(got.text, "Miller") {
		t.Errorf("the ticket: %s", got.text)
	}
}
