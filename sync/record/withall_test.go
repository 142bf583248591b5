package record_test

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/record"
)

// TestWithAll: all fields at once are what they are one after the other, and what the record
// was stays as it was.
func TestWithAll(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, other := drawRecord(t), drawRecord(t)
		before, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		var changed []record.Field
		for _, f := range slices.Concat(r.Fields, other.Fields) {
			if rapid.Bool().Draw(t, "taken") && !slices.ContainsFunc(changed, func(o record.Field) bool { return o.Name == f.Name }) {
				siblings := slices.Concat(other.Siblings(f.Name), f.Siblings)
				slices.Reverse(siblings)
				changed = append(changed, record.Field{Name: f.Name, Siblings: siblings[:rapid.IntRange(0, len(siblings)).Draw(t, "kept")]})
			}
		}
		slices.SortFunc(changed, func(a, b record.Field) int {
			if a.Name < b.Name {
				return -1
			}
			return 1
		})
		want := r
		for _, f := range changed {
			want = want.With(f.Name, f.Siblings)
		}
		got := r.WithAll(changed)
		if len(got.Fields) != len(want.Fields) || len(got.Fields) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if after, err := r.Encode(); err != nil || !slices.Equal(before, after) {
			t.Fatal("the record itself has changed")
		}
	})
}
