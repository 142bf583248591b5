package desk

import (
	"cmp"
	"context"

	"estate/sync/record"
)

// Assets lists the equipment that the caller may see, by name.
func (d *Desk) Assets(ctx context.Context, c Caller, building record.ID, f AssetFilter, p Page) (List[Asset], error) {
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return List[Asset]{}, err
	}
	if len(f.Category) > filterValuesMax {
		return List[Asset]{}, invalid("category", "at most %d values", filterValuesMax)
	}
	filters := map[string][]record.Value{}
	if !f.Unit.IsZero() {
		filters["unit"] = []record.Value{record.IDValue(f.Unit)}
	}
	for _, s := range f.Category {
		filters["category"] = append(filters["category"], record.Text(s))
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, Selection{Shape: shapeAssets, Building: building, Filters: filters, Scope: scope(v)}, p, keep, d.assetViews)
}

func (d *Desk) assetViews(ctx context.Context, items []item) ([]Asset, error) {
	if len(items) == 0 {
		return nil, nil
	}
	names := d.refs(items[0].key.Building)
	for _, it := range items {
		names.want("unit", d.fields(it).id("unit"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Asset, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Asset{ID: it.key.ID, Name: f.text("name"), Category: f.text("category"), Unit: f.id("unit"), UnitName: names.name("unit", f.id("unit")),
			Manufacturer: f.text("manufacturer"), Model: f.text("model"), Serial: f.text("serial"), Conflicts: f.conflicts(), Seen: seen(it.record)})
	}
	return out, nil
}

// Asset reads one asset; not_found where the caller may not see it or it is deleted.
func (d *Desk) Asset(ctx context.Context, c Caller, building, id record.ID) (Asset, error) {
	k := key(building, "asset", id)
	v, found, err := d.open(ctx, c, building, k)
	if err != nil {
		return Asset{}, err
	}
	it := found.item(k)
	if !hasContent(it) || !d.table.MayRead(v, k, it.record, record.Record{}) || d.fields(it).bool("deleted") {
		return Asset{}, notFound("asset")
	}
	return first(d.assetViews(ctx, []item{it}))
}

// CreateAsset enters an asset. Staff only. Entered again under the same id it is the same asset.
func (d *Desk) CreateAsset(ctx context.Context, c Caller, building record.ID, in NewAsset) (Asset, error) {
	if in.Name == "" {
		return Asset{}, invalid("name", "is required")
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, "asset")
	if err != nil {
		return Asset{}, err
	}
	k := key(building, "asset", id)
	reads := []record.Key{k}
	if !in.Unit.IsZero() {
		reads = append(reads, key(building, "unit", in.Unit))
	}
	err = d.write(ctx, c, building, "asset.create", reads, func(x *draft) error {
		if hasContent(x.item(k)) {
			_, err := x.readable(k)
			return err
		}
		if err := x.checkRefs(named{unit: in.Unit}); err != nil {
			return err
		}
		return x.setAll(k, textPair("name", in.Name), textPair("category", cmp.Or(in.Category, "other")), idPair("unit", in.Unit),
			textPair("manufacturer", in.Manufacturer), textPair("model", in.Model), textPair("serial", in.Serial))
	})
	if err != nil {
		return Asset{}, err
	}
	return d.assetOf(ctx, k)
}

// UpdateAsset changes an asset. Its devices, tickets and alarms keep naming it, deleted or not.
func (d *Desk) UpdateAsset(ctx context.Context, c Caller, building, id record.ID, in AssetChange) (Asset, error) {
	shown, err := d.shown(ctx, building, in.Seen)
	if err != nil {
		return Asset{}, err
	}
	k := key(building, "asset", id)
	reads := []record.Key{k}
	if in.Unit != nil {
		reads = append(reads, key(building, "unit", *in.Unit))
	}
	err = d.write(ctx, c, building, "asset.update", reads, func(x *draft) error {
		x.seen[k] = shown
		if err := x.editable(k); err != nil {
			return err
		}
		if in.Name != nil && *in.Name == "" {
			return invalid("name", "must not be empty")
		}
		if err := x.checkRefs(named{unit: or(in.Unit)}); err != nil {
			return err
		}
		if err := x.changeRefs(k, ref{"unit", in.Unit}); err != nil {
			return err
		}
		return x.changeAll(k, in.Deleted, text{"name", in.Name}, text{"category", in.Category}, text{"manufacturer", in.Manufacturer},
			text{"model", in.Model}, text{"serial", in.Serial})
	})
	if err != nil {
		return Asset{}, err
	}
	return d.assetOf(ctx, k)
}

func (d *Desk) assetOf(ctx context.Context, k record.Key) (Asset, error) {
	found, err := d.load(ctx, k.Building, k)
	if err != nil {
		return Asset{}, err
	}
	return first(d.assetViews(ctx, []item{found.item(k)}))
}
