package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"estate/internal/httpapi"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// TestBadInput is the table of inputs that the API refuses, each with its code.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tickets := w.in(w.oak, "/tickets")
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code               problem.Code
		field              string
	}{
		"NotUTF8":          {http.MethodPost, tickets, "{\"title\":\"\xff\xfe\"}", nil, 400, problem.NotUTF8, ""},
		"NotJSON":          {http.MethodPost, tickets, "{title", nil, 400, problem.InvalidInput, ""},
		"NoBody":           {http.MethodPost, tickets, "", nil, 400, problem.InvalidInput, ""},
		"Form":             {http.MethodPost, tickets, "title=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, problem.ContentType, ""},
		"TooLarge":         {http.MethodPost, tickets, `{"title":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, problem.TooLarge, ""},
		"FieldTooLong":     {http.MethodPost, tickets, `{"title":"` + strings.Repeat("x", 201) + `"}`, nil, 400, problem.InvalidInput, "title"},
		"FieldMissing":     {http.MethodPost, tickets, `{"description":"x"}`, nil, 400, problem.InvalidInput, ""},
		"FieldUnknown":     {http.MethodPost, tickets, `{"title":"x","admin":true}`, nil, 400, problem.InvalidInput, "admin"},
		"FieldOfWrongType": {http.MethodPost, tickets, `{"title":7}`, nil, 400, problem.InvalidInput, "title"},
		"EnumUnknown":      {http.MethodPost, tickets, `{"title":"x","priority":"now"}`, nil, 400, problem.InvalidInput, "priority"},
		"NotAnID":          {http.MethodGet, w.in(w.oak, "/tickets/1"), "", nil, 400, problem.InvalidInput, "path.ticket"},
		"NotABuilding":     {http.MethodGet, "/buildings/x/tickets", "", nil, 400, problem.InvalidInput, "path.building"},
		"PerPage":          {http.MethodGet, tickets + "?per_page=201", "", nil, 400, problem.InvalidInput, "query.per_page"},
		"Cursor":           {http.MethodGet, tickets + "?cursor=nonsense", "", nil, 400, problem.InvalidInput, "cursor"},
		"IfMatchTwice":     {http.MethodPatch, tickets + "/" + record.DerivedID("x").String(), "{}", []string{"If-Match", `"a", "b"`}, 400, problem.InvalidInput, "If-Match"},
		"NoSuchTicket":     {http.MethodGet, tickets + "/" + record.DerivedID("x").String(), "", nil, 404, problem.NotFound, ""},
		"NoSuchPath":       {http.MethodGet, "/nothing", "", nil, 404, problem.NotFound, ""},
		"Method":           {http.MethodPut, tickets, "{}", nil, 405, problem.MethodNotAllowed, ""},
		"LongAddress":      {http.MethodGet, tickets + "?q=" + strings.Repeat("x", 9<<10), "", nil, 413, problem.TooLarge, ""},
		"BasicAuth":        {http.MethodGet, tickets, "", []string{"Authorization", "Basic eDp5"}, 401, problem.TokenInvalid, ""},
		"ForgedToken":      {http.MethodGet, tickets, "", []string{"Authorization", "Bearer a.b.c"}, 401, problem.TokenInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body any
			if c.body != "" {
				body = c.body
			}
			got := w.call("manager", c.method, c.path, body, c.headers...)
			if got.StatusCode != c.status || got.code() != string(c.code) {
				t.Fatalf("%d %s, want %d %s", got.StatusCode, got.text, c.status, c.code)
			}
			if c.field != "" && !strings.Contains(got.text, `"field":"`+c.field+`"`) {
				t.Errorf("%s does not name %s", got.text, c.field)
			}
			if got.Header.Get(obs.RequestHeader) == "" || !strings.Contains(got.text, got.Header.Get(obs.RequestHeader)) && got.StatusCode != 401 {
				t.Errorf("the request id is missing: %s", got.text)
			}
		})
	}
}

func TestHeadersTooLarge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if got := w.call("", http.MethodGet, "/healthz", nil, "X-Large", strings.Repeat("x", 64<<10)); got.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answered %d", got.StatusCode)
	}
}

// TestEnums holds the values that the document lists to the table of kinds.
func TestEnums(t *testing.T) {
	t.Parallel()
	document := string(must(httpapi.Document()))
	for name, values := range map[string][]string{"status": schema.TicketStates(), "priority": schema.Priorities(), "category": schema.Categories(), "category of an asset": schema.AssetCategories()} {
		text := strings.Join(strings.Fields(document), "")
		if !strings.Contains(text, `"enum":["`+strings.Join(values, `","`)+`"]`) {
			t.Errorf("the document does not list %s as the table does: %v", name, values)
		}
	}
}

func TestDocumentIsFresh(t *testing.T) {
	t.Parallel()
	committed, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(committed, must(httpapi.Document())) {
		t.Error("openapi.json is stale: run go generate ./internal/httpapi")
	}
	if bytes.Contains(committed, []byte(`"422"`)) {
		t.Error("the document promises 422")
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *httpapi.Config) {
		c.Limits.SignIn = httpapi.Rate{Every: time.Hour, Burst: 2}
		c.Limits.Person = httpapi.Rate{Every: time.Hour, Burst: 3}
		c.Limits.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	login := func(from string) response {
		return w.call("", http.MethodPost, "/auth/refresh", map[string]string{"refresh_token": "x"}, "X-Forwarded-For", from)
	}
	limited := func(r response) bool {
		return r.StatusCode == http.StatusTooManyRequests && r.code() == string(problem.RateLimited) && r.Header.Get("Retry-After") != ""
	}
	login("203.0.113.1")
	login("203.0.113.1")
	if got := login("203.0.113.1"); !limited(got) {
		t.Errorf("the third attempt: %d %s", got.StatusCode, got.text)
	}
	if got := login("203.0.113.2"); limited(got) {
		t.Error("another address was limited, too")
	}
	var statuses []int
	for range 4 {
		statuses = append(statuses, w.call("manager", http.MethodGet, "/buildings", nil).StatusCode)
	}
	if !slices.Equal(statuses, []int{200, 200, 200, 429}) {
		t.Errorf("requests of one person: %v", statuses)
	}
	w.want(http.StatusOK, w.call("technician", http.MethodGet, "/buildings", nil))
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	// The API's clock stands so far back that the deadline for the body is over at once.
	w := setup(t, func(c *httpapi.Config) { c.Now = func() time.Time { return time.Now().Add(-time.Hour) } })
	conn := must(net.Dial("tcp", w.server.Listener.Addr().String()))
	defer func() { _ = conn.Close() }()
	_, err := conn.Write([]byte("POST /auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		t.Fatal("the server waits for the body for ever")
	}
	if n > 0 && !strings.Contains(string(answer[:n]), "408") {
		t.Errorf("answered %s", answer[:n])
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	closed, open := setup(t), setup(t, func(c *httpapi.Config) { c.Limits.Origins = []string{"https://desk.example"} })
	ask := func(w *world, origin string) string {
		return w.call("", http.MethodOptions, "/buildings", nil, "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization").Header.Get("Access-Control-Allow-Origin")
	}
	if got := ask(closed, "https://desk.example"); got != "" {
		t.Errorf("off by default, allowed %q", got)
	}
	if got := ask(open, "https://desk.example"); got != "https://desk.example" {
		t.Errorf("a configured site: %q", got)
	}
	if got := ask(open, "https://evil.example"); got != "" {
		t.Errorf("another site: %q", got)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *httpapi.Config) {
		c.Sync = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "late") {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
			}
			panic("secret detail")
		})
	})
	got := w.call("", http.MethodGet, "/sync/x", nil, obs.RequestHeader, "mine-1")
	if got.StatusCode != http.StatusInternalServerError || got.code() != string(problem.Internal) || strings.Contains(got.text, "secret") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if !strings.Contains(got.text, "mine-1") || !strings.Contains(w.log.String(), "secret detail") || !strings.Contains(w.log.String(), "mine-1") {
		t.Error("the log and the answer do not share the request's id")
	}
	if answer, err := http.Get(w.server.URL + "/sync/late"); err == nil {
		defer answer.Body.Close()
		if _, err := new(bytes.Buffer).ReadFrom(answer.Body); err == nil {
			t.Error("an answer that broke off looks whole")
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	registry := obs.NewRegistry()
	w := setup(t, func(c *httpapi.Config) {
		c.Registerer, c.Gatherer = registry, registry
		c.Ready = func(context.Context) error { return errors.New("the database is away") }
	})
	w.want(http.StatusOK, w.call("", http.MethodGet, "/healthz", nil))
	if got := w.want(http.StatusServiceUnavailable, w.call("", http.MethodGet, "/readyz", nil)); strings.Contains(got.text, "database") {
		t.Error("readiness tells strangers too much")
	}
	if got := w.want(http.StatusFound, w.call("", http.MethodGet, "/", nil)); got.Header.Get("Location") != "/dashboard/" {
		t.Errorf("/ leads to %s", got.Header.Get("Location"))
	}
	if got := w.want(http.StatusOK, w.call("", http.MethodGet, "/dashboard/", nil)); !strings.Contains(got.text, "dashboard") || !strings.Contains(got.Header.Get("Content-Security-Policy"), "'self'") {
		t.Errorf("dashboard: %s", got.text)
	}
	if got := w.want(http.StatusOK, w.call("", http.MethodGet, "/docs/", nil)); !strings.Contains(got.text, `<meta charset="utf-8">`) {
		t.Errorf("docs: %s", got.text)
	}
	list := string(must(httpapi.OperationsPage(w.api)))
	for _, want := range []string{`<meta charset="utf-8">`, "/buildings/{building}/tickets/{ticket}/notes", "<strong>PATCH</strong>", "(no sign-in needed)"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list of operations lacks %s", want)
		}
	}
	if strings.Contains(list, "<script") {
		t.Error("the list of operations needs a script")
	}
	if got := w.want(http.StatusOK, w.call("", http.MethodGet, "/openapi.json", nil)); !strings.Contains(got.text, `"openapi":"3.1.0"`) {
		t.Errorf("document: %.200s", got.text)
	}
	if got := w.want(http.StatusOK, w.call("", http.MethodGet, "/metrics", nil)); !strings.Contains(got.text, `estate_http_requests_total{method="GET",route="/healthz",status="200"} 1`) {
		t.Errorf("metrics: %s", got.text)
	}
	for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
		if got := w.call("manager", http.MethodGet, "/buildings", nil).Header.Get(header); got != want {
			t.Errorf("%s is %q", header, got)
		}
	}
	if got := setup(t).call("", http.MethodGet, "/metrics", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("metrics are open without being configured: %d", got.StatusCode)
	}
}
