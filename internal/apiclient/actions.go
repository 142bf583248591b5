package apiclient

import (
	"context"

	"estate/internal/desk"
	"estate/sync/record"
)

func actions(building, device record.ID, tail string) string {
	return under(building, "/devices/"+device.String()+tail)
}

// Controls lists what a device can be told.
func (c *Client) Controls(ctx context.Context, building, device record.ID) ([]desk.Control, error) {
	var out struct {
		Items []desk.Control `json:"items"`
	}
	err := c.Get(ctx, actions(building, device, "/controls"), &out)
	return out.Items, err
}

// PlanAction asks what an order to a device would do.
func (c *Client) PlanAction(ctx context.Context, building, device record.ID, control, value string) (desk.ActionPlan, error) {
	var out desk.ActionPlan
	return out, c.Post(ctx, actions(building, device, "/actions/plan"), map[string]string{"control": control, "value": value}, &out)
}

// OrderAction gives the order that a plan's token confirms.
func (c *Client) OrderAction(ctx context.Context, building, device record.ID, token string) (desk.Action, error) {
	var out desk.Action
	return out, c.Post(ctx, actions(building, device, "/actions"), map[string]string{"token": token}, &out)
}

// Action reads an order to a device.
func (c *Client) Action(ctx context.Context, building, device, action record.ID) (desk.Action, error) {
	var out desk.Action
	return out, c.Get(ctx, actions(building, device, "/actions/"+action.String()), &out)
}

// Actions lists the orders to a device, the latest first.
func (c *Client) Actions(ctx context.Context, building, device record.ID) ([]desk.Action, error) {
	return All[desk.Action](ctx, c, actions(building, device, "/actions"), nil)
}
