package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTheTreeKeepsTheRules judges the repository itself.
func TestTheTreeKeepsTheRules(t *testing.T) {
	t.Parallel()
	const root = "../.."
	packages, err := Load(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(packages, func(p Package) bool { return p.Path == "estate/internal/problem" }) {
		t.Fatal("the list of packages lacks estate/internal/problem: the rules judged nothing")
	}
	for _, program := range []string{"estate/cmd/estate-edge", "estate/cmd/estate-cloud"} {
		if n := slices.IndexFunc(packages, func(p Package) bool { return p.Path == program }); n < 0 || !slices.Contains(packages[n].Deps, "time/tzdata") {
			t.Errorf("%s does not bring the time zones with it: on a machine without them all schedules would be in UTC", program)
		}
	}
	source, err := CheckSource(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, broken := range append(CheckImports(packages), source...) {
		t.Error(broken)
	}
}

func TestCheckImports(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    Package
		want string // part of the one complaint; empty: allowed
	}{
		{"CommandMayImportEdge", Package{Path: "estate/cmd/estate-edge", Imports: []string{"estate/edge"}}, ""},
		{"EdgeMayImportInternal", Package{Path: "estate/edge", Imports: []string{"estate/internal/desk"}}, ""},
		{"SyncMayImportCBOR", Package{Path: "estate/sync/wire", Imports: []string{cborLibrary, "bytes"}}, ""},
		{"TestMayStartPostgreSQL", Package{Path: "estate/schema", XTestImport: []string{"estate/internal/lab/pglab/pgtest"}}, ""},
		{"ClockMayFormatTime", Package{Path: "estate/sync/hlc", Imports: []string{"time"}}, ""},
		{"TwinMayLock", Package{Path: "estate/sync/memstore", Imports: []string{"sync"}}, ""},
		{"SuiteMayTest", Package{Path: "estate/sync/storetest", Imports: []string{"testing", "pgregory.net/rapid"}}, ""},
		{"EstateMaySimulate", Package{Path: "estate/cmd/estate", Deps: []string{"estate/sync/sim", "github.com/jackc/pgx/v5"}}, ""},

		{"EdgeNotCloud", Package{Path: "estate/edge", Imports: []string{"estate/cloud"}}, "never import each other"},
		{"CloudNotEdge", Package{Path: "estate/cloud", TestImports: []string{"estate/edge"}}, "never import each other"},
		{"InternalNotEdge", Package{Path: "estate/internal/desk", Imports: []string{"estate/edge"}}, "is above"},
		{"ModelsNotInternal", Package{Path: "estate/models/triage", Imports: []string{"estate/internal/obs"}}, "is above"},
		{"SchemaNotModels", Package{Path: "estate/schema", Imports: []string{"estate/models/triage"}}, "is above"},
		{"SyncNotSchema", Package{Path: "estate/sync/replica", Imports: []string{"estate/schema"}}, "is above"},
		{"SyncTestNotSchema", Package{Path: "estate/sync/replica", TestImports: []string{"estate/schema"}}, "is above"},
		{"SyncNotOtherLibraries", Package{Path: "estate/sync/client", Imports: []string{"github.com/google/uuid"}}, "standard and the CBOR"},
		{"CoreNotNet", Package{Path: "estate/sync/wire", Imports: []string{"net/http"}}, "pure"},
		{"CoreNotOS", Package{Path: "estate/sync/hlc", Imports: []string{"os"}}, "pure"},
		{"CoreNotMutex", Package{Path: "estate/sync/merge", Imports: []string{"sync"}}, "pure"},
		{"CoreNotChance", Package{Path: "estate/sync/record", Imports: []string{"crypto/rand"}}, "pure"},
		{"OpenAIOnlyCloud", Package{Path: "estate/internal/desk", Imports: []string{"estate/models/openai"}}, "only the cloud"},
		{"TestingOnlyInTestPackages", Package{Path: "estate/internal/desk", Imports: []string{"testing"}}, "names end in test"},
		{"EdgeNotPgx", Package{Path: "estate/cmd/estate-edge", Deps: []string{"github.com/jackc/pgx/v5/pgxpool"}}, "stays small"},
		{"EdgeNotTwin", Package{Path: "estate/cmd/estate-edge", Deps: []string{"estate/sync/memstore"}}, "only cmd/estate"},
		{"CloudLinksNoEdge", Package{Path: "estate/cmd/estate-cloud", Deps: []string{"estate/edge/internal/broker"}}, "never import"},
		{"EstateLinksNoEdge", Package{Path: "estate/cmd/estate", Deps: []string{"estate/edge"}}, "public API"},
		{"EstateSubcommandLinksNoCloud", Package{Path: "estate/cmd/estate/internal/demo", Deps: []string{"estate/cloud"}}, "public API"},
		{"NothingShipsTesting", Package{Path: "estate/cmd/estate", Deps: []string{"testing"}}, "ships"},
		{"NothingShipsConformance", Package{Path: "estate/cmd/estate-cloud", Deps: []string{"estate/sync/storetest"}}, "ships"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			broken := CheckImports([]Package{test.p})
			if test.want == "" {
				if len(broken) != 0 {
					t.Fatalf("complains: %q", broken)
				}
				return
			}
			if len(broken) != 1 || !strings.Contains(broken[0], test.want) {
				t.Fatalf("got %q, want one complaint about %q", broken, test.want)
			}
		})
	}
}

// TestLoadSeesARealModule runs the whole way from go list on a module that
// breaks the rules.
func TestLoadSeesARealModule(t *testing.T) {
	t.Parallel()
	packages, err := Load(t.Context(), "testdata/module")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"estate/cloud imports estate/edge: estate/cloud and estate/edge never import each other",
		"estate/cmd/estate links estate/cloud: the operator's program speaks the public API",
		"estate/cmd/estate links estate/edge: the operator's program speaks the public API",
		"estate/sync/hlc imports os: the core is pure: values in, values out",
	}
	if got := CheckImports(packages); !slices.Equal(got, want) {
		t.Fatalf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheckSource(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(n int) string { return strings.Repeat("\n", n) }
	write("good/good.go", "package good\n\nimport \"time\"\n\nfunc now() time.Time { return time.Now() }\n"+lines(500))
	write("good/good_test.go", "package good\n\nfunc long() {"+lines(200)+"}\n")
	write("good/README.md", lines(readmeLinesMax)+strings.Repeat("| bug | fix |\n", 100))
	write("good/made.go", "// Code generated by a test. DO NOT EDIT.\n\npackage good\n"+lines(900))
	write("README.md", lines(300))
	write("bin/util.go", "package util\n")
	write("web/node_modules/x/init.go", "package x\n\nfunc init() {}\n")
	write("sync/hlc/clock_test.go", "package hlc\n\nimport \"time\"\n\nfunc test() { go time.Now() }\n")
	write("sync/hlc/stamp.go", "package hlc\n\nimport \"time\"\n\ntype day = time.Duration\n")

	write("bad/README.md", lines(readmeLinesMax+1))
	write("bad/file.go", "package bad\n"+lines(fileLinesMax))
	write("bad/init.go", "package bad\n\nfunc init() {}\n")
	write("bad/function.go", "package bad\n\nfunc long() {"+lines(functionLinesMax)+"}\n")
	write("bad/syntax.go", "package\n")
	write("util/util.go", "package util\n")
	write("sync/hlc/clock.go", "package hlc\n\nimport t \"time\"\n\nfunc now() t.Time { return t.Now() }\n")
	write("sync/merge/merge.go", "package merge\n\nfunc run() { go run() }\n")

	got, err := CheckSource(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bad/README.md has 41 lines", "bad/file.go has 601 lines", "bad/function.go:3: func long has 71 lines",
		"bad/init.go:3: func init", "bad/syntax.go cannot be parsed", "sync/hlc/clock.go:5: the core is pure: time.Now",
		"sync/merge/merge.go:3: the core is pure: no goroutines", "util/util.go: package util",
	}
	if len(got) != len(want) {
		t.Fatalf("got %d complaints, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("got %q, want %q", got[i], want[i])
		}
	}
}
