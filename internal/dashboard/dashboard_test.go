package dashboard_test

import (
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"estate/internal/dashboard"
	"estate/schema"
)

// sources reads every file of the page.
func sources(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(dashboard.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(dashboard.Files(), name)
		out[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// found gives the first group of every match.
func found(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestReferences(t *testing.T) {
	t.Parallel()
	files := sources(t)
	used := map[string]bool{"index.html": true}
	for name, text := range files {
		var refs []string
		switch path.Ext(name) {
		case ".html":
			refs = found(`(?:src|href)="([^"]*)"`, text)
		case ".js":
			for _, ref := range found(`(?:from|import) '([^']*)'`, text) {
				if !strings.HasPrefix(ref, ".") {
					t.Errorf("%s imports %q, which is not a file of the page", name, ref)
				}
				refs = append(refs, path.Join(path.Dir(name), ref))
			}
			refs = append(refs, found(`src: '([^']*)'`, text)...)
		case ".css":
			if strings.Contains(text, "url(") || strings.Contains(text, "@import") {
				t.Errorf("%s refers to another file", name)
			}
		}
		for _, ref := range refs {
			used[ref] = true
			if _, ok := files[ref]; !ok {
				t.Errorf("%s refers to %q, which does not exist", name, ref)
			}
		}
	}
	for name := range files {
		if !used[name] {
			t.Errorf("nothing refers to %s", name)
		}
	}
}

func TestNothingInline(t *testing.T) {
	t.Parallel()
	for name, text := range sources(t) {
		forbidden := map[string]string{
			"markup from strings": `\binnerHTML\b|insertAdjacentHTML|document\.write`,
			"code from strings":   `\beval\(|new Function\(`,
			"a style attribute":   `[^-\w]style(?:=|: ['"])|setAttribute\('style'`,
			"another site":        `https?://[a-z]`,
		}
		if name == "index.html" {
			forbidden = map[string]string{
				"an inline script":   `<script(?:\s[^>]*)?>\s*[^<\s]|<script>`,
				"an inline style":    `<style|\sstyle=`,
				"an inline listener": `\son\w+=`,
				"another site":       `https?://`,
			}
		}
		if path.Ext(name) == ".svg" {
			delete(forbidden, "another site") // the name space of SVG
		}
		for what, pattern := range forbidden {
			text := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
			if m := regexp.MustCompile(pattern).FindString(text); m != "" {
				t.Errorf("%s has %s: %q", name, what, m)
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	files := sources(t)
	keys := map[string]bool{}
	for _, key := range found(`(?m)^  '([a-z_.]+)':`, files["strings.js"]+files["strings-assets.js"]+files["strings-devices.js"]+files["strings-rules.js"]) {
		if keys[key] {
			t.Errorf("%s is in the catalogue twice", key)
		}
		keys[key] = true
	}
	if len(keys) < 100 {
		t.Fatalf("only %d texts were found in the catalogue", len(keys))
	}
	has := func(prefix string) bool {
		for key := range keys {
			if strings.HasPrefix(key, prefix) {
				return true
			}
		}
		return false
	}
	quoted := ""
	for name, text := range files {
		if path.Ext(name) != ".js" || strings.HasPrefix(name, "strings") {
			continue
		}
		quoted += text
		for _, key := range found(`\bt\('([^']+)'`, text) {
			if !keys[key] {
				t.Errorf("%s uses the text %q, which is not in the catalogue", name, key)
			}
		}
		for _, key := range found(`\bplural\('([^']+)'`, text) {
			if !keys[key+".one"] || !keys[key+".other"] {
				t.Errorf("%s uses the plural %q, which is not in the catalogue", name, key)
			}
		}
		for _, group := range append(found(`\blabel\('([^']+)'`, text), found(`\bbadge\('([^']+)'`, text)...) {
			if !has(group + ".") {
				t.Errorf("%s uses the group %q, which is not in the catalogue", name, group)
			}
		}
		for _, prefix := range found("\\bt\\(`([a-z_.]*)\\$\\{", text) {
			if prefix != "" && !has(prefix) {
				t.Errorf("%s uses texts that begin with %q, which are not in the catalogue", name, prefix)
			}
		}
	}
	for key := range keys {
		if !mentioned(quoted, key) {
			t.Errorf("nothing uses the text %q", key)
		}
	}
}

// mentioned reports whether a key is used by its name, as a plural, or through its group.
func mentioned(text, key string) bool {
	plural := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".other")
	group := key[:strings.LastIndex(key, ".")]
	for _, form := range []string{"'" + key + "'", "'" + plural + "'", "'" + group + "'", "`" + group + ".${", ".title`"} {
		if form == ".title`" && !strings.HasSuffix(key, ".title") {
			continue
		}
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

// TestLabels holds the catalogue to the table of kinds: a new status without a label would
// show its name on the wire.
func TestLabels(t *testing.T) {
	t.Parallel()
	files := sources(t)
	catalogue := files["strings.js"] + files["strings-assets.js"]
	for group, values := range map[string][]string{"status": schema.TicketStates(), "priority": schema.Priorities(), "category": schema.Categories(), "asset_category": schema.AssetCategories()} {
		for _, value := range values {
			if !strings.Contains(catalogue, "'"+group+"."+value+"':") {
				t.Errorf("%s %s has no label", group, value)
			}
		}
	}
}

// TestModules runs the unit tests of the page's own code.
func TestModules(t *testing.T) {
	t.Parallel()
	tests, err := filepath.Glob("*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no unit tests found: %v", err)
	}
	out, err := exec.CommandContext(t.Context(), "node", append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("node --test: %v\n%s", err, out)
	}
}
