package device

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// TestLooksBeforeAndAfter: what a device said last, and what it says meanwhile, is shown however
// short the time is: a busy server may take longer for one answer.
func TestLooksBeforeAndAfter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		adopted bool
		answers []string // one after the other, the last again and again
		want    string
		err     error
	}{
		"Waiting":        {answers: []string{`{"key":"temperature","value":"21","unit_of_measure":"°C"}`}, want: "temperature = 21 °C"},
		"WaitingChanges": {answers: []string{`{"key":"leak","value":"no"}`, `{"key":"leak","value":"no"}`, `{"key":"leak","value":"yes"}`}, want: "leak = no leak = yes"},
		"Adopted":        {adopted: true, answers: []string{`{"key":"humidity","last":40,"at":"2026-03-01T12:00:00Z"}`, `{"key":"humidity","last":40,"at":"2026-03-01T12:00:01Z"}`}, want: "humidity = 40"},
		"Silent":         {adopted: true, answers: []string{`{"key":"humidity","last":40,"at":"2026-03-01T12:00:00Z"}`}, err: errSilent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "/series"), !c.adopted && strings.HasSuffix(r.URL.Path, "/entities"):
					n := min(int(asked.Add(1)), len(c.answers))
					_, _ = w.Write([]byte(`{"items":[` + c.answers[n-1] + `]}`))
				default:
					_, _ = w.Write([]byte(`{}`))
				}
			}))
			t.Cleanup(server.Close)
			client, err := apiclient.New(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			w := watch{client: client, device: desk.Device{ID: record.DerivedID("d"), Name: "d", Adopted: c.adopted}, out: &out, beside: io.Discard}
			if err := w.run(t.Context(), time.Nanosecond); !errors.Is(err, c.err) {
				t.Errorf("%v, want %v", err, c.err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				_, said, _ := strings.Cut(strings.TrimSpace(line), "  ")
				got = append(got, said)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("shown %q, want %q", got, c.want)
			}
		})
	}
}
