package httpapi

import (
	"context"
	"net/http"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// DeviceBody is a device that is entered before it was ever heard.
type DeviceBody struct {
	Hardware string    `json:"hardware" minLength:"1" maxLength:"200" doc:"Hardware id; the same id is the same device"`
	Name     string    `json:"name,omitempty" maxLength:"200"`
	Model    string    `json:"model,omitempty" maxLength:"200"`
	Unit     record.ID `json:"unit,omitempty"`
	Asset    record.ID `json:"asset,omitempty" doc:"The equipment that it watches or moves"`
}

// AdoptBody adopts a device: from then on its alarms count.
type AdoptBody struct {
	Name  string     `json:"name,omitempty" maxLength:"200"`
	Unit  *record.ID `json:"unit,omitempty" doc:"An empty text is none"`
	Asset *record.ID `json:"asset,omitempty" doc:"The equipment that it watches or moves: its alarms make one ticket with those of the asset's other devices"`
}

// DeviceChangeBody changes a device; what is left out stays.
type DeviceChangeBody struct {
	Name    *string    `json:"name,omitempty" maxLength:"200"`
	Model   *string    `json:"model,omitempty" maxLength:"200"`
	Unit    *record.ID `json:"unit,omitempty"`
	Asset   *record.ID `json:"asset,omitempty"`
	Adopted *bool      `json:"adopted,omitempty"`
	Deleted *bool      `json:"deleted,omitempty"`
}

// InDevice is the device of a request.
type InDevice struct {
	InBuilding
	Device record.ID `path:"device" doc:"Id of the device"`
}

type inDevices struct {
	InBuilding
	InPage
	Unit     record.ID `query:"unit"`
	Asset    record.ID `query:"asset"`
	Hardware string    `query:"hardware" maxLength:"200"`
	Adopted  string    `query:"adopted" enum:"true,false" doc:"Only devices that are, or are not, adopted"`
}

func (in *inDevices) filter() desk.DeviceFilter {
	f := desk.DeviceFilter{Unit: in.Unit, Asset: in.Asset, Hardware: in.Hardware}
	if in.Adopted != "" {
		adopted := in.Adopted == "true"
		f.Adopted = &adopted
	}
	return f
}

func (a *API) registerDevices() {
	const devices, one = "/buildings/{building}/devices", "/buildings/{building}/devices/{device}"
	add(a, operation{id: "list-devices", method: http.MethodGet, path: devices, tag: tagDevices, summary: "Devices, for staff"},
		func(ctx context.Context, c desk.Caller, in *inDevices) (*outList[desk.Device], error) {
			return listed(a.cfg.Desk.Devices(ctx, c, in.Building, in.filter(), in.page()))
		})
	add(a, operation{id: "create-device", method: http.MethodPost, path: devices, tag: tagDevices, status: http.StatusCreated, summary: "Enter a device before it is heard"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InKey
			Body DeviceBody
		}) (*outItem[desk.Device], error) {
			return device(a.cfg.Desk.CreateDevice(ctx, c, in.Building, desk.NewDevice{Hardware: in.Body.Hardware, Name: in.Body.Name, Model: in.Body.Model, Unit: in.Body.Unit, Asset: in.Body.Asset}))
		})
	add(a, operation{id: "get-device", method: http.MethodGet, path: one, tag: tagDevices, summary: "A device"},
		func(ctx context.Context, c desk.Caller, in *InDevice) (*outItem[desk.Device], error) {
			return device(a.cfg.Desk.Device(ctx, c, in.Building, in.Device))
		})
	add(a, operation{id: "update-device", method: http.MethodPatch, path: one, tag: tagDevices, summary: "Change a device"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			InMatch
			Body DeviceChangeBody
		}) (*outItem[desk.Device], error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return device(a.cfg.Desk.UpdateDevice(ctx, c, in.Building, in.Device, desk.DeviceChange{Seen: seen, Name: b.Name, Model: b.Model, Unit: b.Unit, Asset: b.Asset, Adopted: b.Adopted, Deleted: b.Deleted}))
		})
	add(a, operation{id: "adopt-device", method: http.MethodPost, path: one + "/adopt", tag: tagDevices, summary: "Adopt a device that was heard"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			InKey
			Body AdoptBody
		}) (*outItem[desk.Device], error) {
			return device(a.cfg.Desk.AdoptDevice(ctx, c, in.Building, in.Device, desk.Adoption{Name: in.Body.Name, Unit: in.Body.Unit, Asset: in.Body.Asset}))
		})
	add(a, operation{id: "list-series", method: http.MethodGet, path: one + "/series", tag: tagDevices, summary: "What a device measures, with the last value of each"},
		func(ctx context.Context, c desk.Caller, in *InDevice) (*outSeries, error) {
			list, err := a.cfg.Desk.Series(ctx, c, in.Building, in.Device)
			return &outSeries{Body: seriesBody{Items: list}}, err
		})
	add(a, operation{id: "list-entities", method: http.MethodGet, path: one + "/entities", tag: tagDevices, summary: "What a device says and can be told, adopted or not; known only at the building's own box"},
		func(ctx context.Context, c desk.Caller, in *InDevice) (*outEntities, error) {
			list, err := a.cfg.Desk.Entities(ctx, c, in.Building, in.Device)
			return &outEntities{Body: entitiesBody{Items: list}}, err
		})
	add(a, operation{id: "get-readings", method: http.MethodGet, path: one + "/readings", tag: tagDevices, summary: "What one series of a device measured: single readings where they are few enough, else minutes, quarters of an hour or hours"},
		func(ctx context.Context, c desk.Caller, in *inReadings) (*outReadings, error) {
			points, err := a.cfg.Desk.Readings(ctx, c, in.Building, in.Device, desk.ReadingQuery{Key: in.Key, UnitOfMeasure: in.UnitOfMeasure, From: in.From, To: in.To, Points: in.Points})
			return &outReadings{Body: points}, err
		})
}

type seriesBody struct {
	Items []desk.Series `json:"items"`
}

type outSeries struct{ Body seriesBody }

type entitiesBody struct {
	Items []desk.Entity `json:"items"`
}

type outEntities struct{ Body entitiesBody }

type inReadings struct {
	InDevice
	Key           string    `query:"key" maxLength:"200" doc:"The series' key"`
	UnitOfMeasure string    `query:"unit_of_measure" maxLength:"200" doc:"The series' unit"`
	From          time.Time `query:"from" doc:"A day before to, where it is left out"`
	To            time.Time `query:"to" doc:"Now, where it is left out"`
	Points        int       `query:"points" minimum:"0" maximum:"10000" doc:"About how many points can be shown; 500 where it is left out"`
}

type outReadings struct{ Body desk.ReadingPoints }

func device(d desk.Device, err error) (*outItem[desk.Device], error) {
	if err != nil {
		return nil, err
	}
	return &outItem[desk.Device]{ETag: tag(d.Seen), Body: d}, nil
}
