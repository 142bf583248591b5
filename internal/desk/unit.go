package desk

import (
	"context"

	"estate/sync/record"
)

// Units lists the units that the caller may see, by name.
func (d *Desk) Units(ctx context.Context, c Caller, building record.ID, p Page) (List[Unit], error) {
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return List[Unit]{}, err
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, Selection{Shape: shapeUnits, Building: building, Scope: scope(v)}, p, keep, d.unitViews)
}

func (d *Desk) unitViews(_ context.Context, items []item) ([]Unit, error) {
	out := make([]Unit, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Unit{ID: it.key.ID, Name: f.text("name"), Floor: f.text("floor"), Conflicts: f.conflicts(), Seen: seen(it.record)})
	}
	return out, nil
}

// CreateUnit adds a unit.
func (d *Desk) CreateUnit(ctx context.Context, c Caller, building record.ID, in NewUnit) (Unit, error) {
	if in.Name == "" {
		return Unit{}, invalid("name", "is required")
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, "unit")
	if err != nil {
		return Unit{}, err
	}
	k := key(building, "unit", id)
	err = d.write(ctx, c, building, "unit.create", []record.Key{k}, func(x *draft) error {
		if hasContent(x.item(k)) {
			_, err := x.readable(k)
			return err
		}
		return x.setAll(k, textPair("name", in.Name), textPair("floor", in.Floor))
	})
	if err != nil {
		return Unit{}, err
	}
	return d.unitOf(ctx, k)
}

// UpdateUnit changes a unit.
func (d *Desk) UpdateUnit(ctx context.Context, c Caller, building, id record.ID, in UnitChange) (Unit, error) {
	shown, err := d.shown(ctx, building, in.Seen)
	if err != nil {
		return Unit{}, err
	}
	k := key(building, "unit", id)
	err = d.write(ctx, c, building, "unit.update", []record.Key{k}, func(x *draft) error {
		x.seen[k] = shown
		if err := x.editable(k); err != nil {
			return err
		}
		if in.Name != nil && *in.Name == "" {
			return invalid("name", "must not be empty")
		}
		return x.changeAll(k, in.Deleted, text{"name", in.Name}, text{"floor", in.Floor})
	})
	if err != nil {
		return Unit{}, err
	}
	return d.unitOf(ctx, k)
}

// text is a text field of a change; nil for one that stays.
type text struct {
	field string
	value *string
}

// changeAll writes the text fields and the deletion that a change names.
func (x *draft) changeAll(k record.Key, deleted *bool, fields ...text) error {
	for _, f := range fields {
		if f.value == nil {
			continue
		}
		if err := x.set(k, f.field, textPair(f.field, *f.value).value); err != nil {
			return err
		}
	}
	if deleted == nil {
		return nil
	}
	return x.set(k, "deleted", record.Bool(*deleted))
}

// ref is a field of a change that names a record; nil for one that stays, zero to clear it.
type ref struct {
	field string
	id    *record.ID
}

// changeRefs writes the ids that a change gives.
func (x *draft) changeRefs(k record.Key, refs ...ref) error {
	for _, f := range refs {
		if f.id == nil {
			continue
		}
		if err := x.set(k, f.field, idPair(f.field, *f.id).value); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) unitOf(ctx context.Context, k record.Key) (Unit, error) {
	found, err := d.load(ctx, k.Building, k)
	if err != nil {
		return Unit{}, err
	}
	views, err := d.unitViews(ctx, []item{found.item(k)})
	if err != nil {
		return Unit{}, err
	}
	return views[0], nil
}
