package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/internal/lab"
)

// TestPublish: a program that was cut off is started again, one that was refused is not.
func TestPublish(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first   int    // exit status of the first start; later ones end with 0
		says    string // of each start
		starts  int
		refused bool
	}{
		"sent":       {starts: 1},
		"cut off":    {first: 7, starts: 2},
		"refused":    {first: 5, starts: 1, refused: true},
		"no rights":  {says: "Warning: not authorised.", starts: 1, refused: true},
		"no message": {first: 1, starts: 1, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			starts := filepath.Join(t.TempDir(), "starts")
			script := fmt.Sprintf("cat >> %[1]s; echo '%[2]s'; [ $(wc -l < %[1]s) -gt 1 ] || exit %[3]d", starts, c.says, c.first)
			err := lab.Publish(t.Context(), "sh", "on\n", "-c", script)
			if (err != nil) != c.refused {
				t.Errorf("answered %v", err)
			}
			got, err := os.ReadFile(starts)
			if err != nil || string(got) != strings.Repeat("on\n", c.starts) {
				t.Errorf("it read %q: %v", got, err)
			}
		})
	}
}
