package live

import (
	"strings"
	"testing"

	"estate/sync/record"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	c := cursor{record.DerivedID("run"), 42}
	if got, ok := parseCursor(c.String()); !ok || got != c {
		t.Errorf("%s came back as %v %v", c, got, ok)
	}
	for _, bad := range []string{"", ".", "x.1", c.generation.String(), c.generation.String() + ".", c.generation.String() + ".-1",
		c.generation.String() + ".18446744073709551615", strings.Repeat("x", 5000)} {
		if got, ok := parseCursor(bad); ok {
			t.Errorf("%.60q was read as %v", bad, got)
		}
	}
}

// FuzzCursor: a text is refused, or names the place that its own text names again.
func FuzzCursor(f *testing.F) {
	f.Add(cursor{record.DerivedID("run"), 42}.String())
	f.Add("x.1")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseCursor(text)
		if !ok {
			return
		}
		if again, ok := parseCursor(c.String()); !ok || again != c {
			t.Fatalf("%q is %v, again %v", text, c, again)
		}
	})
}
