package httpapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"estate/internal/desk"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

func (a *API) registerAudit() {
	const audit = "/buildings/{building}/audit"
	add(a, operation{id: "list-audit", method: http.MethodGet, path: audit, tag: tagAudit, summary: "Who did what, for managers, the latest first"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InPage
			Kind   string    `query:"kind" maxLength:"64" doc:"With id: only what touched this record"`
			ID     record.ID `query:"id"`
			Person record.ID `query:"person" doc:"Only what this person did"`
		}) (*outList[desk.AuditEvent], error) {
			return listed(a.cfg.Desk.Audit(ctx, c, in.Building, desk.AuditFilter{Kind: in.Kind, ID: in.ID, Person: in.Person}, in.page()))
		})
	add(a, operation{id: "erase-audit", method: http.MethodPost, path: audit + "/erasures", tag: tagAudit, summary: "Erase values from the audit, for admins, at the cloud",
		text: "Values and salts of the transactions go on every node of the building; hashes and links stay, and the audit says who erased them. What records show now is not touched: change it first. A transaction is erased whole. Sent again, nothing is left to do; with next set, send it again with that cursor."},
		a.eraseAudit)
	add(a, operation{id: "export-audit", method: http.MethodGet, path: audit + "/export", tag: tagAudit, stream: true,
		summary: "All chains, cards and heads of a building", text: "JSON lines for managers; estate verify checks the file offline. An answer that is cut off lacks its last line."},
		a.exportAudit)
}

// EraseBody asks for an erasure.
type EraseBody struct {
	Kind   string          `json:"kind,omitempty" maxLength:"64" doc:"With id: all transactions that touch this record"`
	ID     record.ID       `json:"id,omitempty,omitzero"`
	Events []desk.EventRef `json:"events,omitempty" maxItems:"500" doc:"Or these transactions"`
	Reason string          `json:"reason" enum:"request,order,retention,mistake" doc:"A person's request, an authority's order, the end of a time of retention, or entered by mistake"`
	Cursor string          `json:"cursor,omitempty" maxLength:"32" doc:"The next of the answer before"`
}

// inErase is a request for erasure. Sent again it erases nothing more, so it needs no key.
type inErase struct {
	InBuilding
	InKey
	Body EraseBody
}

func (a *API) eraseAudit(ctx context.Context, c desk.Caller, in *inErase) (*outBody[desk.Erasure], error) {
	b := in.Body
	erasure := desk.NewErasure{Kind: b.Kind, ID: b.ID, Reason: b.Reason, Cursor: b.Cursor}
	for _, e := range b.Events {
		erasure.Events = append(erasure.Events, record.Dot{Replica: e.Replica, N: e.N})
	}
	return body(a.cfg.Desk.EraseAudit(ctx, c, in.Building, erasure))
}

func (a *API) exportAudit(ctx context.Context, c desk.Caller, in *InBuilding) (*huma.StreamResponse, error) {
	// Rights are checked again by the export itself; asking before the first byte gives a
	// refusal its own status.
	viewer, err := a.cfg.Desk.Viewer(ctx, c, in.Building)
	if err != nil {
		return nil, err
	}
	if viewer.Role != schema.Manager && viewer.Role != schema.Admin {
		return nil, problem.New(problem.Forbidden, "the export is for managers")
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "application/jsonl")
		out.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="audit-%s.jsonl"`, in.Building))
		if err := a.cfg.Desk.AuditExport(ctx, c, in.Building, out.BodyWriter()); err != nil {
			a.cfg.Log.ErrorContext(ctx, "audit export", obs.Building(in.Building), obs.Error(err))
			// The answer has begun; cut it off so that nobody takes it for whole.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}
