package httpapi

import (
	"context"
	"net/http"
	"slices"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/sync/record"
)

// BuildingBody is a building to create.
type BuildingBody struct {
	ID       record.ID `json:"id,omitempty" doc:"UUIDv7 chosen by the client; sent again, it is the same building"`
	Name     string    `json:"name" minLength:"1" maxLength:"200"`
	Code     string    `json:"code" pattern:"^[A-Z0-9]{2,8}$" doc:"Short code in ticket codes, such as OAK"`
	Address  string    `json:"address,omitempty" maxLength:"500"`
	TimeZone string    `json:"time_zone,omitempty" maxLength:"64" doc:"IANA name, such as Europe/Berlin"`
}

// BuildingsBody lists buildings.
type BuildingsBody struct {
	Items []desk.Building `json:"items"`
	Total int             `json:"total"`
}

func (a *API) registerBuildings() {
	add(a, operation{id: "list-buildings", method: http.MethodGet, path: "/buildings", tag: tagBuildings,
		summary: "Buildings that the caller may see, with their role in each"},
		func(ctx context.Context, c desk.Caller, _ *struct{}) (*outBody[BuildingsBody], error) {
			items, err := a.buildingsOf(ctx, c)
			return body(BuildingsBody{Items: items, Total: len(items)}, err)
		})
	add(a, operation{id: "get-building", method: http.MethodGet, path: "/buildings/{building}", tag: tagBuildings, summary: "A building"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[desk.Building], error) {
			return body(a.cfg.Desk.Building(ctx, c, in.Building))
		})
	add(a, operation{id: "list-members", method: http.MethodGet, path: "/buildings/{building}/members", tag: tagBuildings,
		summary: "People with a role in a building, for its staff"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InPage
		}) (*outList[desk.Member], error) {
			return listed(a.cfg.Desk.Members(ctx, c, in.Building, in.page()))
		})
	if a.cfg.Role != Cloud {
		return // buildings begin at the cloud
	}
	add(a, operation{id: "create-building", method: http.MethodPost, path: "/buildings", tag: tagBuildings, status: http.StatusCreated,
		summary: "Create a building", text: "For the operator's admins."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InKey
			Body BuildingBody
		}) (*outBody[desk.Building], error) {
			b := in.Body
			return body(a.cfg.Desk.CreateBuilding(ctx, c, desk.NewBuilding{ID: b.ID, IdempotencyKey: in.IdempotencyKey, Name: b.Name, Code: b.Code, Address: b.Address, TimeZone: b.TimeZone}))
		})
}

// buildingsOf lists a caller's buildings, less those that the token is not good for.
func (a *API) buildingsOf(ctx context.Context, c desk.Caller) ([]desk.Building, error) {
	items, err := a.cfg.Desk.Buildings(ctx, c)
	if err != nil {
		return nil, err
	}
	if id, ok := auth.FromContext(ctx); ok && !id.Building.IsZero() {
		items = slices.DeleteFunc(items, func(b desk.Building) bool { return b.ID != id.Building })
	}
	if items == nil {
		items = []desk.Building{}
	}
	return items, nil
}
