package projection

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"estate/schema"
	"estate/sync/record"
)

// Holds says what a cell holds.
type Holds uint8

// What cells hold. List is a set's members as a JSON array.
const (
	Null Holds = iota
	Text
	Int
	Float
	Bool
	ID
	Bytes
	List
)

// Cell is what a record shows in one column. It may share memory with the record.
type Cell struct {
	Holds Holds
	Bool  bool
	ID    record.ID
	Int   int64
	Float float64
	Bytes []byte // of a text, byte string or list
}

// Cells reads what a record shows, one cell per column: null where there is none or its type
// is not the column's. They overwrite those of an earlier row that room holds, if any.
func (t Table) Cells(r *record.Record, room []Cell) []Cell {
	if cap(room) < len(t.Columns) {
		room = make([]Cell, len(t.Columns))
	}
	room = room[:len(t.Columns)]
	clear(room)
	next := 0
	for i := range r.Fields {
		f := &r.Fields[i]
		for next < len(t.sorted) && t.Columns[t.sorted[next]].Name < f.Name {
			next++
		}
		if next == len(t.sorted) {
			break
		}
		if at := t.sorted[next]; t.Columns[at].Name == f.Name {
			t.Columns[at].read(&room[at], f.Siblings)
		}
	}
	return room
}

// Row reads what a record shows as Go's own types: nil, string, int64, float64, bool, []byte
// or record.ID; for a set a string.
func (t Table) Row(r record.Record) []any {
	row := make([]any, len(t.Columns))
	for i, c := range t.Cells(&r, nil) {
		row[i] = c.value()
	}
	return row
}

func (c *Cell) value() any {
	switch c.Holds {
	case Text, List:
		return string(c.Bytes)
	case Int:
		return c.Int
	case Float:
		return c.Float
	case Bool:
		return c.Bool
	case ID:
		return c.ID
	case Bytes:
		return append([]byte(nil), c.Bytes...)
	case Null:
	}
	return nil
}

func (c *Column) read(into *Cell, siblings []record.Sibling) {
	if !c.Set {
		if best := c.policy.Best(siblings); best != nil {
			c.scalar(into, best.Value)
		}
		return
	}
	shown := c.policy.Shown(siblings)
	if len(shown) == 0 {
		return
	}
	members := []any{}
	for _, s := range shown {
		var one Cell
		switch c.scalar(&one, s.Value); one.Holds {
		case Null:
		case Bytes:
			members = append(members, c.text(one.Bytes))
		default:
			members = append(members, one.value())
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return // scalars of CBOR always have a JSON form; infinities were refused
	}
	into.Holds, into.Bytes = List, b
}

func (c *Column) text(b []byte) string {
	if c.Type == schema.Digest {
		return hex.EncodeToString(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// scalar reads one value as the column's type; a cell of another stays null.
func (c *Column) scalar(into *Cell, v record.Value) {
	holds, ok := Null, false
	switch c.Type {
	case schema.Text, schema.Enum:
		holds = Text
		into.Bytes, ok = v.TextBytes()
		ok = ok && utf8.Valid(into.Bytes)
	case schema.Int, schema.Time:
		holds = Int
		into.Int, ok = v.AsInt()
	case schema.Float:
		holds = Float
		into.Float, ok = v.AsFloat()
	case schema.Bool:
		holds = Bool
		into.Bool, ok = v.AsBool()
	case schema.ID:
		holds = ID
		into.ID, ok = v.AsID()
	case schema.Digest, schema.Blob:
		holds = Bytes
		into.Bytes, ok = v.RawBytes()
	}
	if ok {
		into.Holds = holds
	}
}
