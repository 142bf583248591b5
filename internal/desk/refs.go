package desk

import (
	"context"

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
	if len(r.keys) == 0 {
		return nil
	}
	var err error
	r.found, err = r.desk.load(ctx, r.building, r.keys...)
	return err
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
