package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// EdgesPort knows the boxes of all buildings. The handlers have checked the caller's
// rights in the building.
type EdgesPort interface {
	// Edges lists the nodes of the given buildings, revoked ones too; nil means all.
	Edges(ctx context.Context, buildings []record.ID) ([]EdgeView, error)
	// Edge gives one node, or a not_found problem.
	Edge(ctx context.Context, node record.ID) (EdgeView, error)
	// CreateEnrolment makes a one-time code for a new box of a building.
	CreateEnrolment(ctx context.Context, building, by record.ID) (auth.EnrolCode, auth.Enrolment, error)
	// Revoke takes a box's rights away at once.
	Revoke(ctx context.Context, node, by record.ID) error
	// Watch gives a channel that receives after each change of a building's boxes.
	Watch(building record.ID) (moved <-chan struct{}, stop func())
}

// EdgesBody lists boxes.
type EdgesBody struct {
	Items []EdgeView `json:"items"`
	Total int        `json:"total"`
}

// EnrolmentBody asks for an enrolment code.
type EnrolmentBody struct {
	Building record.ID `json:"building"`
}

// EnrolmentAnswer is a code, shown once.
type EnrolmentAnswer struct {
	Code      string    `json:"code" doc:"Typed in at the new box; it is shown once"`
	Building  record.ID `json:"building"`
	ExpiresAt time.Time `json:"expires_at"`
}

func (a *API) registerEdges() {
	add(a, operation{id: "list-edges", method: http.MethodGet, path: "/edges", tag: tagEdges, summary: "Boxes of the buildings that the caller manages"}, a.listEdges)
	add(a, operation{id: "list-building-edges", method: http.MethodGet, path: "/buildings/{building}/edges", tag: tagEdges, summary: "Boxes of a building, for managers"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[EdgesBody], error) {
			if err := a.manages(ctx, c, in.Building); err != nil {
				return nil, err
			}
			return edges(a.cfg.Edges.Edges(ctx, []record.ID{in.Building}))
		})
	add(a, operation{id: "create-enrolment", method: http.MethodPost, path: "/edges", tag: tagEdges, status: http.StatusCreated,
		summary: "Get a one-time code for a new box", text: "A retry makes another code: codes are stored as hashes only, so none can be shown twice. Unused ones expire."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InKey
			Body EnrolmentBody
		}) (*outBody[EnrolmentAnswer], error) {
			if err := a.manages(ctx, c, in.Body.Building); err != nil {
				return nil, err
			}
			code, e, err := a.cfg.Edges.CreateEnrolment(ctx, in.Body.Building, c.Person)
			return body(EnrolmentAnswer{Code: code.Reveal(), Building: in.Body.Building, ExpiresAt: e.ExpiresAt.UTC()}, err)
		})
	add(a, operation{id: "revoke-edge", method: http.MethodDelete, path: "/edges/{edge}", tag: tagEdges, status: http.StatusNoContent,
		summary: "Revoke a box", text: "Its link ends at once and it gets nothing more. A replaced box enrols as a new one."},
		func(ctx context.Context, c desk.Caller, in *struct {
			Edge record.ID `path:"edge" doc:"Id of the box"`
		}) (*outNothing, error) {
			e, err := a.cfg.Edges.Edge(ctx, in.Edge)
			if err != nil {
				return nil, err
			}
			if err := a.manages(ctx, c, e.Building); err != nil {
				return nil, err
			}
			return nothing(a.cfg.Edges.Revoke(ctx, e.ID, c.Person))
		})
}

func (a *API) listEdges(ctx context.Context, c desk.Caller, _ *struct{}) (*outBody[EdgesBody], error) {
	if c.Admin {
		return edges(a.cfg.Edges.Edges(ctx, nil))
	}
	buildings, err := a.buildingsOf(ctx, c)
	if err != nil {
		return nil, err
	}
	managed := []record.ID{}
	for _, b := range buildings {
		if isManager(schema.Role(b.Role)) {
			managed = append(managed, b.ID)
		}
	}
	if len(managed) == 0 {
		return nil, problem.New(problem.Forbidden, "")
	}
	return edges(a.cfg.Edges.Edges(ctx, managed))
}

func edges(items []EdgeView, err error) (*outBody[EdgesBody], error) {
	if items == nil {
		items = []EdgeView{}
	}
	return body(EdgesBody{Items: items, Total: len(items)}, err)
}

// manages lets managers and admins of a building through.
func (a *API) manages(ctx context.Context, c desk.Caller, building record.ID) error {
	viewer, err := a.cfg.Desk.Viewer(ctx, c, building)
	if err != nil {
		return err
	}
	if !viewer.Active || !isManager(viewer.Role) {
		return problem.New(problem.Forbidden, "")
	}
	return nil
}

func isManager(r schema.Role) bool {
	return slices.Contains([]schema.Role{schema.Manager, schema.Admin}, r)
}
