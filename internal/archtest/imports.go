package archtest

import (
	"fmt"
	"slices"
	"strings"
)

const module = "estate"

// layers run from the top down; a package imports its own layer and those
// below. The tests folder may use everything.
func layers() [][]string {
	return [][]string{
		{"estate/tests"},
		{"estate/cmd"},
		{"estate/edge", "estate/cloud"},
		{"estate/internal"},
		{"estate/models"},
		{"estate/schema"},
		{"estate/sync"},
	}
}

// pure are the packages that take values and return values.
func pure() []string {
	return []string{"estate/sync/cborhead", "estate/sync/hlc", "estate/sync/record", "estate/sync/merge", "estate/sync/replica", "estate/sync/wire"}
}

// impure is what a pure package must not import: it would reach a clock's
// hardware, a socket, a file or another goroutine.
func impure() []string {
	return []string{"net", "os", "io/fs", "io/ioutil", "syscall", "log", "sync", "runtime", "math/rand", "crypto/rand", "database", "embed", "unsafe", "plugin"}
}

const cborLibrary = "github.com/fxamacker/cbor/v2"

// unlinkable is what a program must not contain, even through others.
type unlinkable struct {
	program string // folder of main packages
	path    string
	why     string
}

func unlinkables() []unlinkable {
	const (
		lean    = "the edge stays small and needs no server database"
		apart   = "edge and cloud never import each other"
		outside = "the operator's program speaks the public API"
		tools   = "nothing that ships links test code"
		twin    = "only cmd/estate may link the simulator and the twin"
		starter = "only cmd/estate starts processes"
	)
	return []unlinkable{
		{"estate/cmd/estate-edge", "github.com/jackc/pgx", lean},
		{"estate/cmd/estate-edge", "estate/cloud", apart},
		{"estate/cmd/estate-edge", "estate/models/openai", "only the cloud links OpenAI"},
		{"estate/cmd/estate-edge", "estate/sync/sim", twin},
		{"estate/cmd/estate-edge", "estate/sync/memstore", twin},
		{"estate/cmd/estate-edge", "estate/internal/lab", starter},
		{"estate/cmd/estate-cloud", "estate/edge", apart},
		{"estate/cmd/estate-cloud", "estate/sync/sim", twin},
		{"estate/cmd/estate-cloud", "estate/sync/memstore", twin},
		{"estate/cmd/estate-cloud", "estate/internal/lab", starter},
		{"estate/cmd/estate", "estate/edge", outside},
		{"estate/cmd/estate", "estate/cloud", outside},
		{"estate/cmd", "testing", tools},
		{"estate/cmd", "net/http/httptest", tools},
		{"estate/cmd", "estate/sync/storetest", tools},
		{"estate/cmd", "estate/internal/lab/pglab/pgtest", tools},
		{"estate/cmd", "estate/internal/lab/labtest", tools},
		{"estate/cmd", "pgregory.net/rapid", tools},
		{"estate/cmd", "go.uber.org/goleak", tools},
	}
}

// CheckImports gives every break of the import rules, one line each.
func CheckImports(packages []Package) []string {
	var broken []string
	for _, p := range packages {
		for _, imported := range p.Imports {
			broken = append(broken, checkImport(p.Path, imported)...)
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImport) {
			// Tests may run real parts, which the lab starts.
			if !within(imported, "estate/internal/lab") {
				broken = append(broken, checkLayers(p.Path, imported, "its test imports")...)
			}
		}
		broken = append(broken, checkLinks(p)...)
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}

func checkImport(from, to string) []string {
	broken := checkLayers(from, to, "imports")
	say := func(why string) { broken = append(broken, fmt.Sprintf("%s imports %s: %s", from, to, why)) }
	if slices.Contains(pure(), from) && withinAny(to, impure()) {
		say("the core is pure: values in, values out")
	}
	conformance := within(from, "estate/sync/storetest")
	if within(from, "estate/sync") && !within(to, module) && !standard(to) && to != cborLibrary &&
		(!conformance || to != "pgregory.net/rapid") {
		say("sync needs only the standard and the CBOR library")
	}
	if to == "testing" && !testPackage(from) {
		say("only packages whose names end in test may")
	}
	if within(to, "estate/models/openai") && !within(from, "estate/cloud") && !within(from, "estate/models/openai") {
		say("only the cloud links OpenAI")
	}
	return broken
}

func checkLayers(from, to, verb string) []string {
	fromLayer, fromFolder := layerOf(from)
	toLayer, toFolder := layerOf(to)
	switch {
	case fromLayer < 0 || toLayer < 0:
		return nil // outside the tree of layers
	case toLayer < fromLayer:
		return []string{fmt.Sprintf("%s %s %s: %s is above %s", from, verb, to, toFolder, fromFolder)}
	case toLayer == fromLayer && toFolder != fromFolder:
		return []string{fmt.Sprintf("%s %s %s: %s and %s never import each other", from, verb, to, fromFolder, toFolder)}
	}
	return nil
}

func layerOf(path string) (int, string) {
	for i, folders := range layers() {
		for _, folder := range folders {
			if within(path, folder) {
				return i, folder
			}
		}
	}
	return -1, ""
}

func testPackage(path string) bool {
	return strings.HasSuffix(path, "test") || within(path, "estate/tests")
}

func checkLinks(p Package) []string {
	var broken []string
	for _, rule := range unlinkables() {
		if !within(p.Path, rule.program) {
			continue
		}
		for _, dep := range p.Deps {
			if within(dep, rule.path) {
				broken = append(broken, fmt.Sprintf("%s links %s: %s", p.Path, dep, rule.why))
			}
		}
	}
	return broken
}
