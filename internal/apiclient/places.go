package apiclient

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// List is part of a list.
type List[T any] = desk.List[T]

// perPage is the longest page that a server gives.
const perPage = desk.PerPageMax

func under(building record.ID, path string) string {
	return "/buildings/" + building.String() + path
}

// All reads a list to its end, page by page.
func All[T any](ctx context.Context, c *Client, path string, query url.Values) ([]T, error) {
	var all []T
	next := url.Values{}
	for name, values := range query {
		next[name] = values
	}
	next.Set("per_page", strconv.Itoa(perPage))
	for {
		var part List[T]
		if err := c.Get(ctx, path+"?"+next.Encode(), &part); err != nil {
			return nil, err
		}
		all = append(all, part.Items...)
		if part.Next == "" {
			return all, nil
		}
		next.Set("cursor", part.Next)
	}
}

// Buildings lists the buildings that the caller may see.
func (c *Client) Buildings(ctx context.Context) ([]desk.Building, error) {
	return All[desk.Building](ctx, c, "/buildings", nil)
}

// NewBuilding is a building to create at the cloud.
type NewBuilding struct {
	Name     string `json:"name"`
	Code     string `json:"code"`
	Address  string `json:"address,omitempty"`
	TimeZone string `json:"time_zone,omitempty"`
}

// CreateBuilding makes a building.
func (c *Client) CreateBuilding(ctx context.Context, in NewBuilding) (desk.Building, error) {
	var out desk.Building
	return out, c.Post(ctx, "/buildings", in, &out)
}

// CreateUnit makes a unit of a building.
func (c *Client) CreateUnit(ctx context.Context, building record.ID, name, floor string) (desk.Unit, error) {
	var out desk.Unit
	return out, c.Post(ctx, under(building, "/units"), map[string]string{"name": name, "floor": floor}, &out)
}

// Units lists a building's units.
func (c *Client) Units(ctx context.Context, building record.ID) ([]desk.Unit, error) {
	return All[desk.Unit](ctx, c, under(building, "/units"), nil)
}

// Assets lists a building's equipment.
func (c *Client) Assets(ctx context.Context, building record.ID) ([]desk.Asset, error) {
	return All[desk.Asset](ctx, c, under(building, "/assets"), nil)
}

// NewAsset is equipment to enter.
type NewAsset struct {
	Name         string    `json:"name"`
	Category     string    `json:"category,omitempty"`
	Unit         record.ID `json:"unit,omitzero"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Model        string    `json:"model,omitempty"`
	Serial       string    `json:"serial,omitempty"`
}

// CreateAsset enters equipment of a building.
func (c *Client) CreateAsset(ctx context.Context, building record.ID, in NewAsset) (desk.Asset, error) {
	var out desk.Asset
	return out, c.Post(ctx, under(building, "/assets"), in, &out)
}

// Devices lists a building's devices, unadopted ones too.
func (c *Client) Devices(ctx context.Context, building record.ID) ([]desk.Device, error) {
	return All[desk.Device](ctx, c, under(building, "/devices"), nil)
}

// NewDevice is a device that is entered before it is heard.
type NewDevice struct {
	Hardware string     `json:"hardware"`
	Name     string     `json:"name,omitempty"`
	Model    string     `json:"model,omitempty"`
	Unit     *record.ID `json:"unit,omitempty"`
	Asset    record.ID  `json:"asset,omitzero"`
}

// CreateDevice enters a device; it counts for alarms at once.
func (c *Client) CreateDevice(ctx context.Context, building record.ID, in NewDevice) (desk.Device, error) {
	var out desk.Device
	return out, c.Post(ctx, under(building, "/devices"), in, &out)
}

// AdoptDevice lets a device that was heard count for alarms.
func (c *Client) AdoptDevice(ctx context.Context, building, device record.ID, as desk.Adoption) (desk.Device, error) {
	in := struct {
		Name  string     `json:"name,omitempty"`
		Unit  *record.ID `json:"unit,omitempty"`
		Asset *record.ID `json:"asset,omitempty"`
	}{as.Name, as.Unit, as.Asset}
	var out desk.Device
	return out, c.Post(ctx, under(building, "/devices/"+device.String()+"/adopt"), in, &out)
}

// Entities lists what a device says and can be told; only the building's own box knows.
func (c *Client) Entities(ctx context.Context, building, device record.ID) ([]desk.Entity, error) {
	var out struct {
		Items []desk.Entity `json:"items"`
	}
	err := c.Get(ctx, under(building, "/devices/"+device.String()+"/entities"), &out)
	return out.Items, err
}

// Series lists what a device measures.
func (c *Client) Series(ctx context.Context, building, device record.ID) ([]desk.Series, error) {
	var out struct {
		Items []desk.Series `json:"items"`
	}
	err := c.Get(ctx, under(building, "/devices/"+device.String()+"/series"), &out)
	return out.Items, err
}

// Readings gives what one series of a device measured, in at most so many points.
func (c *Client) Readings(ctx context.Context, building, device record.ID, q desk.ReadingQuery) (desk.ReadingPoints, error) {
	values := url.Values{"key": {q.Key}, "unit_of_measure": {q.UnitOfMeasure}}
	for name, t := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !t.IsZero() {
			values.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Points > 0 {
		values.Set("points", strconv.Itoa(q.Points))
	}
	var out desk.ReadingPoints
	return out, c.Get(ctx, under(building, "/devices/"+device.String()+"/readings?"+values.Encode()), &out)
}

// Alarms lists a building's alarms.
func (c *Client) Alarms(ctx context.Context, building record.ID) ([]desk.Alarm, error) {
	return All[desk.Alarm](ctx, c, under(building, "/alarms"), nil)
}

// SyncState is a node's view of how far a building's nodes are in step.
type SyncState struct {
	desk.SyncState
	Role string `json:"role"`
	// Link is an edge's link to the cloud.
	Link *Link `json:"link"`
}

// Link is the state of a link: offline, connecting, syncing or synced.
type Link struct {
	State string `json:"state"`
	Code  string `json:"code"`
}

// SyncState says how far a building's nodes are in step.
func (c *Client) SyncState(ctx context.Context, building record.ID) (SyncState, error) {
	var out SyncState
	return out, c.Get(ctx, under(building, "/sync"), &out)
}
