package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"estate/internal/desk"
	"estate/sync/record"
)

// ResolveBody decides a conflict.
type ResolveBody struct {
	Kind  string          `json:"kind" maxLength:"64"`
	ID    record.ID       `json:"id"`
	Field string          `json:"field" maxLength:"64"`
	Value json.RawMessage `json:"value" doc:"The value to keep, one of the siblings or another"`
	Seen  string          `json:"seen" minLength:"1" maxLength:"16384" doc:"The conflict's token: only siblings that were shown are replaced"`
}

// ConflictsBody lists a record's conflicts.
type ConflictsBody struct {
	Items []desk.Conflict `json:"items"`
}

func (a *API) registerConflicts() {
	const conflicts = "/buildings/{building}/conflicts"
	add(a, operation{id: "list-conflicts", method: http.MethodGet, path: conflicts, tag: tagConflicts, summary: "Conflicts, with every value, its author and time"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InPage
		}) (*outList[desk.Conflict], error) {
			return listed(a.cfg.Desk.Conflicts(ctx, c, in.Building, in.page()))
		})
	add(a, operation{id: "list-ticket-conflicts", method: http.MethodGet, path: "/buildings/{building}/tickets/{ticket}/conflicts", tag: tagConflicts, summary: "Conflicts of a ticket"},
		func(ctx context.Context, c desk.Caller, in *InTicket) (*outBody[ConflictsBody], error) {
			items, err := a.cfg.Desk.ConflictsOf(ctx, c, in.Building, "ticket", in.Ticket)
			if items == nil {
				items = []desk.Conflict{}
			}
			return body(ConflictsBody{Items: items}, err)
		})
	add(a, operation{id: "resolve-conflict", method: http.MethodPost, path: conflicts + "/resolve", tag: tagConflicts, status: http.StatusNoContent,
		summary: "Decide a conflict", text: "An ordinary write that has seen the siblings; doing it again changes nothing."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InKey
			Body ResolveBody
		}) (*outNothing, error) {
			b := in.Body
			return nothing(a.cfg.Desk.ResolveConflict(ctx, c, in.Building, desk.Resolution{Kind: b.Kind, ID: b.ID, Field: b.Field, Value: b.Value, Seen: b.Seen}))
		})
}
