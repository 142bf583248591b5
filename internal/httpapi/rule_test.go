package httpapi_test

import (
	"net/http"
	"slices"
	"testing"

	"estate/internal/desk"
)

// A manager makes a rule, changes it with what was shown of it, and takes it back; staff read it.
func TestRules(t *testing.T) {
	t.Parallel()
	w := setup(t)
	path := w.in(w.oak, "/rules/boiler-hot")
	body := map[string]any{"name": "Boiler too hot", "cause": "no_heat", "severity": "urgent", "category": "heating",
		"when": map[string]any{"threshold": map[string]any{"kind": "temperature", "above": 90, "clear": 85}}}
	var made, changed desk.Rule
	r := w.want(http.StatusOK, w.call("manager", http.MethodPut, path, body))
	if r.decode(t, &made); made.ID != "boiler-hot" || made.Shipped || r.Header.Get("ETag") == "" {
		t.Fatalf("made %+v, ETag %q", made, r.Header.Get("ETag"))
	}
	body["name"] = "Boiler far too hot"
	w.want(http.StatusOK, w.call("manager", http.MethodPut, path, body, "If-Match", r.Header.Get("ETag"))).decode(t, &changed)
	var list struct{ Items []desk.Rule }
	w.want(http.StatusOK, w.call("technician", http.MethodGet, w.in(w.oak, "/rules"), nil)).decode(t, &list)
	n := slices.IndexFunc(list.Items, func(r desk.Rule) bool { return r.ID == "boiler-hot" })
	if n < 0 || list.Items[n].Name != "Boiler far too hot" || len(list.Items) < 10 {
		t.Errorf("the list is %+v", list.Items)
	}
	w.want(http.StatusForbidden, w.call("technician", http.MethodPut, path, body))
	w.want(http.StatusForbidden, w.call("tenant", http.MethodGet, w.in(w.oak, "/rules"), nil))
	w.want(http.StatusBadRequest, w.call("manager", http.MethodPut, path, map[string]any{"name": "x", "when": map[string]any{}}))
	w.want(http.StatusNoContent, w.call("manager", http.MethodDelete, path, nil))
	w.want(http.StatusNotFound, w.call("manager", http.MethodDelete, path, nil))
}
