package pgstore

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"estate/internal/desk"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
)

// shapeText is a shape's statements, made once at the start.
type shapeText struct {
	kind  string
	rows  queryText
	count queryText

	// lead looks several values of the lead up, where the shape selects by nothing else.
	lead     string
	leadType schema.Type
	// allLeads and newLeads read leads for a probe, where the shape has one: of all records,
	// and of those that moved behind a position.
	allLeads, newLeads string
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
	limit := " LIMIT " + rows.param("bigint", func(s desk.Selection) any { return s.Limit }) + " OFFSET " + rows.param("bigint", func(s desk.Selection) any { return s.Skip })
	// The part of the list is cut out first, and OFFSET 0 keeps the planner from joining in
	// another way: without statistics, as after an import, it would look through all records
	// of the kind once for each row.
	part := " FROM (SELECT *" + from + rows.wheres() + order + limit + ") t"
	record := " CROSS JOIN LATERAL (SELECT id, position, body FROM record WHERE building = t.building AND kind = '" + kind.Name + "' AND id = t.id OFFSET 0) r"
	text := shapeText{
		kind:  kind.Name,
		rows:  queryText{"SELECT r.id, r.position, r.body" + part + record + order, rows.params},
		count: queryText{"SELECT count(*)" + from + count.wheres(), count.params},
	}
	if shape.Lead != "" && shape.Order == "" && len(shape.Filters)+len(shape.Text) == 0 && !shape.Scoped && !shape.Hides {
		f, _ := kind.Field(shape.Lead)
		text.lead, text.leadType = leadText(kind.Name, f, shape.Probed), f.Type
	}
	if shape.Probed {
		lead, table := quote(shape.Lead), quote(kind.Name)
		text.allLeads = "SELECT " + lead + " FROM " + table + " WHERE building = $1 LIMIT $2"
		// The fence (OFFSET 0) keeps the kind out of the choice of an index, and the upper end
		// says that the positions are few: the planner, who knows nothing of them where the
		// table grew since it was analysed, would walk all records of the kind.
		text.newLeads = "SELECT t." + lead + " FROM (SELECT id, kind FROM record WHERE building = $1 AND position > 0 AND position > $2 AND position <= $3 OFFSET 0) r" +
			" CROSS JOIN LATERAL (SELECT " + lead + " FROM " + table + " WHERE building = $1 AND id = r.id OFFSET 0) t WHERE r.kind = '" + kind.Name + "'"
	}
	return text
}

// leadText looks values up one by one. The fence (OFFSET 0) is between look-up and order:
// without it a planner who knows nothing of the table yet walks all records of the building
// in the order that is asked for. For the sub-select see selectRecords. An index of hashes knows
// no buildings, so another fence keeps the planner from walking the building's rows.
func leadText(kind string, f schema.Field, probed bool) string {
	found := quote(kind) + " WHERE building = $1 AND " + quote(f.Name) + " = k.value"
	if probed {
		found = "(SELECT id, building FROM " + quote(kind) + " WHERE " + quote(f.Name) + " = k.value OFFSET 0) anywhere WHERE building = $1"
	}
	return "SELECT k.nth, r.id, r.position, r.body FROM unnest((SELECT $2::" + fieldType(f) + "[])) WITH ORDINALITY AS k (value, nth)" +
		" CROSS JOIN LATERAL (SELECT id FROM (SELECT id FROM " + found + " OFFSET 0) all_of ORDER BY id LIMIT $3) t" +
		" CROSS JOIN LATERAL (SELECT id, position, body FROM record WHERE building = $1 AND kind = '" + kind + "' AND id = t.id OFFSET 0) r ORDER BY k.nth, r.id"
}

// param adds a parameter of a PostgreSQL type: the server cannot guess that of one which
// is only compared with null.
func (b *queryBuilder) param(as string, value func(desk.Selection) any) string {
	b.params = append(b.params, value)
	return "$" + strconv.Itoa(len(b.params)) + "::" + as
}

func (b *queryBuilder) and(parts ...string) { b.where = append(b.where, strings.Join(parts, "")) }

func (b *queryBuilder) wheres() string { return " WHERE " + strings.Join(b.where, " AND ") }

func (b *queryBuilder) field(name string) (schema.Field, string) {
	f, _ := b.kind.Field(name)
	return f, "t." + quote(name)
}

// conditions are those that rows and count share.
func (b *queryBuilder) conditions() {
	b.and("t.building = ", b.param("uuid", func(s desk.Selection) any { return [16]byte(s.Building) }))
	if b.shape.Lead != "" {
		f, column := b.field(b.shape.Lead)
		b.and(column, " = ", b.param(fieldType(f), func(s desk.Selection) any { return columnValue(f.Type, s.Lead) }))
	}
	for _, name := range b.shape.Filters {
		f, column := b.field(name)
		p := b.param(fieldType(f)+"[]", func(s desk.Selection) any { return valueList(f.Type, s.Filters[name]) })
		b.and("(", p, " IS NULL OR ", column, " = ANY (", p, "))")
	}
	if b.shape.Order != "" {
		f, column := b.field(b.shape.Order)
		p := b.param(fieldType(f), func(s desk.Selection) any { return columnValue(f.Type, s.Since) })
		b.and("(", p, " IS NULL OR ", column, " >= ", p, ")")
	}
	if len(b.shape.Text) > 0 {
		p := b.param("text", func(s desk.Selection) any { return pattern(s.Text) })
		var likes []string
		for _, name := range b.shape.Text {
			_, column := b.field(name)
			likes = append(likes, column+" ILIKE "+p+` ESCAPE '\'`)
		}
		b.and("(", p, " IS NULL OR ", strings.Join(likes, " OR "), ")")
	}
	if b.shape.Scoped {
		b.scope()
	}
	if b.shape.Hides {
		b.and("t.deleted IS NOT TRUE")
	}
}

// scope limits a tenant to their units' records and those that they reported.
func (b *queryBuilder) scope() {
	units := b.param("uuid[]", func(s desk.Selection) any {
		if s.Scope == nil {
			return nil
		}
		return uuids(slices.Clone(s.Scope.Units))
	})
	unit := "t.unit"
	if b.kind.Name == "unit" {
		unit = "t.id"
	}
	own := []string{unit + " = ANY (" + units + ")"}
	person := func(s desk.Selection) record.ID {
		if s.Scope == nil {
			return record.ID{}
		}
		return s.Scope.Person
	}
	if f, column := b.field("reporter"); f.Name != "" {
		own = append(own, column+" = "+b.param("uuid", func(s desk.Selection) any { return [16]byte(person(s)) }))
	}
	if f, column := b.field("reports"); f.Policy.Kind == merge.Set {
		own = append(own, column+" @> to_jsonb("+b.param("text", func(s desk.Selection) any { return person(s).String() })+")")
	}
	b.and("(", units, " IS NULL OR ", strings.Join(own, " OR "), ")")
}

// place adds the condition of a cursor and returns the order. What shows no value sorts
// first, as the smallest of its type.
func (b *queryBuilder) place() string {
	direction, compare := "", ">"
	if b.shape.Desc {
		direction, compare = " DESC", "<"
	}
	id := b.param("uuid", func(s desk.Selection) any {
		if s.After == nil {
			return nil
		}
		return [16]byte(s.After.ID)
	})
	if b.shape.Order == "" {
		b.and("(", id, " IS NULL OR t.id ", compare, " ", id, ")")
		return " ORDER BY t.id" + direction
	}
	f, column := b.field(b.shape.Order)
	least := "''"
	if f.Type != schema.Text && f.Type != schema.Enum {
		least = "-9223372036854775807"
	}
	order, collation := "coalesce("+column+", "+least+")", ""
	if least == "''" {
		collation = ` COLLATE "C"` // as bytes, like the edge's store
	}
	after := b.param(fieldType(f), func(s desk.Selection) any {
		if s.After == nil {
			return nil
		}
		return columnValue(f.Type, s.After.Value)
	})
	b.and("(", id, " IS NULL OR (", order, collation, ", t.id) ", compare, " (coalesce(", after, ", ", least, ")", collation, ", ", id, "))")
	return " ORDER BY " + order + collation + direction + ", t.id" + direction
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
	case schema.ID:
		if id, ok := v.AsID(); ok {
			return pgtype.UUID{Bytes: id, Valid: true}
		}
	case schema.Digest, schema.Blob:
		if b, ok := v.AsBytes(); ok {
			return b
		}
	}
	return nil
}

// fieldType is the type of a field's column.
func fieldType(f schema.Field) string {
	return columnType(projection.Column{Name: f.Name, Type: f.Type, Set: f.Policy.Kind == merge.Set})
}

// valueList is an array of the column's type; nil for no restriction.
func valueList(t schema.Type, values []record.Value) any {
	if values == nil {
		return nil
	}
	switch t {
	case schema.Int, schema.Time:
		return listOf[int64](t, values)
	case schema.Float:
		return listOf[float64](t, values)
	case schema.Bool:
		return listOf[bool](t, values)
	case schema.ID:
		return listOf[pgtype.UUID](t, values)
	case schema.Digest, schema.Blob:
		return listOf[[]byte](t, values)
	case schema.Text, schema.Enum:
	}
	return listOf[string](t, values)
}

func listOf[T any](t schema.Type, values []record.Value) []T {
	list := make([]T, 0, len(values))
	for _, v := range values {
		if c, ok := columnValue(t, v).(T); ok {
			list = append(list, c)
		}
	}
	return list
}

// pattern is a text to look for, with what LIKE would take as a wildcard escaped.
func pattern(s string) any {
	if s == "" {
		return nil
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s) + "%"
}
