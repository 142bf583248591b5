package desk

import (
	"context"
	"slices"
	"strings"

	"estate/sync/record"
)

// hardwareMax bounds a hardware id; the table of kinds has the same limit.
const hardwareMax = 200

// Devices lists a building's devices, adopted or only heard of. Staff only.
func (d *Desk) Devices(ctx context.Context, c Caller, building record.ID, f DeviceFilter, p Page) (List[Device], error) {
	v, err := d.Viewer(ctx, c, building)
	if err == nil {
		err = d.mayList(v, "device")
	}
	if err != nil {
		return List[Device]{}, err
	}
	filters := map[string][]record.Value{}
	if !f.Unit.IsZero() {
		filters["unit"] = []record.Value{record.IDValue(f.Unit)}
	}
	if !f.Asset.IsZero() {
		filters["asset"] = []record.Value{record.IDValue(f.Asset)}
	}
	if f.Hardware != "" {
		filters["hardware"] = []record.Value{record.Text(f.Hardware)}
	}
	if f.Adopted != nil {
		filters["adopted"] = []record.Value{record.Bool(*f.Adopted)}
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	out, err := list(ctx, d, Selection{Shape: shapeDevices, Building: building, Filters: filters}, p, keep, d.deviceViews)
	if err == nil {
		err = d.heard(ctx, building, out.Items)
	}
	return out, err
}

func (d *Desk) deviceViews(ctx context.Context, items []item) ([]Device, error) {
	if len(items) == 0 {
		return nil, nil
	}
	names := d.refs(items[0].key.Building)
	for _, it := range items {
		f := d.fields(it)
		names.want("unit", f.id("unit"))
		names.want("asset", f.id("asset"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	var units, assets []place
	if slices.ContainsFunc(items, func(it item) bool { return !d.fields(it).bool("adopted") }) {
		var err error
		if units, assets, err = d.places(ctx, items[0].key.Building); err != nil {
			return nil, err
		}
	}
	out := make([]Device, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Device{ID: it.key.ID, Hardware: f.text("hardware"), Name: f.text("name"), Model: f.text("model"), Unit: f.id("unit"),
			UnitName: names.name("unit", f.id("unit")), Asset: f.id("asset"), AssetName: names.name("asset", f.id("asset")), Adopted: f.bool("adopted"), Availability: f.text("availability"), Battery: f.float("battery"),
			Conflicts: f.conflicts(), Seen: seen(it.record)})
		if one := &out[len(out)-1]; !one.Adopted {
			one.suggest(units, assets)
		}
	}
	return out, nil
}

// Device reads one device.
func (d *Desk) Device(ctx context.Context, c Caller, building, id record.ID) (Device, error) {
	k := key(building, "device", id)
	v, found, err := d.open(ctx, c, building, k)
	if err != nil {
		return Device{}, err
	}
	it := found.item(k)
	if !hasContent(it) || !d.table.MayRead(v, k, it.record, record.Record{}) || d.fields(it).bool("deleted") {
		return Device{}, notFound("device")
	}
	out, err := d.deviceOf(ctx, k)
	if err != nil {
		return out, err
	}
	one := []Device{out}
	err = d.heard(ctx, building, one)
	return one[0], err
}

func (d *Desk) deviceOf(ctx context.Context, k record.Key) (Device, error) {
	found, err := d.load(ctx, k.Building, k)
	if err != nil {
		return Device{}, err
	}
	it := found.item(k)
	if !hasContent(it) || d.fields(it).bool("deleted") {
		return Device{}, notFound("device")
	}
	views, err := d.deviceViews(ctx, []item{it})
	if err != nil {
		return Device{}, err
	}
	return views[0], nil
}

// CreateDevice enters a device before it was ever heard, adopted. Entered again it is the
// same device.
func (d *Desk) CreateDevice(ctx context.Context, c Caller, building record.ID, in NewDevice) (Device, error) {
	if strings.TrimSpace(in.Hardware) == "" || len(in.Hardware) > hardwareMax {
		return Device{}, invalid("hardware", "is required, at most %d bytes", hardwareMax)
	}
	k := key(building, "device", DeviceID(building, in.Hardware))
	reads := []record.Key{k}
	if !in.Unit.IsZero() {
		reads = append(reads, key(building, "unit", in.Unit))
	}
	if !in.Asset.IsZero() {
		reads = append(reads, key(building, "asset", in.Asset))
	}
	err := d.write(ctx, c, building, "device.create", reads, func(x *draft) error {
		if err := x.checkRefs(named{unit: in.Unit, asset: in.Asset}); err != nil {
			return err
		}
		hardware := textPair("hardware", in.Hardware)
		if x.fields(k).text("hardware") != "" {
			hardware = pair{} // the sensor was heard first: its id is written once
		}
		return x.setAll(k, hardware, textPair("name", in.Name), textPair("model", in.Model), idPair("unit", in.Unit), idPair("asset", in.Asset), pair{"adopted", record.Bool(true)})
	})
	if err != nil {
		return Device{}, err
	}
	return d.deviceOf(ctx, k)
}

// AdoptDevice takes a device that was heard of into service. What is left out stays as it is.
func (d *Desk) AdoptDevice(ctx context.Context, c Caller, building, id record.ID, in Adoption) (Device, error) {
	yes := true
	change := DeviceChange{Adopted: &yes, Unit: in.Unit, Asset: in.Asset}
	if in.Name != "" {
		change.Name = &in.Name
	}
	return d.changeDevice(ctx, c, building, id, "device.adopt", change)
}

// UpdateDevice changes a device.
func (d *Desk) UpdateDevice(ctx context.Context, c Caller, building, id record.ID, in DeviceChange) (Device, error) {
	return d.changeDevice(ctx, c, building, id, "device.update", in)
}

func (d *Desk) changeDevice(ctx context.Context, c Caller, building, id record.ID, action string, in DeviceChange) (Device, error) {
	shown, err := d.shown(ctx, building, in.Seen)
	if err != nil {
		return Device{}, err
	}
	k := key(building, "device", id)
	reads := []record.Key{k}
	if in.Unit != nil {
		reads = append(reads, key(building, "unit", *in.Unit))
	}
	if in.Asset != nil {
		reads = append(reads, key(building, "asset", *in.Asset))
	}
	err = d.write(ctx, c, building, action, reads, func(x *draft) error {
		x.seen[k] = shown
		if err := x.editable(k); err != nil {
			return err
		}
		if err := x.checkRefs(named{unit: or(in.Unit), asset: or(in.Asset)}); err != nil {
			return err
		}
		if err := x.changeRefs(k, ref{"unit", in.Unit}, ref{"asset", in.Asset}); err != nil {
			return err
		}
		if in.Adopted != nil {
			if err := x.set(k, "adopted", record.Bool(*in.Adopted)); err != nil {
				return err
			}
		}
		return x.changeAll(k, in.Deleted, text{"name", in.Name}, text{"model", in.Model})
	})
	if err != nil {
		return Device{}, err
	}
	if in.Deleted != nil && *in.Deleted {
		return Device{ID: id}, nil
	}
	return d.deviceOf(ctx, k)
}

// DeviceByHardware finds a device by its hardware id, for automation.
func (d *Desk) DeviceByHardware(ctx context.Context, building record.ID, hardware string) (Device, error) {
	return d.deviceOf(ctx, key(building, "device", DeviceID(building, hardware)))
}

// AllDevices lists every device of a building, for automation.
func (d *Desk) AllDevices(ctx context.Context, building record.ID) ([]Device, error) {
	var out []Device
	s := Selection{Shape: shapeDevices, Building: building, Limit: PerPageMax}
	for {
		items, _, err := d.selectItems(ctx, s)
		if err != nil {
			return nil, err
		}
		views, err := d.deviceViews(ctx, items)
		if err != nil {
			return nil, err
		}
		out = append(out, views...)
		if len(items) < s.Limit {
			return out, nil
		}
		after := d.place(s.Shape, items[len(items)-1])
		s.After = &after
	}
}

// SeeDevice notes a device that was heard of. It raises no alarms until a person adopts
// it. What a person called it stays.
func (d *Desk) SeeDevice(ctx context.Context, building record.ID, hardware, name, model string) (Device, error) {
	if hardware == "" || len(hardware) > hardwareMax {
		return Device{}, invalid("hardware", "is required, at most %d bytes", hardwareMax)
	}
	k := key(building, "device", DeviceID(building, hardware))
	err := d.automate(ctx, building, ingestName, "device.see", []record.Key{k}, func(x *draft) error {
		f := x.fields(k)
		pairs := []pair{}
		if f.text("hardware") == "" {
			pairs = append(pairs, textPair("hardware", hardware))
		}
		for _, p := range []pair{textPair("name", clip(name, titleMax)), textPair("model", clip(model, titleMax))} {
			if !x.decided(k, p.field) {
				pairs = append(pairs, p)
			}
		}
		if f.value("adopted") == nil {
			pairs = append(pairs, pair{"adopted", record.Bool(false)})
		}
		return x.setAll(k, pairs...)
	})
	if err != nil {
		return Device{}, err
	}
	return d.deviceOf(ctx, k)
}

// decided reports whether a person wrote what a field holds: automation leaves it.
func (x *draft) decided(k record.Key, field string) bool {
	for _, s := range x.current.Record(k).Siblings(field) {
		if s.Class == record.Person {
			return true
		}
	}
	return false
}

// ReportDevice stores what a device or its gateway says of itself.
func (d *Desk) ReportDevice(ctx context.Context, building record.ID, hardware string, in DeviceStatus) error {
	k := key(building, "device", DeviceID(building, hardware))
	return d.automate(ctx, building, ingestName, "device.report", []record.Key{k}, func(x *draft) error {
		if !hasContent(x.item(k)) {
			return notFound("device")
		}
		battery := pair{}
		if in.Battery != nil {
			battery = pair{"battery", record.Float(*in.Battery)}
		}
		return x.setAll(k, textPair("availability", in.Availability), battery)
	})
}
