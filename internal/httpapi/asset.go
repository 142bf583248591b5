package httpapi

import (
	"context"
	"net/http"

	"estate/internal/desk"
	"estate/sync/record"
)

// AssetBody is equipment to enter.
type AssetBody struct {
	ID           record.ID `json:"id,omitempty" doc:"UUIDv7 chosen by the client; sent again, it is the same asset"`
	Name         string    `json:"name" minLength:"1" maxLength:"200"`
	Category     string    `json:"category,omitempty" enum:"lift,boiler,heat_pump,pump,ventilation,air_conditioning,water_heater,tank,electrical_panel,generator,solar,charger,fire_protection,access,door,appliance,other" doc:"What it is; other where it is left out"`
	Unit         record.ID `json:"unit,omitempty" doc:"Where it stands; none for what is the whole building's"`
	Manufacturer string    `json:"manufacturer,omitempty" maxLength:"200"`
	Model        string    `json:"model,omitempty" maxLength:"200"`
	Serial       string    `json:"serial,omitempty" maxLength:"200" doc:"The manufacturer's serial number"`
}

// AssetChangeBody changes an asset; what is left out stays and an empty text clears.
type AssetChangeBody struct {
	Name         *string    `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Category     *string    `json:"category,omitempty" enum:"lift,boiler,heat_pump,pump,ventilation,air_conditioning,water_heater,tank,electrical_panel,generator,solar,charger,fire_protection,access,door,appliance,other"`
	Unit         *record.ID `json:"unit,omitempty"`
	Manufacturer *string    `json:"manufacturer,omitempty" maxLength:"200"`
	Model        *string    `json:"model,omitempty" maxLength:"200"`
	Serial       *string    `json:"serial,omitempty" maxLength:"200"`
	Deleted      *bool      `json:"deleted,omitempty"`
}

// InAsset is the asset of a request.
type InAsset struct {
	InBuilding
	Asset record.ID `path:"asset" doc:"Id of the asset"`
}

type inAssets struct {
	InBuilding
	InPage
	Unit     record.ID `query:"unit"`
	Category []string  `query:"category" maxItems:"32" enum:"lift,boiler,heat_pump,pump,ventilation,air_conditioning,water_heater,tank,electrical_panel,generator,solar,charger,fire_protection,access,door,appliance,other"`
}

func (a *API) registerAssets() {
	const assets, one = "/buildings/{building}/assets", "/buildings/{building}/assets/{asset}"
	add(a, operation{id: "list-assets", method: http.MethodGet, path: assets, tag: tagBuildings, summary: "Equipment that the caller may see: lifts, boilers, pumps"},
		func(ctx context.Context, c desk.Caller, in *inAssets) (*outList[desk.Asset], error) {
			return listed(a.cfg.Desk.Assets(ctx, c, in.Building, desk.AssetFilter{Unit: in.Unit, Category: in.Category}, in.page()))
		})
	add(a, operation{id: "create-asset", method: http.MethodPost, path: assets, tag: tagBuildings, status: http.StatusCreated, summary: "Enter an asset, for staff"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InKey
			Body AssetBody
		}) (*outItem[desk.Asset], error) {
			b := in.Body
			return asset(a.cfg.Desk.CreateAsset(ctx, c, in.Building, desk.NewAsset{ID: b.ID, IdempotencyKey: in.IdempotencyKey, Name: b.Name, Category: b.Category,
				Unit: b.Unit, Manufacturer: b.Manufacturer, Model: b.Model, Serial: b.Serial}))
		})
	add(a, operation{id: "get-asset", method: http.MethodGet, path: one, tag: tagBuildings, summary: "An asset"},
		func(ctx context.Context, c desk.Caller, in *InAsset) (*outItem[desk.Asset], error) {
			return asset(a.cfg.Desk.Asset(ctx, c, in.Building, in.Asset))
		})
	add(a, operation{id: "update-asset", method: http.MethodPatch, path: one, tag: tagBuildings, summary: "Change an asset, for staff; managers hide one"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InAsset
			InMatch
			Body AssetChangeBody
		}) (*outItem[desk.Asset], error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return asset(a.cfg.Desk.UpdateAsset(ctx, c, in.Building, in.Asset, desk.AssetChange{Seen: seen, Name: b.Name, Category: b.Category, Unit: b.Unit,
				Manufacturer: b.Manufacturer, Model: b.Model, Serial: b.Serial, Deleted: b.Deleted}))
		})
}

func asset(v desk.Asset, err error) (*outItem[desk.Asset], error) {
	if err != nil {
		return nil, err
	}
	return &outItem[desk.Asset]{ETag: tag(v.Seen), Body: v}, nil
}
