package desk

import (
	"context"
	"maps"
	"slices"

	"estate/sync/record"
)

// refs are the names behind the ids that a page of views shows.
type refs struct {
	building record.ID
	keys     []record.Key
	found    found
	desk     *Desk
}

func (d *Desk) refs(building record.ID) *refs { return &refs{desk: d, building: building} }

// refsAmong knows some records already.
func (d *Desk) refsAmong(building record.ID, known found) *refs {
	return &refs{desk: d, building: building, found: known}
}

func (r *refs) wantPerson(ids ...record.ID) {
	for _, id := range ids {
		if !id.IsZero() {
			r.keys = append(r.keys, memberKey(r.building, id))
		}
	}
}

func (r *refs) want(kind string, id record.ID) {
	if !id.IsZero() {
		r.keys = append(r.keys, key(r.building, kind, id))
	}
}

// read loads all that is wanted, in one snapshot.
func (r *refs) read(ctx context.Context) error {
	missing := slices.DeleteFunc(r.keys, func(k record.Key) bool { _, known := r.found[k]; return known })
	if len(missing) == 0 {
		return nil
	}
	more, err := r.desk.load(ctx, r.building, missing...)
	if err != nil {
		return err
	}
	r.found = joinFound(r.found, more)
	return nil
}

func (r *refs) person(id record.ID) *Person {
	if id.IsZero() {
		return nil
	}
	return &Person{ID: id, Name: r.of(memberKey(r.building, id)).text("name")}
}

func (r *refs) name(kind string, id record.ID) string {
	return r.of(key(r.building, kind, id)).text("name")
}

func (r *refs) of(k record.Key) fields { return r.desk.fields(r.found.item(k)) }

func joinFound(a, b found) found {
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// first is the only view of a list of one.
func first[T any](views []T, err error) (one T, _ error) {
	if err != nil || len(views) == 0 {
		return one, err
	}
	return views[0], nil
}
