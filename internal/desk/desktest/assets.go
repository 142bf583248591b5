package desktest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// testAssets: equipment is staff's to enter, a tenant sees what stands in their unit, and what
// names an asset shows its name.
func testAssets(t *testing.T, open Opener) {
	w := populated(t, open)
	in := desk.NewAsset{ID: w.newID(), Name: "Main boiler", Category: "boiler", Manufacturer: "Viessmann", Model: "Vitodens 200", Serial: "7571 1"}
	must(w.CreateAsset(ctx(), w.tess, w.home, in))(t)
	boiler := must(w.CreateAsset(ctx(), w.tess, w.home, in))(t) // entered again it is the same
	radiator := must(w.CreateAsset(ctx(), w.boss, w.home, desk.NewAsset{Name: "Floor heating", Unit: w.unitA}))(t)
	equal(t, "category where none was given", radiator.Category, "other")
	equal(t, "unit", radiator.UnitName, "A 1")
	names := func(c desk.Caller, f desk.AssetFilter) (out []string) {
		for _, a := range must(w.Assets(ctx(), c, w.home, f, desk.Page{}))(t).Items {
			out = append(out, a.Name)
		}
		return out
	}
	for name, c := range map[string]struct {
		caller desk.Caller
		filter desk.AssetFilter
		want   []string
	}{
		"staff":    {w.tess, desk.AssetFilter{}, []string{"Floor heating", "Main boiler"}},
		"category": {w.tess, desk.AssetFilter{Category: []string{"boiler", "lift"}}, []string{"Main boiler"}},
		"unit":     {w.tess, desk.AssetFilter{Unit: w.unitA}, []string{"Floor heating"}},
		"ann":      {w.ann, desk.AssetFilter{}, []string{"Floor heating"}},
		"bob":      {w.bob, desk.AssetFilter{}, nil},
	} {
		if got := names(c.caller, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	_, err := w.Asset(ctx(), w.bob, w.home, boiler.ID)
	wantCode(t, err, problem.NotFound)
	_, err = w.Assets(ctx(), w.stranger, w.home, desk.AssetFilter{}, desk.Page{})
	wantCode(t, err, problem.NotFound)
	for _, c := range []desk.Caller{w.ann, w.bob} {
		_, err = w.CreateAsset(ctx(), c, w.home, desk.NewAsset{Name: "Mine", Unit: w.unitA})
		wantCode(t, err, map[bool]problem.Code{true: problem.Forbidden, false: problem.InvalidInput}[c == w.ann])
	}
	_, err = w.UpdateAsset(ctx(), w.ann, w.home, radiator.ID, desk.AssetChange{Name: ptr("Mine")})
	wantCode(t, err, problem.Forbidden)
	for _, bad := range []desk.NewAsset{{}, {Name: "x", Category: "spaceship"}, {Name: "x", Unit: w.newID()}} {
		_, err = w.CreateAsset(ctx(), w.tess, w.home, bad)
		wantCode(t, err, problem.InvalidInput)
	}

	changed := must(w.UpdateAsset(ctx(), w.tess, w.home, boiler.ID, desk.AssetChange{Seen: boiler.Seen, Name: ptr("Boiler 1"), Unit: &w.unitB, Serial: ptr("")}))(t)
	equal(t, "what changed", [...]string{changed.Name, changed.UnitName, changed.Serial, changed.Model}, [...]string{"Boiler 1", "B 2", "", "Vitodens 200"})
	ticket := w.ticket(w.tess, desk.NewTicket{Title: "Yearly service", Asset: boiler.ID})
	equal(t, "asset of a ticket", ticket.AssetName, "Boiler 1")
	_, err = w.CreateTicket(ctx(), w.tess, w.home, desk.NewTicket{Title: "Service", Asset: w.newID()})
	wantCode(t, err, problem.InvalidInput)
	_, err = w.CreateTicket(ctx(), w.ann, w.home, desk.NewTicket{Title: "Cold", Unit: w.unitA, Asset: radiator.ID})
	wantCode(t, err, problem.Forbidden)
	ticket = must(w.UpdateTicket(ctx(), w.tess, w.home, ticket.ID, desk.TicketChange{Asset: &radiator.ID}))(t)
	equal(t, "another asset", ticket.AssetName, "Floor heating")
	equal(t, "tickets by asset", must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{Asset: radiator.ID}, desk.Page{}))(t).Total, 1)
	equal(t, "tickets of the other", must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{Asset: boiler.ID}, desk.Page{}))(t).Total, 0)
	ticket = must(w.UpdateTicket(ctx(), w.tess, w.home, ticket.ID, desk.TicketChange{Asset: &record.ID{}}))(t)
	equal(t, "no asset", ticket.Asset, record.ID{})

	_, err = w.UpdateAsset(ctx(), w.tess, w.home, boiler.ID, desk.AssetChange{Deleted: ptr(true)})
	wantCode(t, err, problem.Forbidden)
	must(w.UpdateAsset(ctx(), w.boss, w.home, boiler.ID, desk.AssetChange{Deleted: ptr(true)}))(t)
	equal(t, "left", strings.Join(names(w.tess, desk.AssetFilter{}), ", "), "Floor heating")
	_, err = w.Asset(ctx(), w.tess, w.home, boiler.ID)
	wantCode(t, err, problem.NotFound)
}

// testAssetDevices: a device that was heard is put to the asset that its name says.
func testAssetDevices(t *testing.T, open Opener) {
	w := populated(t, open)
	lift := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Lift north", Category: "lift", Unit: w.unitB}))(t)
	seen := must(w.SeeDevice(ctx(), w.home, "z2m:0x07", "lift_north_shake", "DJT11LM"))(t)
	equal(t, "suggested asset", seen.SuggestedAssetName, "Lift north")
	equal(t, "suggested asset's id", seen.SuggestedAsset, lift.ID)
	equal(t, "suggested unit", seen.SuggestedUnitName, "B 2")
	_, err := w.AdoptDevice(ctx(), w.tess, w.home, seen.ID, desk.Adoption{Asset: ptr(w.newID())})
	wantCode(t, err, problem.InvalidInput)
	sensor := must(w.AdoptDevice(ctx(), w.tess, w.home, seen.ID, desk.Adoption{Asset: &seen.SuggestedAsset, Unit: &seen.SuggestedUnit}))(t)
	equal(t, "adopted", [...]string{sensor.AssetName, sensor.UnitName, sensor.SuggestedAssetName}, [...]string{"Lift north", "B 2", ""})
	again := must(w.AdoptDevice(ctx(), w.tess, w.home, seen.ID, desk.Adoption{Name: "Shaker"}))(t)
	equal(t, "adopted again", [...]string{again.Name, again.AssetName, again.UnitName}, [...]string{"Shaker", "Lift north", "B 2"})
	again = must(w.AdoptDevice(ctx(), w.tess, w.home, seen.ID, desk.Adoption{Unit: &record.ID{}}))(t)
	equal(t, "adopted for no unit", [...]string{again.Name, again.AssetName, again.UnitName}, [...]string{"Shaker", "Lift north", ""})
	entered := must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "plain:7", Name: "Machine room", Asset: lift.ID}))(t)
	of := desk.DeviceFilter{Asset: lift.ID}
	equal(t, "devices of the lift", must(w.Devices(ctx(), w.tess, w.home, of, desk.Page{}))(t).Total, 2)
	entered = must(w.UpdateDevice(ctx(), w.boss, w.home, entered.ID, desk.DeviceChange{Asset: &record.ID{}}))(t)
	equal(t, "taken off", entered.AssetName, "")
	equal(t, "devices left", must(w.Devices(ctx(), w.tess, w.home, of, desk.Page{}))(t).Total, 1)
}

// testAssetAlarms: whatever devices report it, there is one open ticket of an asset and cause.
func testAssetAlarms(t *testing.T, open Opener) {
	w := populated(t, open)
	lift := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Lift north", Category: "lift", Unit: w.unitA}))(t)
	pump := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Sump pump", Category: "pump"}))(t)
	for hardware, asset := range map[string]record.ID{"cabin": lift.ID, "motor": lift.ID, "sump": pump.ID, "hall": {}} {
		must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: hardware, Name: "Sensor " + hardware, Unit: w.unitB, Asset: asset}))(t)
	}
	raise := func(hardware, cause string) (desk.Alarm, desk.Ticket) {
		w.tick(time.Minute)
		a, ticket, err := w.RaiseAlarm(ctx(), w.home, desk.AlarmInput{Hardware: hardware, Cause: cause, Onset: w.now(), Category: "other", Detail: "as measured"})
		if err != nil {
			t.Fatal(err)
		}
		return a, ticket
	}
	alarm, first := raise("cabin", "vibration")
	equal(t, "which device", first.Description, "Sensor cabin: as measured")
	equal(t, "ticket", [...]string{first.Title, first.Category, first.AssetName, first.UnitName}, [...]string{"Vibration: Lift north", "lift", "Lift north", "A 1"})
	equal(t, "alarm", [...]string{alarm.AssetName, alarm.UnitName}, [...]string{"Lift north", "B 2"})
	_, second := raise("motor", "vibration")
	equal(t, "ticket of the other sensor of the lift", second.ID, first.ID)
	_, warm := raise("motor", "temperature")
	_, other := raise("sump", "vibration")
	_, hall := raise("hall", "vibration")
	for name, id := range map[string]record.ID{"another cause": warm.ID, "another asset": other.ID, "no asset": hall.ID} {
		if id == first.ID {
			t.Errorf("%s joined the lift's ticket", name)
		}
	}
	equal(t, "a pump's trade", other.Category, "plumbing")
	equal(t, "alarms of the lift", must(w.Alarms(ctx(), w.tess, w.home, desk.AlarmFilter{Asset: lift.ID}, desk.Page{}))(t).Total, 3)

	must(w.UpdateTicket(ctx(), w.tess, w.home, first.ID, desk.TicketChange{Status: ptr("resolved")}))(t)
	_, third := raise("cabin", "vibration")
	if third.ID == first.ID {
		t.Error("a resolved ticket was joined")
	}
	hallDevice := must(w.DeviceByHardware(ctx(), w.home, "hall"))(t)
	must(w.UpdateDevice(ctx(), w.boss, w.home, hallDevice.ID, desk.DeviceChange{Asset: &lift.ID}))(t)
	_, moved := raise("hall", "vibration")
	equal(t, "ticket of a device that was put to the lift", moved.ID, third.ID)
	must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "shaft"}))(t)
	_, alone := raise("shaft", "smoke")
	must(w.UpdateDevice(ctx(), w.boss, w.home, desk.DeviceID(w.home, "shaft"), desk.DeviceChange{Asset: &lift.ID}))(t)
	_, own := raise("shaft", "smoke")
	equal(t, "the device's own ticket, once it is put to the lift", own.ID, alone.ID)
	must(w.UpdateTicket(ctx(), w.tess, w.home, third.ID, desk.TicketChange{Asset: &pump.ID}))(t)
	_, fourth := raise("cabin", "vibration")
	if fourth.ID == third.ID {
		t.Error("the lift's alarm joined a ticket that a person says is about the pump")
	}
}

// between is a store that does something just after a look at one record.
type between struct {
	replica.Store
	key  record.Key
	then func()
}

func (b *between) Load(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	have, err := b.Store.Load(ctx, building, need)
	if do := b.then; do != nil && slices.Contains(need.Keys, b.key) {
		b.then = nil
		do()
	}
	return have, err
}

// testAssetMoved: a device that a person puts to other equipment just while its alarm is being
// raised raises it about that.
func testAssetMoved(t *testing.T, open Opener) {
	var store *between
	w := populated(t, func(t *testing.T) (replica.Store, desk.Query) {
		s, q := open(t)
		store = &between{Store: s}
		return store, q
	})
	lift := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Lift"}))(t)
	pump := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Pump"}))(t)
	device := must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "shaker", Asset: lift.ID}))(t)
	store.key = record.Key{Building: w.home, Kind: "device", ID: device.ID}
	store.then = func() { must(w.UpdateDevice(ctx(), w.boss, w.home, device.ID, desk.DeviceChange{Asset: &pump.ID}))(t) }
	alarm, ticket, err := w.RaiseAlarm(ctx(), w.home, desk.AlarmInput{Hardware: "shaker", Cause: "vibration", Onset: noon})
	if err != nil || store.then != nil {
		t.Fatal(err, "or nobody looked")
	}
	equal(t, "about", [...]string{alarm.AssetName, ticket.AssetName, ticket.Title}, [...]string{"Pump", "Pump", "Vibration: Pump"})
}

// testAssetRace: sensors of one asset that report at once make one ticket, also while a person
// takes one of them off.
func testAssetRace(t *testing.T, open Opener) {
	w := populated(t, open)
	lift := must(w.CreateAsset(ctx(), w.tess, w.home, desk.NewAsset{Name: "Lift", Category: "lift"}))(t)
	hardware := []string{"a", "b", "c", "d"}
	for _, h := range hardware {
		must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: h, Asset: lift.ID}))(t)
	}
	away := must(w.CreateDevice(ctx(), w.boss, w.home, desk.NewDevice{Hardware: "away", Asset: lift.ID}))(t)
	var all errgroup.Group
	for _, h := range append(hardware, "away") {
		all.Go(func() error {
			_, _, err := w.RaiseAlarm(ctx(), w.home, desk.AlarmInput{Hardware: h, Cause: "vibration", Onset: noon})
			return err
		})
	}
	all.Go(func() error {
		_, err := w.UpdateDevice(ctx(), w.boss, w.home, away.ID, desk.DeviceChange{Asset: &record.ID{}})
		return err
	})
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	equal(t, "open tickets about the lift", must(w.Tickets(ctx(), w.tess, w.home, desk.TicketFilter{Asset: lift.ID, Open: true}, desk.Page{}))(t).Total, 1)
}
