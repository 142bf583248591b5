package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"estate/internal/problem"
	"estate/sync/hlc"
	"estate/sync/record"
)

// Alarms lists a building's alarms, the latest first.
func (d *Desk) Alarms(ctx context.Context, c Caller, building record.ID, f AlarmFilter, p Page) (List[Alarm], error) {
	v, err := d.Viewer(ctx, c, building)
	if err != nil {
		return List[Alarm]{}, err
	}
	filters := map[string][]record.Value{}
	if len(f.State) > filterValuesMax {
		return List[Alarm]{}, invalid("state", "at most %d values", filterValuesMax)
	}
	for _, s := range f.State {
		filters["state"] = append(filters["state"], record.Text(s))
	}
	for field, id := range map[string]record.ID{"unit": f.Unit, "device": f.Device, "asset": f.Asset, "ticket": f.Ticket} {
		if !id.IsZero() {
			filters[field] = []record.Value{record.IDValue(id)}
		}
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, Selection{Shape: shapeAlarms, Building: building, Filters: filters, Scope: scope(v)}, p, keep, d.alarmViews)
}

func (d *Desk) alarmViews(ctx context.Context, items []item) ([]Alarm, error) {
	if len(items) == 0 {
		return nil, nil
	}
	names := d.refs(items[0].key.Building)
	for _, it := range items {
		f := d.fields(it)
		names.want("device", f.id("device"))
		names.want("unit", f.id("unit"))
		names.want("asset", f.id("asset"))
	}
	if err := names.read(ctx); err != nil {
		return nil, err
	}
	out := make([]Alarm, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		device := names.of(key(it.key.Building, "device", f.id("device")))
		a := Alarm{ID: it.key.ID, Device: f.id("device"), Hardware: device.text("hardware"), DeviceName: device.text("name"), Cause: f.text("cause"),
			State: f.text("state"), Unit: f.id("unit"), UnitName: names.name("unit", f.id("unit")), Asset: f.id("asset"), AssetName: names.name("asset", f.id("asset")),
			RaisedAt: f.time("raised_at"), ClearedAt: f.time("cleared_at"), Flapping: f.bool("flapping"), Ticket: f.id("ticket"), Detail: f.text("detail"), Seen: seen(it.record)}
		out = append(out, a)
	}
	return out, nil
}

// AcknowledgeAlarm says that somebody knows. An alarm that has cleared stays so.
func (d *Desk) AcknowledgeAlarm(ctx context.Context, c Caller, building, id record.ID) (Alarm, error) {
	k := key(building, "alarm", id)
	err := d.write(ctx, c, building, "alarm.acknowledge", []record.Key{k}, func(x *draft) error {
		it, err := x.readable(k)
		if err != nil || d.fields(it).text("state") == "cleared" {
			return err
		}
		return x.set(k, "state", record.Text("acknowledged"))
	})
	if err != nil {
		return Alarm{}, err
	}
	return d.alarmOf(ctx, k)
}

// EndAlarm says for a person that an alarm is over, though its rule has not said so. What the
// rule still holds open begins anew only after it ended.
func (d *Desk) EndAlarm(ctx context.Context, c Caller, building, id record.ID) (Alarm, error) {
	k := key(building, "alarm", id)
	err := d.write(ctx, c, building, "alarm.end", []record.Key{k}, func(x *draft) error {
		it, err := x.readable(k)
		if err != nil || d.fields(it).text("state") == "cleared" {
			return err
		}
		return x.setAll(k, textPair("state", "cleared"), pair{"cleared_at", record.Int(x.current.Now)})
	})
	if err != nil {
		return Alarm{}, err
	}
	return d.alarmOf(ctx, k)
}

func (d *Desk) alarmOf(ctx context.Context, k record.Key) (Alarm, error) {
	found, err := d.load(ctx, k.Building, k)
	if err != nil {
		return Alarm{}, err
	}
	if !hasContent(found.item(k)) {
		return Alarm{}, notFound("alarm")
	}
	views, err := d.alarmViews(ctx, []item{found.item(k)})
	if err != nil {
		return Alarm{}, err
	}
	return views[0], nil
}

// The ids of what automation makes are derived from the cause, so that a message delivered
// again, or two automations, make one record.

// DeviceID is the id of a device's record.
func DeviceID(building record.ID, hardware string) record.ID {
	return record.DerivedID("device", building.String(), hardware)
}

// AlarmID is the id of an alarm's record.
func AlarmID(building record.ID, hardware, cause string, onset time.Time) record.ID {
	return record.DerivedID("alarm", building.String(), hardware, cause, fmt.Sprint(onset.UnixMilli()))
}

// AlarmTicketID is the id of the ticket that an alarm opens where none is open.
func AlarmTicketID(building record.ID, hardware, cause string, onset time.Time) record.ID {
	return record.DerivedID("alarm ticket", building.String(), hardware, cause, fmt.Sprint(onset.UnixMilli()))
}

// ingestName is the actor of what sensors cause.
const ingestName = "ingest"

// RaiseAlarm stores an alarm of an adopted device and, in the same transaction, opens one
// ticket about the asset that the device watches, or about the device where it watches none;
// unless an open one of that cause stands: then the alarm joins it. Raised again it only brings its detail up to date. It never changes what a person
// decided, and returns not_found for a device that nobody adopted.
func (d *Desk) RaiseAlarm(ctx context.Context, building record.ID, in AlarmInput) (Alarm, Ticket, error) {
	defer d.lockMaking(building)()
	r := raising{desk: d, in: in, building: building, alarm: key(building, "alarm", AlarmID(building, in.Hardware, in.Cause, in.Onset)),
		device: key(building, "device", DeviceID(building, in.Hardware)), ticket: key(building, "ticket", AlarmTicketID(building, in.Hardware, in.Cause, in.Onset))}
	if !in.Storm.IsZero() {
		r.ticket.ID = AlarmTicketID(building, "", in.Cause, in.Storm)
	}
	for err := errChanged; err != nil; { // again only when a person gave the device another asset meanwhile
		if err = r.prepare(ctx); err == nil {
			reads := append([]record.Key{r.alarm, r.device, r.asset, r.ticket, buildingKey(building)}, r.standing...)
			err = d.automate(ctx, building, ingestName, "alarm.raise", reads, r.write)
		}
		if err != nil && !errors.Is(err, errChanged) {
			return Alarm{}, Ticket{}, err
		}
	}
	alarm, err := d.alarmOf(ctx, r.alarm)
	if err != nil {
		return Alarm{}, Ticket{}, err
	}
	if alarm.Ticket.IsZero() {
		return alarm, Ticket{}, nil
	}
	tk := key(building, "ticket", alarm.Ticket)
	found, err := d.load(ctx, building, tk)
	if err != nil {
		return alarm, Ticket{}, err
	}
	ticket, err := d.ticketView(ctx, found.item(tk))
	return alarm, ticket, err
}

// raising is one run of RaiseAlarm.
type raising struct {
	desk     *Desk
	in       AlarmInput
	building record.ID
	alarm    record.Key
	device   record.Key
	asset    record.Key // that the device watches; its id is zero where it watches none
	ticket   record.Key
	code     string
	standing []record.Key // tickets of earlier alarms of that cause, of the device and of its asset
}

func (r *raising) prepare(ctx context.Context) error {
	found, err := r.desk.load(ctx, r.building, buildingKey(r.building), r.device)
	if err != nil {
		return err
	}
	r.standing, r.asset = nil, key(r.building, "asset", r.desk.fields(found.item(r.device)).id("asset"))
	if !r.asset.ID.IsZero() {
		if err := r.earlier(ctx, shapeAlarmsByAsset, r.asset.ID); err != nil {
			return err
		}
	}
	if err := r.earlier(ctx, shapeAlarmsByDevice, r.device.ID); err != nil {
		return err
	}
	prefix := r.desk.fields(found.item(buildingKey(r.building))).text("code")
	r.code, err = r.desk.mintCode(ctx, r.building, prefix, r.ticket.ID)
	return err
}

// earlier adds the tickets of the latest alarms of the cause.
func (r *raising) earlier(ctx context.Context, shape string, lead record.ID) error {
	items, _, err := r.desk.selectItems(ctx, Selection{Shape: shape, Building: r.building, Lead: record.IDValue(lead),
		Filters: map[string][]record.Value{"cause": {record.Text(r.in.Cause)}}, Limit: joinCandidatesMax})
	if err != nil {
		return err
	}
	for _, it := range items {
		if id := r.desk.fields(it).id("ticket"); !id.IsZero() {
			r.standing = append(r.standing, key(r.building, "ticket", id))
		}
	}
	return nil
}

func (r *raising) write(x *draft) error {
	device := x.fields(r.device)
	if device.id("asset") != r.asset.ID {
		return errChanged
	}
	if !device.bool("adopted") || device.bool("deleted") {
		return notFound("adopted device")
	}
	x.intent.EventTime = min(r.in.Onset.UnixMilli(), x.current.Now+hlc.AheadMax)
	if it := x.item(r.alarm); hasContent(it) {
		return r.refresh(x)
	}
	ticket, join := r.open(x)
	if r.in.Quiet {
		ticket.ID, join = record.ID{}, true
	}
	err := x.setAll(r.alarm, idPair("device", r.device.ID), textPair("cause", r.in.Cause), idPair("unit", device.id("unit")), idPair("asset", r.asset.ID), textPair("state", "active"),
		pair{"raised_at", record.Int(x.intent.EventTime)}, textPair("detail", r.detail()), idPair("ticket", ticket.ID))
	if err == nil && r.in.Flapping {
		err = x.set(r.alarm, "flapping", record.Bool(true))
	}
	if err != nil || join {
		return err
	}
	asset := x.fields(r.asset)
	t := r.in.traits(asset.text("category"))
	title := t.title
	switch name := cmp.Or(asset.text("name"), device.text("name")); {
	case !r.in.Storm.IsZero():
		title += ": several devices"
	case name != "":
		title += ": " + name
	}
	return x.setAll(ticket, textPair("code", r.code), textPair("title", clip(title, titleMax)), textPair("description", r.account(asset, device)), textPair("status", "new"),
		textPair("priority", t.priority), textPair("category", t.category), idPair("unit", whereabouts(asset, device)), idPair("device", r.device.ID),
		idPair("asset", r.asset.ID), idPair("alarm", r.alarm.ID), pair{"reported_at", record.Int(x.intent.EventTime)})
}

// account is what a new ticket says of the alarm: of an asset also which of its devices told it.
func (r *raising) account(asset, device fields) string {
	text, name := r.detail(), device.text("name")
	if asset.text("name") != "" && name != "" && text != "" {
		text = name + ": " + text
	}
	return text
}

// whereabouts is the unit that a ticket about an asset, or else about a device, is for.
func whereabouts(asset, device fields) record.ID {
	if unit := asset.id("unit"); !unit.IsZero() {
		return unit
	}
	return device.id("unit")
}

// refresh brings an alarm that already stands up to date.
func (r *raising) refresh(x *draft) error {
	f := x.fields(r.alarm)
	if f.text("state") == "cleared" {
		return nil // a late repetition of what is over
	}
	x.intent.Action = "alarm.update"
	if r.detail() != f.text("detail") {
		if err := x.setAll(r.alarm, textPair("detail", r.detail())); err != nil {
			return err
		}
	}
	if r.in.Flapping && !f.bool("flapping") {
		return x.set(r.alarm, "flapping", record.Bool(true))
	}
	return nil
}

// open finds the ticket that the alarm belongs to; join is false for a new one.
func (r *raising) open(x *draft) (ticket record.Key, join bool) {
	if hasContent(x.item(r.ticket)) {
		return r.ticket, true
	}
	for _, k := range r.standing {
		f := x.fields(k)
		if about := f.id("asset"); isOpen(f.text("status")) && !f.bool("deleted") && (about == r.asset.ID || about.IsZero()) {
			return k, true // not one that is about other equipment: the device was moved, or a person said so
		}
	}
	return r.ticket, false
}

// Limits of texts that are put together here; the table of kinds has the same.
const (
	titleMax  = 200
	detailMax = 500
)

func (r *raising) detail() string {
	text := r.in.Detail
	if r.in.Value != "" {
		if text != "" {
			text += " "
		}
		text += "(" + r.in.Value + ")"
	}
	return clip(text, detailMax)
}

func clip(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes])
	}
	return s
}

// ClearAlarm ends an alarm. Its ticket stays open: the water may be off the sensor and
// still on the floor.
func (d *Desk) ClearAlarm(ctx context.Context, building record.ID, in AlarmEnd) (Alarm, error) {
	k := key(building, "alarm", AlarmID(building, in.Hardware, in.Cause, in.Onset))
	err := d.automate(ctx, building, ingestName, "alarm.clear", []record.Key{k}, func(x *draft) error {
		it := x.item(k)
		if !hasContent(it) {
			return notFound("alarm")
		}
		if d.fields(it).text("state") == "cleared" {
			return nil
		}
		x.intent.EventTime = min(in.At.UnixMilli(), x.current.Now+hlc.AheadMax)
		return x.setAll(k, textPair("state", "cleared"), pair{"cleared_at", record.Int(x.intent.EventTime)}, textPair("detail", clip(in.Detail, detailMax)))
	})
	if err != nil {
		return Alarm{}, err
	}
	return d.alarmOf(ctx, k)
}

// MarkFlapping says of a standing alarm that its sensor may be faulty.
func (d *Desk) MarkFlapping(ctx context.Context, building record.ID, in AlarmInput) (Alarm, error) {
	k := key(building, "alarm", AlarmID(building, in.Hardware, in.Cause, in.Onset))
	err := d.automate(ctx, building, ingestName, "alarm.flapping", []record.Key{k}, func(x *draft) error {
		it := x.item(k)
		if !hasContent(it) {
			return notFound("alarm")
		}
		if f := d.fields(it); f.bool("flapping") || f.text("state") == "cleared" {
			return nil
		}
		return x.setAll(k, pair{"flapping", record.Bool(true)}, textPair("detail", clip(in.Detail, detailMax)))
	})
	if err != nil {
		return Alarm{}, err
	}
	return d.alarmOf(ctx, k)
}

// openAlarmsMax is far more alarms than a building has sensors in trouble at once.
const openAlarmsMax = 10000

// OpenAlarms lists the alarms that have not cleared, for automation.
func (d *Desk) OpenAlarms(ctx context.Context, building record.ID) ([]Alarm, error) {
	states := []record.Value{record.Text("active"), record.Text("acknowledged")}
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeAlarms, Building: building, Limit: openAlarmsMax, Filters: map[string][]record.Value{"state": states}})
	if err != nil {
		return nil, err
	}
	if len(items) == openAlarmsMax {
		return nil, problem.New(problem.Internal, "more than %d open alarms", openAlarmsMax)
	}
	return d.alarmViews(ctx, items)
}
