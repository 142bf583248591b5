package sqlitestore

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"estate/internal/desk"
	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
)

// shapeText is a shape's statements, made once at the start.
type shapeText struct {
	kind  string
	rows  queryText
	count queryText
	all   queryText // counts what is not restricted
	leads string    // reads all leads of a probed shape
}

// queryText is a statement with what its parameters stand for, in order.
type queryText struct {
	text   string
	params []func(desk.Selection) any
}

func (q queryText) args(s desk.Selection) []any {
	args := make([]any, len(q.params))
	for i, p := range q.params {
		args[i] = p(s)
	}
	return args
}

// queryBuilder numbers the parameters of one statement as its text grows.
type queryBuilder struct {
	shape  desk.Shape
	kind   schema.Kind
	where  []string
	params []func(desk.Selection) any
}

func newShapeText(shape desk.Shape, kind schema.Kind) shapeText {
	from := " FROM " + quote(kind.Name) + " t"
	count := queryBuilder{shape: shape, kind: kind}
	count.conditions()
	rows := queryBuilder{shape: shape, kind: kind}
	rows.conditions()
	order := rows.place()
	limit := " LIMIT " + rows.param(func(s desk.Selection) any { return s.Limit }) + " OFFSET " + rows.param(func(s desk.Selection) any { return s.Skip })
	// CROSS keeps this order of the tables: from the few rows that match to their records,
	// never through all records of the kind.
	join := " CROSS JOIN record r ON r.building = t.building AND r.kind = '" + kind.Name + "' AND r.id = t.id"
	leads := ""
	if shape.Probed {
		lead := quote(shape.Lead)
		leads = "SELECT " + lead + " FROM " + quote(kind.Name) + " WHERE building = ?1 AND " + lead + " IS NOT NULL"
	}
	return shapeText{
		kind:  kind.Name,
		leads: leads,
		rows:  queryText{"SELECT r.id, r.position, r.body" + from + join + rows.wheres() + order + limit, rows.params},
		count: queryText{"SELECT count(*)" + from + count.wheres(), count.params},
		all:   newAllText(shape, from),
	}
}

func newAllText(shape desk.Shape, from string) queryText {
	if shape.Lead != "" {
		return queryText{}
	}
	text := "SELECT count(*)" + from + " WHERE t.building = ?1"
	if shape.Hides {
		text += " AND coalesce(t.deleted, 0) = 0"
	}
	return queryText{text, []func(desk.Selection) any{func(s desk.Selection) any { return s.Building[:] }}}
}

// unrestricted reports whether a selection is of all that its list shows to anybody.
func (t shapeText) unrestricted(s desk.Selection) bool {
	return t.all.text != "" && len(s.Filters) == 0 && s.Since == nil && s.Scope == nil && s.Text == ""
}

func (b *queryBuilder) param(value func(desk.Selection) any) string {
	b.params = append(b.params, value)
	return "?" + strconv.Itoa(len(b.params))
}

func (b *queryBuilder) and(parts ...string) { b.where = append(b.where, strings.Join(parts, "")) }

func (b *queryBuilder) wheres() string { return " WHERE " + strings.Join(b.where, " AND ") }

func (b *queryBuilder) field(name string) (schema.Field, string) {
	f, _ := b.kind.Field(name)
	return f, "t." + quote(name)
}

// conditions are those that rows and count share.
func (b *queryBuilder) conditions() {
	b.and("t.building = ", b.param(func(s desk.Selection) any { return s.Building[:] }))
	if b.shape.Lead != "" {
		f, column := b.field(b.shape.Lead)
		b.and(column, " = ", b.param(func(s desk.Selection) any { return columnValue(f.Type, s.Lead) }))
	}
	for _, name := range b.shape.Filters {
		f, column := b.field(name)
		p := b.param(func(s desk.Selection) any { return valueList(f.Type, s.Filters[name]) })
		b.and("(", p, " IS NULL OR ", column, " IN (SELECT ", listMember(f.Type), " FROM json_each(", p, ")))")
	}
	if b.shape.Order != "" {
		f, column := b.field(b.shape.Order)
		p := b.param(func(s desk.Selection) any { return columnValue(f.Type, s.Since) })
		b.and("(", p, " IS NULL OR ", column, " >= ", p, ")")
	}
	if len(b.shape.Text) > 0 {
		p := b.param(func(s desk.Selection) any { return pattern(s.Text) })
		var likes []string
		for _, name := range b.shape.Text {
			_, column := b.field(name)
			// Not the parameter itself: the planner would look at its value, and plan the
			// statement anew at each run.
			likes = append(likes, column+" LIKE ("+p+` || '') ESCAPE '\'`)
		}
		b.and("(", p, " IS NULL OR ", strings.Join(likes, " OR "), ")")
	}
	if b.shape.Scoped {
		b.scope()
	}
	if b.shape.Hides {
		b.and("coalesce(t.deleted, 0) = 0")
	}
}

// scope limits a tenant to their units' records and those that they reported.
func (b *queryBuilder) scope() {
	units := b.param(func(s desk.Selection) any {
		if s.Scope == nil {
			return nil
		}
		var values []record.Value
		for _, id := range s.Scope.Units {
			values = append(values, record.IDValue(id))
		}
		return listText(schema.ID, values)
	})
	unit := "t.unit"
	if b.kind.Name == "unit" {
		unit = "t.id"
	}
	own := []string{unit + " IN (SELECT unhex(value) FROM json_each(" + units + "))"}
	person := func(s desk.Selection) record.ID {
		if s.Scope == nil {
			return record.ID{}
		}
		return s.Scope.Person
	}
	if f, column := b.field("reporter"); f.Name != "" {
		own = append(own, column+" = "+b.param(func(s desk.Selection) any { id := person(s); return id[:] }))
	}
	if f, column := b.field("reports"); f.Policy.Kind == merge.Set {
		// A set is a JSON array of UUID texts: none contains another.
		own = append(own, "instr("+column+", "+b.param(func(s desk.Selection) any { return person(s).String() })+") > 0")
	}
	b.and("(", units, " IS NULL OR ", strings.Join(own, " OR "), ")")
}

// unsorted is a plus that keeps the planner from walking the whole building in the order of
// an index: it is to search by the lead's and sort the few rows.
const unsorted = "+"

// place adds the condition of a cursor and returns the order. What shows no value sorts
// first, as the smallest of its type.
func (b *queryBuilder) place() string {
	direction, compare := "", ">"
	if b.shape.Desc {
		direction, compare = " DESC", "<"
	}
	id := b.param(func(s desk.Selection) any {
		if s.After == nil {
			return nil
		}
		return s.After.ID[:]
	})
	if b.shape.Order == "" {
		b.and("(", id, " IS NULL OR t.id ", compare, " ", id, ")")
		if b.shape.Lead != "" {
			return " ORDER BY " + unsorted + "t.id" + direction
		}
		return " ORDER BY t.id" + direction
	}
	f, column := b.field(b.shape.Order)
	order := orderOf(column, f.Type)
	after := b.param(func(s desk.Selection) any {
		if s.After == nil {
			return nil
		}
		return columnValue(f.Type, s.After.Value)
	})
	b.and("(", id, " IS NULL OR (", order, ", t.id) ", compare, " (", orderOf(after, f.Type), ", ", id, "))")
	if b.shape.Lead != "" {
		return " ORDER BY " + unsorted + order + direction + ", " + unsorted + "t.id" + direction
	}
	return " ORDER BY " + order + direction + ", t.id" + direction
}

// orderOf is what rows are ordered by: what shows no value comes as the least of its type.
func orderOf(column string, t schema.Type) string {
	least := "''"
	if t != schema.Text && t != schema.Enum {
		least = "-9223372036854775807"
	}
	return "coalesce(" + column + ", " + least + ")"
}

// columnValue is a value as its column holds it; nil where it is none of the type.
func columnValue(t schema.Type, v record.Value) any {
	switch t {
	case schema.Text, schema.Enum:
		if s, ok := v.AsText(); ok {
			return s
		}
	case schema.Int, schema.Time:
		if n, ok := v.AsInt(); ok {
			return n
		}
	case schema.Float:
		if n, ok := v.AsFloat(); ok {
			return n
		}
	case schema.Bool:
		if b, ok := v.AsBool(); ok {
			return b
		}
	case schema.ID, schema.Digest, schema.Blob:
		if b, ok := v.AsBytes(); ok {
			return b
		}
	}
	return nil
}

// listMember reads one member of a valueList as its column holds it.
func listMember(t schema.Type) string {
	if slices.Contains([]schema.Type{schema.ID, schema.Digest, schema.Blob}, t) {
		return "unhex(value)"
	}
	return "value"
}

// valueList is a JSON array for json_each; nil for no restriction.
func valueList(t schema.Type, values []record.Value) any {
	if values == nil {
		return nil
	}
	return listText(t, values)
}

func listText(t schema.Type, values []record.Value) string {
	list := make([]any, 0, len(values))
	for _, v := range values {
		c := columnValue(t, v)
		if b, ok := c.([]byte); ok {
			c = hex.EncodeToString(b)
		}
		list = append(list, c)
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "[]" // values of CBOR always have a JSON form
	}
	return string(b)
}

// pattern is a text to look for, with what LIKE would take as a wildcard escaped.
func pattern(s string) any {
	if s == "" {
		return nil
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
