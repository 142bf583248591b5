package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/sync/record"
)

// fakeHearing has not heard devices for a while: the real one is behind the edge's tests.
type fakeHearing struct{}

func (fakeHearing) Hearing(context.Context, record.ID) httpapi.Hearing {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return httpapi.Hearing{Broker: "external", BlindSince: &since, Code: string(problem.MQTTAway)}
}

func (fakeHearing) Refusals(context.Context, record.ID) ([]httpapi.Refusal, error) {
	return []httpapi.Refusal{{Login: "s1", Code: string(problem.MQTTFlood), Count: 3}}, nil
}

func (fakeHearing) ReadingsDisk(context.Context, record.ID) (httpapi.ReadingsDisk, error) {
	return httpapi.ReadingsDisk{Bytes: 1}, nil
}

// TestHearing: staff see whether devices are heard and what was refused of them; tenants see
// neither.
func TestHearing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	at := "/buildings/" + w.oak.String()
	for _, who := range []string{"technician", "manager"} {
		var hearing httpapi.Hearing
		if got := w.call(who, http.MethodGet, at+"/hearing", nil); json.Unmarshal([]byte(got.text), &hearing) != nil || got.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", who, got.StatusCode, got.text)
		}
		var list httpapi.RefusalsBody
		if got := w.call(who, http.MethodGet, at+"/refusals", nil); json.Unmarshal([]byte(got.text), &list) != nil || got.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", who, got.StatusCode, got.text)
		}
		var state httpapi.SyncBody
		if got := w.call(who, http.MethodGet, at+"/sync", nil); json.Unmarshal([]byte(got.text), &state) != nil || got.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", who, got.StatusCode, got.text)
		}
		if hearing.Heard || hearing.BlindSince == nil || len(list.Items) != 1 || list.Items[0].Login != "s1" || state.Hearing == nil || state.Hearing.Code != hearing.Code {
			t.Errorf("%s: %+v, %+v, %+v", who, hearing, list, state.Hearing)
		}
	}
	for _, path := range []string{"/hearing", "/refusals", "/readings/disk"} {
		if got := w.call("tenant", http.MethodGet, at+path, nil); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: a tenant got %d", path, got.StatusCode)
		}
	}
}
