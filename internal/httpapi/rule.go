package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"estate/internal/desk"
)

type rulesBody struct {
	Items []desk.Rule `json:"items"`
}

// InRule is a path to one rule of a building.
type InRule struct {
	InBuilding
	Rule string `path:"rule" maxLength:"200" doc:"Id of the rule"`
}

func (a *API) registerRules() {
	const all, one = "/buildings/{building}/rules", "/buildings/{building}/rules/{rule}"
	type out struct{ Body rulesBody }
	add(a, operation{id: "list-rules", method: http.MethodGet, path: all, tag: tagDevices, summary: "The building's rules: shipped, changed and made here, for staff"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*out, error) {
			list, err := a.cfg.Desk.Rules(ctx, c, in.Building)
			return &out{Body: rulesBody{Items: list}}, err
		})
	add(a, operation{id: "save-rule", method: http.MethodPut, path: one, tag: tagDevices, summary: "Make or change a rule"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InRule
			InMatch
			Body map[string]any
		}) (*outItem[desk.Rule], error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			text, err := json.Marshal(in.Body)
			if err != nil {
				return nil, err
			}
			r, err := a.cfg.Desk.SaveRule(ctx, c, in.Building, in.Rule, seen, text)
			if err != nil {
				return nil, err
			}
			return &outItem[desk.Rule]{ETag: tag(r.Seen), Body: r}, nil
		})
	add(a, operation{id: "reset-rule", method: http.MethodDelete, path: one, tag: tagDevices, status: http.StatusNoContent, summary: "Set a shipped rule back, or remove one that was made here"},
		func(ctx context.Context, c desk.Caller, in *InRule) (*struct{}, error) {
			return nil, a.cfg.Desk.ResetRule(ctx, c, in.Building, in.Rule)
		})
	add(a, operation{id: "try-rule", method: http.MethodPost, path: all + "/try", tag: tagDevices, summary: "Show what a rule would have done with what the devices measured"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			From time.Time `query:"from" doc:"30 days before to, where it is left out"`
			To   time.Time `query:"to" doc:"Now, where it is left out"`
			Body map[string]any
		}) (*struct{ Body desk.Trial }, error) {
			text, err := json.Marshal(in.Body)
			if err != nil {
				return nil, err
			}
			trial, err := a.cfg.Desk.TryRule(ctx, c, in.Building, text, in.From, in.To)
			return &struct{ Body desk.Trial }{trial}, err
		})
}
