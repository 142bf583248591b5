package httpapi_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/sync/record"
)

// openRoutes is every route that answers without a token. A route that is not here and
// answers one is a hole.
func openRoutes() []string {
	return []string{
		"POST /auth/login", "POST /auth/refresh", "POST /api/auth/login", "POST /api/auth/refresh",
		"GET /healthz", "GET /readyz", "GET /openapi.json", "GET /api/openapi.json",
		"GET /", "GET /dashboard", "GET /docs", "GET /dashboard/", "GET /docs/",
		"HEAD /healthz", "HEAD /readyz", "HEAD /openapi.json", "HEAD /api/openapi.json",
		"HEAD /", "HEAD /dashboard", "HEAD /docs", "HEAD /dashboard/", "HEAD /docs/",
	}
}

// fill puts ids into a path's parameters.
func fill(path string, building record.ID) string {
	var out []string
	for _, part := range strings.Split(path, "/") {
		switch {
		case part == "{building}":
			part = building.String()
		case strings.HasPrefix(part, "{"):
			part = record.DerivedID("nothing", part).String()
		}
		out = append(out, part)
	}
	return strings.Join(out, "/")
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	routes, err := httpapi.Routes(w.api)
	if err != nil {
		t.Fatal(err)
	}
	if len(routes) < 80 {
		t.Fatalf("only %d routes were walked", len(routes))
	}
	t.Run("WithoutToken", func(t *testing.T) {
		for _, r := range routes {
			open := slices.Contains(openRoutes(), r.Method+" "+r.Path)
			got := w.call("", r.Method, fill(r.Path, w.oak), nil)
			switch {
			case open && got.StatusCode == http.StatusUnauthorized:
				t.Errorf("%s %s is open and answered %d", r.Method, r.Path, got.StatusCode)
			case !open && got.StatusCode != http.StatusUnauthorized:
				t.Errorf("%s %s answered %d without a token: %s", r.Method, r.Path, got.StatusCode, got.text)
			}
		}
	})
	t.Run("TenantOfAnotherBuilding", func(t *testing.T) {
		for _, r := range routes {
			if !strings.Contains(r.Path, "{building}") {
				continue
			}
			got := w.call("neighbour", r.Method, fill(r.Path, w.oak), w.bodyFor(r.Method, r.Path))
			if got.StatusCode != http.StatusForbidden && got.StatusCode != http.StatusNotFound {
				t.Errorf("%s %s answered %d to a stranger: %s", r.Method, r.Path, got.StatusCode, got.text)
			}
		}
	})
	t.Run("OperatorOnly", func(t *testing.T) {
		for _, r := range routes {
			if !strings.HasPrefix(strings.TrimPrefix(r.Path, "/api"), "/accounts") {
				continue
			}
			if got := w.call("manager", r.Method, fill(r.Path, w.oak), w.bodyFor(r.Method, r.Path)); got.StatusCode != http.StatusForbidden {
				t.Errorf("%s %s answered %d to a manager: %s", r.Method, r.Path, got.StatusCode, got.text)
			}
		}
	})
}

// seen is a real token.
func (w *world) seen() string {
	units := must(w.desk.Units(w.t.Context(), desk.Caller{Person: person("manager")}, w.oak, desk.Page{}))
	return units.Items[0].Seen
}

// bodyFor is a body that passes validation, so that it is the rights that refuse.
func (w *world) bodyFor(method, path string) any {
	id := record.DerivedID("nothing").String()
	bodies := []struct{ suffix, body string }{
		{"/erasures", `{"kind":"ticket","id":"` + id + `","reason":"request"}`}, {"/units", `{"name":"x"}`}, {"/assets", `{"name":"x"}`}, {"/tickets", `{"title":"x"}`}, {"/messages", `{"text":"x"}`}, {"/notes", `{"text":"x"}`},
		{"/devices", `{"hardware":"x"}`}, {"/adopt", `{}`}, {"/actions/plan", `{"control":"x","value":"on"}`}, {"/actions", `{"token":"x"}`}, {"/acknowledge", ""},
		{"/resolve", `{"kind":"ticket","id":"` + id + `","field":"priority","value":"low","seen":"` + w.seen() + `"}`},
		{"/nodes", `{"public_key":"` + strings.Repeat("A", 43) + `=","signature":"` + strings.Repeat("A", 86) + `=="}`},
		{"/accounts", `{"name":"x","email":"x@example.org"}`}, {"/try", `{"id":"x","name":"x","cause":"x","severity":"low","category":"other","when":{"silence":{}}}`}, {"/rules/{rule}", `{"id":"x","name":"x","cause":"x","severity":"low","category":"other","when":{"silence":{}}}`}, {"/memberships", `{"building":"` + id + `","role":"tenant","active":true}`},
	}
	switch method {
	case http.MethodPatch:
		return "{}"
	case http.MethodPost, http.MethodPut:
		for _, b := range bodies {
			if strings.HasSuffix(path, b.suffix) && b.body != "" {
				return b.body
			}
		}
	}
	return nil
}

func TestEdge(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *httpapi.Config) { c.Role = httpapi.Edge })
	// A member of both buildings, with a token that vouches for one.
	w.member("manager", w.elm, "manager", true)
	var list httpapi.BuildingsBody
	w.want(http.StatusOK, w.call("manager", http.MethodGet, "/buildings", nil)).decode(t, &list)
	if len(list.Items) != 1 || list.Items[0].ID != w.oak {
		t.Errorf("buildings: %+v", list)
	}
	w.want(http.StatusOK, w.call("manager", http.MethodGet, w.in(w.oak, "/tickets"), nil))
	w.want(http.StatusNotFound, w.call("manager", http.MethodGet, w.in(w.elm, "/tickets"), nil))
	w.want(http.StatusNotFound, w.call("manager", http.MethodGet, strings.ToUpper(w.in(w.elm, "")), nil))
	c := w.connect("manager")
	c.send(map[string]any{"type": "subscribe", "building": w.elm})
	if got := c.next(); got.Type != "ended" {
		t.Errorf("the push of another building: %+v", got)
	}
	for _, path := range []string{"/accounts", "/edges"} {
		w.want(http.StatusNotFound, w.call("manager", http.MethodGet, path, nil))
	}
	w.want(http.StatusMethodNotAllowed, w.call("manager", http.MethodPost, "/buildings", map[string]any{"name": "New", "code": "NEW"}))
}
