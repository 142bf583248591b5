package desk

import (
	"context"
	"slices"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// draft is a transaction in the making, under the building's lock. Each field that goes
// into it is checked against the table of kinds with the rights that hold under the lock.
type draft struct {
	desk    *Desk
	current replica.Current
	viewer  schema.Viewer // zero for automation
	intent  replica.Intent
	seen    map[record.Key]*shown
	parents map[record.Key]record.Key
}

// write runs one transaction of a person. reads names what fn reads or writes.
func (d *Desk) write(ctx context.Context, c Caller, building record.ID, action string, reads []record.Key, fn func(*draft) error) error {
	_, err := d.decide(ctx, c, building, action, nil, reads, fn)
	return err
}

// decide is write of what happened at a time, nil for now, and gives what came of it.
func (d *Desk) decide(ctx context.Context, c Caller, building record.ID, action string, at *time.Time, reads []record.Key, fn func(*draft) error) (outcome, error) {
	if c.Person.IsZero() {
		return outcome{}, problem.New(problem.Unauthenticated, "")
	}
	own := []record.Key{buildingKey(building), memberKey(building, c.Person)}
	return d.transact(ctx, building, append(own, reads...), func(x *draft) error {
		v, err := d.viewer(c, building, x.current.Record(own[0]), x.current.Record(own[1]))
		if err != nil {
			return err
		}
		x.viewer = v
		x.intent = replica.Intent{Actor: record.Actor{Class: record.Person, Person: c.Person}, Action: action}
		if err := x.happened(at); err != nil {
			return err
		}
		return fn(x)
	})
}

// automate runs one transaction of a program.
func (d *Desk) automate(ctx context.Context, building record.ID, name, action string, reads []record.Key, fn func(*draft) error) error {
	_, err := d.transact(ctx, building, reads, func(x *draft) error {
		x.intent = replica.Intent{Actor: record.Actor{Class: record.Automation, Name: name}, Action: action}
		return fn(x)
	})
	return err
}

func (d *Desk) transact(ctx context.Context, building record.ID, reads []record.Key, fn func(*draft) error) (outcome, error) {
	reads = slices.Clone(reads)
	slices.SortFunc(reads, record.Key.Compare)
	reads = slices.Compact(reads)
	var out outcome
	written, err := d.node.Write(ctx, building, reads, func(cur replica.Current) (replica.Intent, error) {
		x := &draft{desk: d, current: cur, seen: map[record.Key]*shown{}, parents: map[record.Key]record.Key{}}
		err := fn(x)
		out = x.outcome(reads)
		return x.intent, err
	})
	if err != nil {
		return outcome{}, translate(err)
	}
	for k, r := range written.Records {
		out.found[k] = replica.Stored{Record: r, Position: written.Positions[k]}
	}
	return out, nil
}

// outcome is what a transaction left of all that it read or wrote: enough to show it to its
// author without reading it again.
type outcome struct {
	viewer schema.Viewer // as under the lock
	found  found
}

func (x *draft) outcome(reads []record.Key) outcome {
	o := outcome{viewer: x.viewer, found: make(found, len(reads))}
	for _, k := range reads {
		o.found[k] = replica.Stored{Record: x.current.Record(k), Position: x.current.Position(k)}
	}
	return o
}

// happened sets the time of the event, where it is not now.
func (x *draft) happened(at *time.Time) error {
	if at == nil {
		return nil
	}
	ms := at.UnixMilli()
	if ms <= 0 || ms > x.current.Now+hlc.AheadMax {
		return invalid("at", "must be a time in the past")
	}
	x.intent.EventTime = ms
	return nil
}

// eventTime is when what is being written happened.
func (x *draft) eventTime() time.Time {
	if x.intent.EventTime != 0 {
		return time.UnixMilli(x.intent.EventTime).UTC()
	}
	return time.UnixMilli(x.current.Now).UTC()
}

func (x *draft) item(k record.Key) item { return item{key: k, record: x.current.Record(k)} }

func (x *draft) fields(k record.Key) fields { return x.desk.fields(x.item(k)) }

// set writes one field; nil clears it.
func (x *draft) set(k record.Key, field string, value record.Value) error {
	var values []record.Value
	if value != nil {
		values = []record.Value{value}
	}
	return x.put(k, replica.FieldWrite{Field: field, Value: value}, values)
}

// setAll writes fields that are given, in order.
func (x *draft) setAll(k record.Key, values ...pair) error {
	for _, p := range values {
		if p.value == nil {
			continue
		}
		if err := x.set(k, p.field, p.value); err != nil {
			return err
		}
	}
	return nil
}

// pair is a field with its value; a nil value means that the field is not written.
type pair struct {
	field string
	value record.Value
}

func textPair(field, s string) pair {
	if s == "" {
		return pair{}
	}
	return pair{field, record.Text(s)}
}

func idPair(field string, id record.ID) pair {
	if id.IsZero() {
		return pair{}
	}
	return pair{field, record.IDValue(id)}
}

func timePair(field string, t *time.Time) pair {
	if t == nil {
		return pair{}
	}
	return pair{field, timeValue(*t)}
}

// members adds to and removes from a set.
func (x *draft) members(k record.Key, field string, add, remove []record.Value) error {
	if len(add)+len(remove) == 0 {
		return nil
	}
	return x.put(k, replica.FieldWrite{Field: field, Add: add, Remove: remove}, slices.Concat(add, remove))
}

func (x *draft) put(k record.Key, w replica.FieldWrite, values []record.Value) error {
	if code := x.may(k, w.Field, values); code != "" {
		if code == wire.CodeValueInvalid {
			return invalid(w.Field, "is not a value that %s.%s takes", k.Kind, w.Field)
		}
		return refused(code, k.Kind+"."+w.Field)
	}
	i := slices.IndexFunc(x.intent.Writes, func(r replica.RecordWrite) bool { return r.Key == k })
	if i < 0 {
		i = len(x.intent.Writes)
		x.intent.Writes = append(x.intent.Writes, replica.RecordWrite{Key: k, Seen: x.seen[k].contextOf()})
	}
	x.intent.Writes[i].Fields = append(x.intent.Writes[i].Fields, w)
	return nil
}

// may asks the table of kinds.
func (x *draft) may(k record.Key, field string, values []record.Value) string {
	if x.intent.Actor.Class == record.Automation {
		return x.desk.programMay(k.Kind, field, values, len(x.current.Record(k).Siblings(field)) == 0)
	}
	var parent record.Record
	if p, ok := x.parents[k]; ok {
		parent = x.current.Record(p)
	}
	return x.desk.table.MayWrite(x.viewer, k, field, values, x.current.Record(k), parent)
}

// programMay is MayWrite for automation, which reads everything of its building.
func (d *Desk) programMay(kind, field string, values []record.Value, empty bool) string {
	k, ok := d.table.Lookup(kind)
	if !ok || k.Chain {
		return wire.CodeKindUnknown
	}
	f, ok := k.Field(field)
	if !ok {
		return wire.CodeFieldUnknown
	}
	if !slices.Contains(f.Writers, schema.Automation) && (!empty || !slices.Contains(f.Creators, schema.Automation)) {
		return wire.CodeFieldForbidden
	}
	allowed := f.ValuesOf[schema.Automation]
	for _, v := range values {
		if code := d.table.Validate(kind, field, v); code != "" {
			return code
		}
		if s, _ := v.AsText(); allowed != nil && !slices.Contains(allowed, s) {
			return wire.CodeFieldForbidden
		}
	}
	return ""
}

// readable returns a record that the caller may read and that is not deleted.
func (x *draft) readable(k record.Key) (item, error) {
	it := x.item(k)
	var parent record.Record
	if p, ok := x.parents[k]; ok {
		parent = x.current.Record(p)
	}
	if !hasContent(it) || !x.desk.table.MayRead(x.viewer, k, it.record, parent) || x.desk.fields(it).bool("deleted") {
		return it, notFound(k.Kind)
	}
	return it, nil
}
