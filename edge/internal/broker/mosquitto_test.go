package broker_test

import (
	"os"
	"strings"
	"testing"

	"estate/edge/internal/broker"
)

// TestMosquittoLimits: the file has the limits without which mosquitto drops what it acknowledged,
// and the documentation names the same.
func TestMosquittoLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../firmware-docs/provisioning.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(broker.MosquittoConf(broker.MosquittoPaths{Port: "1883", Store: "store"})) {
		if word, _, _ := strings.Cut(line, " "); word == "max_queued_messages" || word == "max_inflight_messages" || word == "persistence" {
			found++
			if want := "`" + strings.TrimSpace(line) + "`"; !strings.Contains(string(text), want) {
				t.Errorf("the documentation does not name %s", want)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d of 3 limits are in the file", found)
	}
}
