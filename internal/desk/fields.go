package desk

import (
	"maps"
	"slices"
	"time"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// item is a record with its place, as a use case reads it.
type item struct {
	key      record.Key
	record   record.Record
	position uint64
}

// fields reads what a record shows.
type fields struct {
	table *schema.Table
	kind  string
	r     record.Record
}

func (d *Desk) fields(it item) fields { return fields{table: d.table, kind: it.key.Kind, r: it.record} }

func (f fields) value(name string) record.Value { return f.table.Shown(f.kind, name, f.r) }

func (f fields) text(name string) string {
	s, _ := f.value(name).AsText()
	return s
}

func (f fields) id(name string) record.ID {
	id, _ := f.value(name).AsID()
	return id
}

func (f fields) bool(name string) bool {
	b, _ := f.value(name).AsBool()
	return b
}

func (f fields) int(name string) int64 {
	n, _ := f.value(name).AsInt()
	return n
}

func (f fields) float(name string) *float64 {
	n, ok := f.value(name).AsFloat()
	if !ok {
		return nil
	}
	return &n
}

func (f fields) bytes(name string) []byte {
	b, _ := f.value(name).AsBytes()
	return b
}

func (f fields) time(name string) *time.Time {
	ms, ok := f.value(name).AsInt()
	if !ok {
		return nil
	}
	t := shownTime(ms)
	return &t
}

func (f fields) ids(name string) []record.ID {
	var out []record.ID
	for _, m := range f.table.Members(f.kind, name, f.r) {
		if id, ok := m.AsID(); ok {
			out = append(out, id)
		}
	}
	return out
}

func (f fields) texts(name string) []string {
	var out []string
	for _, m := range f.table.Members(f.kind, name, f.r) {
		if s, ok := m.AsText(); ok {
			out = append(out, s)
		}
	}
	return out
}

// conflicts names the fields in conflict, in order. The field that hides a record is never
// one for people to decide: its policy keeps what anyone saved.
func (f fields) conflicts() []string {
	all := replica.Conflicts(f.table, f.kind, f.r)
	delete(all, "deleted")
	return slices.Sorted(maps.Keys(all))
}

func timeValue(t time.Time) record.Value { return record.Int(t.UnixMilli()) }

func hasContent(it item) bool { return len(it.record.Fields) > 0 }
