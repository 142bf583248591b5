// Package projection turns records into rows of typed columns: what a record shows, by
// the table of kinds. Both SQL stores write these rows beside the record's own bytes.
//
// A projection is derived data and can be made again from the records at any time. This
// package must never decide what is true.
package projection

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
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
		t.Fingerprint = hex.EncodeToString(h.Sum(nil))
		tables = append(tables, t)
	}
	return tables
}

// Row reads what a record shows, one value per column: nil where there is none or its type
// is not the column's, else string, int64, float64, bool, []byte or record.ID; for a set a
// string holding a JSON array.
func (t Table) Row(r record.Record) []any {
	row := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		row[i] = c.value(r)
	}
	return row
}

func (c Column) value(r record.Record) any {
	shown := c.policy.Shown(r.Siblings(c.Name))
	switch {
	case len(shown) == 0:
		return nil
	case !c.Set:
		return c.scalar(shown[0].Value)
	}
	members := []any{}
	for _, s := range shown {
		switch v := c.scalar(s.Value).(type) {
		case nil:
		case []byte:
			members = append(members, c.text(v))
		default:
			members = append(members, v)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return nil // scalars of CBOR always have a JSON form; infinities were refused
	}
	return string(b)
}

func (c Column) text(b []byte) string {
	if c.Type == schema.Digest {
		return hex.EncodeToString(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// scalar reads one value as the column's type.
func (c Column) scalar(v record.Value) any {
	switch c.Type {
	case schema.Text, schema.Enum:
		return found(v.AsText())
	case schema.Int, schema.Time:
		return found(v.AsInt())
	case schema.Float:
		return found(v.AsFloat())
	case schema.Bool:
		return found(v.AsBool())
	case schema.ID:
		return found(v.AsID())
	case schema.Digest, schema.Blob:
		return found(v.AsBytes())
	}
	return nil
}

func found[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}
