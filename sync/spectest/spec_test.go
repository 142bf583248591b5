// Package spectest holds SPEC.md, the code and the tests together. It has only tests.
package spectest

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// awaited lists rules whose tests are still to be written. An entry that is in fact cited
// fails, so the list can only shrink.
var awaited = []string{}

const root = "../.."

var (
	ruleLine = regexp.MustCompile(`(?m)^\*\*(R\d+)\. [^*]+\*\*(.*)$`)
	citation = regexp.MustCompile(`SPEC (R\d+(?:, (?:SPEC )?R\d+)*)`)
	number   = regexp.MustCompile(`R\d+`)
	codeLine = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [^|]+ \\| [^|]+ \\|$")
	codeText = regexp.MustCompile(`(?m)^\tCode\w+\s+= "([a-z_]+)"`)
)

func spec(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "sync", "SPEC.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rules maps each rule of SPEC.md to whether it is reserved.
func rules(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, m := range ruleLine.FindAllStringSubmatch(spec(t), -1) {
		if _, twice := out[m[1]]; twice {
			t.Errorf("%s is defined twice", m[1])
		}
		out[m[1]] = strings.Contains(m[2], "*Reserved.*")
	}
	if len(out) == 0 {
		t.Fatal("no rule found in SPEC.md")
	}
	return out
}

// cited maps each cited rule to the files that cite it.
func cited(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" || strings.Contains(filepath.ToSlash(path), "sync/spectest/") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := commentLines.ReplaceAllString(string(b), " ")
		for _, m := range citation.FindAllStringSubmatch(text, -1) {
			for _, r := range number.FindAllString(m[1], -1) {
				out[r] = append(out[r], filepath.ToSlash(path))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// commentLines joins the lines of a comment, for citations that wrap.
var commentLines = regexp.MustCompile(`\n\s*// `)

// isTest says whether a file tests something: the conformance suite and the simulator are
// tests that other packages run.
func isTest(path string) bool {
	path = strings.TrimPrefix(path, root+"/")
	if !strings.HasPrefix(path, "sync/") {
		return false
	}
	return strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "sync/storetest/") || strings.HasPrefix(path, "sync/sim/")
}

func TestEveryRuleIsTested(t *testing.T) {
	t.Parallel()
	citations := cited(t)
	for rule, reserved := range rules(t) {
		tested := slices.ContainsFunc(citations[rule], isTest)
		switch waits := slices.Contains(awaited, rule); {
		case waits && tested:
			t.Errorf("%s is tested now: take it off the awaited list", rule)
		case !waits && !tested && !reserved:
			t.Errorf("%s is cited by no test under sync/", rule)
		}
	}
}

func TestEveryCitationExists(t *testing.T) {
	t.Parallel()
	known := rules(t)
	for rule, files := range cited(t) {
		if _, ok := known[rule]; !ok {
			t.Errorf("%s does not exist; cited in %v", rule, files)
		}
	}
	for _, rule := range awaited {
		if _, ok := known[rule]; !ok {
			t.Errorf("%s is awaited and does not exist", rule)
		}
	}
}

func TestEveryCodeHasARemedy(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(root, "sync", "wire", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := func(re *regexp.Regexp, text string) map[string]bool {
		out := map[string]bool{}
		for _, m := range re.FindAllStringSubmatch(text, -1) {
			if out[m[1]] {
				t.Errorf("code %s is listed twice", m[1])
			}
			out[m[1]] = true
		}
		return out
	}
	inCode, inSpec := found(codeText, string(b)), found(codeLine, spec(t))
	if len(inCode) == 0 || !maps.Equal(inCode, inSpec) {
		t.Errorf("codes of sync/wire and of SPEC.md differ:\n%v\n%v", slices.Sorted(maps.Keys(inCode)), slices.Sorted(maps.Keys(inSpec)))
	}
}
