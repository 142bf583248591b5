package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/sync/record"
)

func report() httpapi.EdgeReport {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	receipt := at.Add(-time.Minute)
	return httpapi.EdgeReport{At: at, Version: "1", Link: httpapi.LinkStatus{State: "synced", Since: at.Add(-time.Hour), Lane: "websocket", ReceiptAt: &receipt}}
}

func TestEdgeReportValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*httpapi.EdgeReport)
		ok     bool
	}{
		"Whole":        {func(*httpapi.EdgeReport) {}, true},
		"UnknownState": {func(r *httpapi.EdgeReport) { r.Link.State = "fine" }, false},
		"NoTime":       {func(r *httpapi.EdgeReport) { r.At = time.Time{} }, false},
		"FarTime":      {func(r *httpapi.EdgeReport) { far := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC); r.BlindSince = &far }, false},
		"LongestText":  {func(r *httpapi.EdgeReport) { r.Link.Detail = strings.Repeat("é", httpapi.EdgeTextMax) }, true},
		"LongText":     {func(r *httpapi.EdgeReport) { r.Link.Detail = strings.Repeat("é", httpapi.EdgeTextMax+1) }, false},
		"ControlText":  {func(r *httpapi.EdgeReport) { r.Version = "1\x00" }, false},
		"Negative":     {func(r *httpapi.EdgeReport) { r.Media.Up.Waiting = -1 }, false},
	} {
		r := report()
		c.change(&r)
		if err := r.Validate(); (err == nil) != c.ok || err != nil && !problem.HasCode(err, problem.InvalidInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEdgeReportClean(t *testing.T) {
	t.Parallel()
	r := report()
	r.Link.Detail = "a\x00b\n\xff" + strings.Repeat("é", 2*httpapi.EdgeTextMax)
	r.Clean()
	if err := r.Validate(); err != nil || !strings.HasPrefix(r.Link.Detail, "a b \uFFFDé") {
		t.Errorf("%v, %.20q", err, r.Link.Detail)
	}
}

func TestEdgeReportShift(t *testing.T) {
	t.Parallel()
	r := report()
	r.Shift(24 * time.Hour)
	if want := report().Link.ReceiptAt.Add(24 * time.Hour); !r.Link.ReceiptAt.Equal(want) || !r.At.Equal(report().At.Add(24*time.Hour)) || r.BlindSince != nil {
		t.Errorf("%v, want a receipt at %v", r.Link.ReceiptAt, want)
	}
}

func TestSocketTellsManagersOfEdges(t *testing.T) {
	t.Parallel()
	fake := &fakeEdges{moved: make(chan struct{})}
	w := setup(t, func(c *httpapi.Config) { c.Edges = fake })
	box := httpapi.EdgeView{ID: record.DerivedID("box"), Building: w.oak}
	fake.boxes = []httpapi.EdgeView{box, {ID: record.DerivedID("other"), Building: record.DerivedID("elsewhere")}}
	manager, tenant, technician := w.connect("manager"), w.connect("tenant"), w.connect("technician")
	for _, c := range []*client{manager, tenant, technician} {
		c.subscribe(w.oak, "")
	}
	if got := manager.next(); got.Type != "edge" || !strings.Contains(string(got.Edge), box.ID.String()) || strings.Contains(string(got.Edge), `"connected":true`) {
		t.Errorf("first: %+v", got)
	}
	fake.moved <- struct{}{} // nothing differs: nobody is told
	fake.mu.Lock()
	fake.boxes[0].Connected = true
	fake.mu.Unlock()
	fake.moved <- struct{}{}
	if got := manager.next(); got.Type != "edge" || !strings.Contains(string(got.Edge), `"connected":true`) {
		t.Errorf("then: %+v", got)
	}
	w.report("tenant", "Leak")
	for _, c := range []*client{tenant, technician} {
		if got := c.next(); got.Type != "change" {
			t.Errorf("not a manager, and told %+v", got)
		}
	}
}
