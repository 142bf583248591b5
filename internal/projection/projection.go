// Package projection turns records into rows of typed columns: what a record shows, by
// the table of kinds. Both SQL stores write these rows beside the record's own bytes.
//
// A projection is derived data and can be made again from the records at any time. This
// package must never decide what is true.
package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"estate/schema"
	"estate/sync/merge"
)

// version rises when rows of unchanged kinds change their form, so that stores project
// everything again.
const version = 3

// Table is one kind's projection. Besides its columns every row has the building, the
// record's id and its feed position.
type Table struct {
	Kind    string
	Columns []Column
	// Fingerprint changes whenever the same record may give another row.
	Fingerprint string
	sorted      []int // the columns by name, as a record has its fields
}

// Index is a column's place, -1 where there is none of the name.
func (t Table) Index(column string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// Column is one field.
type Column struct {
	Name    string
	Type    schema.Type
	Set     bool // holds a JSON array of the members
	Indexed bool
	policy  merge.Policy
}

// Tables lists the projections of kinds, in order. Audit events lie in the chains and have
// none.
func Tables(kinds []schema.Kind) []Table {
	var tables []Table
	for _, k := range kinds {
		if k.Chain {
			continue
		}
		t := Table{Kind: k.Name}
		h := sha256.New()
		fmt.Fprintf(h, "%d %s\n", version, k.Name)
		for _, f := range k.Fields {
			t.Columns = append(t.Columns, Column{Name: f.Name, Type: f.Type, Set: f.Policy.Kind == merge.Set, Indexed: f.Indexed, policy: f.Policy})
			fmt.Fprintf(h, "%q %s %q %q %v %v\n", f.Name, f.Type, f.Policy.Kind, f.Policy.Order, f.Policy.PersonFirst, f.Indexed)
		}
		for i := range t.Columns {
			t.sorted = append(t.sorted, i)
		}
		slices.SortFunc(t.sorted, func(a, b int) int { return strings.Compare(t.Columns[a].Name, t.Columns[b].Name) })
		t.Fingerprint = hex.EncodeToString(h.Sum(nil))
		tables = append(tables, t)
	}
	return tables
}
