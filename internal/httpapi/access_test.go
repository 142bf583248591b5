package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestAccessLogNamesARequestOnce: a line of the log is an object without a key twice, which
// readers of JSON would take as they like.
func TestAccessLogNamesARequestOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.want(http.StatusOK, w.call("manager", http.MethodGet, "/auth/me", nil, "X-Request-Id", "mine-7"))
	w.waitFor("the request's line", func() bool { return strings.Contains(w.log.String(), "mine-7") })
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "mine-7") && (strings.Count(line, "mine-7") != 1 || !strings.Contains(line, `"request_id":"mine-7"`)) {
			t.Errorf("logged %s", line)
		}
	}
}
