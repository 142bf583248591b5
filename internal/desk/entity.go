package desk

import (
	"context"
	"slices"
	"strings"

	"estate/internal/problem"
	"estate/sync/record"
)

// Entities is where a Desk finds what a building's devices say and can be told, which only the
// building's own box hears. Implementations are safe for concurrent use.
type Entities interface {
	// Entities lists those of a device; none of one that was not heard.
	Entities(ctx context.Context, building record.ID, hardware string) ([]Entity, error)
}

// Entity is one value of a device, or one thing that it can be told.
type Entity struct {
	Key           string `json:"key" doc:"The device's own word for the value"`
	Name          string `json:"name,omitempty"`
	Component     string `json:"component,omitempty" doc:"Of Home Assistant's, where the device announced itself so"`
	Kind          string `json:"kind,omitempty" doc:"What it measures, in our words"`
	UnitOfMeasure string `json:"unit_of_measure,omitempty"`
	Orders        bool   `json:"orders,omitempty" doc:"The device can be told what to do"`
	NeedsMapping  string `json:"needs_mapping,omitempty" doc:"Why its values are not read until a person says how"`
	Value         string `json:"value,omitempty" doc:"The last one heard of a device that nobody adopted: nothing of it is kept"`
}

// Entities lists what a device says and can be told. Staff only.
func (d *Desk) Entities(ctx context.Context, c Caller, building, device record.ID) ([]Entity, error) {
	one, err := d.Device(ctx, c, building, device)
	if err != nil {
		return nil, err
	}
	list, err := d.entities.Entities(ctx, building, one.Hardware)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Entity) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// heard adds to devices when something was last heard of them. Without a place for readings
// nothing is known of it.
func (d *Desk) heard(ctx context.Context, building record.ID, devices []Device) error {
	if _, none := d.readings.(noReadings); none || len(devices) == 0 {
		return nil
	}
	hardware := make([]string, 0, len(devices))
	for _, one := range devices {
		hardware = append(hardware, one.Hardware)
	}
	at, err := d.readings.Heard(ctx, building, hardware)
	if err != nil {
		return translate(err)
	}
	for i := range devices {
		if t, ok := at[devices[i].Hardware]; ok {
			devices[i].HeardAt = &t
		}
	}
	return nil
}

// noEntities stands in where a Desk was given none.
type noEntities struct{}

func (noEntities) Entities(context.Context, record.ID, string) ([]Entity, error) {
	return nil, problem.New(problem.NotFound, "devices are heard by the building's own box: ask there")
}
