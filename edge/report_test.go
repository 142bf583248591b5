package edge_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/internal/auth"
	"estate/internal/httpapi"
)

func (c *cloud) takeReport(w http.ResponseWriter, r *http.Request) {
	_, _, err := c.authenticate(r)
	var report httpapi.EdgeReport
	if err == nil {
		dec := json.NewDecoder(r.Body)
		dec.DisallowUnknownFields()
		err = dec.Decode(&report)
	}
	if err == nil {
		err = report.Validate()
	}
	if err != nil {
		c.t.Errorf("a report that the cloud does not take: %v", err)
		auth.Refuse(w, r, err, quiet())
		return
	}
	c.mu.Lock()
	c.reports = append(c.reports, report)
	c.mu.Unlock()
	_, _ = w.Write([]byte("{}"))
}

func (c *cloud) reported() []httpapi.EdgeReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]httpapi.EdgeReport(nil), c.reports...)
}

func TestReport(t *testing.T) {
	t.Parallel()
	if cloudlink.PathState != httpapi.PathEdgeState {
		t.Fatal("the edge reports elsewhere than the cloud listens")
	}
	c := startCloud(t)
	b := enrolled(t, c)
	eventually(t, "a report of a box in step", func() bool {
		list := c.reported()
		if len(list) == 0 {
			return false
		}
		last := list[len(list)-1]
		return last.Link.State == "synced" && last.Link.Waiting == 0 && last.Link.ReceiptAt != nil && last.Version == "test" && time.Since(last.At) < time.Minute
	})
	b.signIn()
	if status := b.call(http.MethodPost, "/buildings/"+c.building.String()+"/tickets", map[string]string{"title": "Tap drips"}, nil); status != http.StatusCreated {
		t.Fatalf("ticket: %d", status)
	}
	eventually(t, "a report with the new transaction", func() bool {
		list := c.reported()
		last := list[len(list)-1]
		return last.N > 0 && !last.Replica.IsZero() && last.Link.State == "synced" && last.Link.Waiting == 0
	})
	if n := len(c.reported()); n > 20 {
		t.Errorf("%d reports: more than changes and beats explain", n)
	}
}
