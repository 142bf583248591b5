package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestBenches: each bench works on a small input. What it measures here means nothing.
func TestBenches(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"freshness", "sync"} {
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
			for _, f := range figures {
				if f.Name == "" || f.Unit == "" || f.Value <= 0 {
					t.Errorf("figure %+v", f)
				}
			}
		})
	}
}
