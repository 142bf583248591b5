package labtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"estate/internal/lab"
)

// Data finds files of the shared test data by a glob pattern, in ESTATE_DATA or else in
// ../shared/data beside the checkout, and never returns none. The data lies beside every
// checkout that CI makes, so nothing skips there; it is not part of the project, and who
// clones the project alone is told which file the test wanted.
func Data(t testing.TB, pattern string) []string {
	t.Helper()
	dir := os.Getenv("ESTATE_DATA")
	if dir == "" {
		root, err := lab.ModuleRoot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared", "data")
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skipf("no test data %s in ESTATE_DATA or ../shared/data", pattern)
	}
	slices.Sort(found)
	return found
}
