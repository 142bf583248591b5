package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/sync/record"
)

// FuzzRequest sends any query, tag and body to the API's lists and writes, as a signed-in
// technician: never an answer of 500, every refusal with code and remedy, nothing written
// to the log as an error.
func FuzzRequest(f *testing.F) {
	w := setup(f, func(*httpapi.Config) {})
	token := w.token("technician")
	ticket := record.DerivedID("no such").String()
	f.Add(byte(0), "cursor=nonsense&per_page=7", "", "", "")
	f.Add(byte(0), "page=0&status=open&q=%ff", "", "", "")
	f.Add(byte(1), "", "", "retry-1", `{"title":"Leak","priority":"urgent"}`)
	f.Add(byte(1), "", "*", "\x00", `{"title":"\ud800","description":null,"unit":"x"}`)
	f.Add(byte(2), "", `W/"hQFAgICA"`, "", `{"title":"x"}`)
	f.Add(byte(2), "x=%zz", `"a", "b"`, "", `[1e999]`)
	f.Add(byte(3), "", "", "", `{"email":"a@b","password":"x"}`)
	f.Fuzz(func(t *testing.T, route byte, query, match, key, body string) {
		target := []struct{ method, path string }{
			{http.MethodGet, w.in(w.oak, "/tickets")}, {http.MethodPost, w.in(w.oak, "/tickets")},
			{http.MethodPatch, w.in(w.oak, "/tickets/"+ticket)}, {http.MethodGet, w.in(w.oak, "/units")},
		}[route%4]
		r := httptest.NewRequest(target.method, target.path, strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		for name, value := range map[string]string{"If-Match": match, "Idempotency-Key": key} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		answer := httptest.NewRecorder()
		w.api.ServeHTTP(answer, r)
		if answer.Code < http.StatusBadRequest {
			return
		}
		var said struct {
			Code   problem.Code
			Remedy string
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &said); err != nil || said.Code == "" || said.Remedy == "" || answer.Code == http.StatusInternalServerError {
			t.Fatalf("%s %s?%s: %d %s, %v\n%s", target.method, target.path, query, answer.Code, answer.Body, err, w.log)
		}
	})
}
