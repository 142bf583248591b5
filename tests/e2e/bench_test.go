package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBenches: each bench works on a small input. What it measures here means nothing.
func TestBenches(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]string{
		"freshness": {"freshness"},
		// The peer is measured only where its packages are installed.
		"mqtt": {"embedded", "mosquitto", "queries"},
		"sync": {"reconcile", "updates", "events", "first sync", "creates", "media", "growth"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "figures.json")
			output, err := run(t, nil, "bench", name, "--quick", "--json", path)
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var figures []struct {
				Name  string
				Value float64
				Unit  string
			}
			if err := json.Unmarshal(text, &figures); err != nil || len(figures) == 0 {
				t.Fatalf("%s: %v", text, err)
			}
			named := map[string]bool{}
			for _, f := range figures {
				// The kernel counts CPU time in steps that a small run may not reach, an idle
				// machine has no load, and nothing is to be lost or to grow.
				mayBeZero := strings.Contains(f.Name, "CPU") || strings.HasPrefix(f.Name, "machine") ||
					f.Unit == "messages" || strings.Contains(f.Name, "growth")
				if f.Name == "" || f.Unit == "" || f.Value < 0 || (f.Value == 0 && !mayBeZero) {
					t.Errorf("figure %+v", f)
				}
				part, _, _ := strings.Cut(f.Name, ":")
				named[part] = true
			}
			for _, part := range parts {
				if !named[part] {
					t.Errorf("nothing was measured of %s:\n%s", part, output)
				}
			}
		})
	}
}
