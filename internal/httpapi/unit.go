package httpapi

import (
	"context"
	"net/http"

	"estate/internal/desk"
	"estate/sync/record"
)

// UnitBody is a unit to create.
type UnitBody struct {
	ID    record.ID `json:"id,omitempty" doc:"UUIDv7 chosen by the client; sent again, it is the same unit"`
	Name  string    `json:"name" minLength:"1" maxLength:"200"`
	Floor string    `json:"floor,omitempty" maxLength:"32"`
}

// UnitChangeBody changes a unit; what is left out stays.
type UnitChangeBody struct {
	Name    *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Floor   *string `json:"floor,omitempty" maxLength:"32"`
	Deleted *bool   `json:"deleted,omitempty"`
}

func (a *API) registerUnits() {
	add(a, operation{id: "list-units", method: http.MethodGet, path: "/buildings/{building}/units", tag: tagBuildings, summary: "Units that the caller may see"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InPage
		}) (*outList[desk.Unit], error) {
			return listed(a.cfg.Desk.Units(ctx, c, in.Building, in.page()))
		})
	add(a, operation{id: "create-unit", method: http.MethodPost, path: "/buildings/{building}/units", tag: tagBuildings, status: http.StatusCreated, summary: "Create a unit"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InKey
			Body UnitBody
		}) (*outItem[desk.Unit], error) {
			return unit(a.cfg.Desk.CreateUnit(ctx, c, in.Building, desk.NewUnit{ID: in.Body.ID, IdempotencyKey: in.IdempotencyKey, Name: in.Body.Name, Floor: in.Body.Floor}))
		})
	add(a, operation{id: "update-unit", method: http.MethodPatch, path: "/buildings/{building}/units/{unit}", tag: tagBuildings, summary: "Change a unit"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			Unit record.ID `path:"unit"`
			InMatch
			Body UnitChangeBody
		}) (*outItem[desk.Unit], error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			return unit(a.cfg.Desk.UpdateUnit(ctx, c, in.Building, in.Unit, desk.UnitChange{Seen: seen, Name: in.Body.Name, Floor: in.Body.Floor, Deleted: in.Body.Deleted}))
		})
}

func unit(u desk.Unit, err error) (*outItem[desk.Unit], error) {
	if err != nil {
		return nil, err
	}
	return &outItem[desk.Unit]{ETag: tag(u.Seen), Body: u}, nil
}
