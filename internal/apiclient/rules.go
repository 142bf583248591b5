package apiclient

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// Rules lists a building's rules.
func (c *Client) Rules(ctx context.Context, building record.ID) ([]desk.Rule, error) {
	var out struct {
		Items []desk.Rule `json:"items"`
	}
	err := c.Get(ctx, under(building, "/rules"), &out)
	return out.Items, err
}

// TryRule asks what a rule would have done; times that are zero are left to the server.
func (c *Client) TryRule(ctx context.Context, building record.ID, definition json.RawMessage, from, to time.Time) (desk.Trial, error) {
	query := url.Values{}
	for name, at := range map[string]time.Time{"from": from, "to": to} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	var out desk.Trial
	return out, c.Post(ctx, under(building, "/rules/try?"+query.Encode()), definition, &out)
}

// SaveRule makes or changes a rule.
func (c *Client) SaveRule(ctx context.Context, building record.ID, id string, definition json.RawMessage) (desk.Rule, error) {
	var out desk.Rule
	return out, c.Send(ctx, http.MethodPut, under(building, "/rules/"+url.PathEscape(id)), nil, definition, &out)
}

// ResetRule sets a shipped rule back, or removes one that was made in the building.
func (c *Client) ResetRule(ctx context.Context, building record.ID, id string) error {
	return c.Send(ctx, http.MethodDelete, under(building, "/rules/"+url.PathEscape(id)), nil, nil, nil)
}
