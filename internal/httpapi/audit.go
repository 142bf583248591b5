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
	add(a, operation{id: "export-audit", method: http.MethodGet, path: audit + "/export", tag: tagAudit, stream: true,
		summary: "All chains, cards and heads of a building", text: "JSON lines for managers; estate verify checks the file offline. An answer that is cut off lacks its last line."},
		a.exportAudit)
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
