package httpapi

import (
	"context"
	"net/http"

	"estate/internal/desk"
	"estate/sync/record"
)

// PlanBody names an order to look at before it is given.
type PlanBody struct {
	Control string `json:"control" minLength:"1" maxLength:"200" doc:"One of the device's controls"`
	Value   string `json:"value" minLength:"1" maxLength:"500" doc:"The state that is wanted: one of the control's values, or a number"`
}

// OrderBody confirms a plan.
type OrderBody struct {
	Token string `json:"token" minLength:"1" maxLength:"4096" doc:"The plan's token"`
}

type controlsBody struct {
	Items []desk.Control `json:"items"`
}

const actionText = `The order is carried out by the box in the building, which awaits the device's answer; each step comes as a change of kind "action". asked: not sent yet. sent: the device has it. answered: the device says that it is in the state that was wanted. failed: it did not say so in time, or said no. refused: what the person was shown did not hold any more. expired: it reached the box too late and was not sent.`

func (a *API) registerActions() {
	const device = "/buildings/{building}/devices/{device}"
	const actions = device + "/actions"
	type outControls struct{ Body controlsBody }
	add(a, operation{id: "list-controls", method: http.MethodGet, path: device + "/controls", tag: tagDevices, summary: "What a device can be told, with its state, for staff"},
		func(ctx context.Context, c desk.Caller, in *InDevice) (*outControls, error) {
			list, err := a.cfg.Desk.Controls(ctx, c, in.Building, in.Device)
			return &outControls{Body: controlsBody{Items: list}}, err
		})
	add(a, operation{id: "plan-action", method: http.MethodPost, path: actions + "/plan", tag: tagDevices, summary: "What an order would do, and the token that confirms it",
		text: "Nothing is sent. Show the person the state, how old it is and the dangers; the token confirms exactly that, for a minute."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			Body PlanBody
		}) (*outBody[desk.ActionPlan], error) {
			return body(a.cfg.Desk.PlanAction(ctx, c, in.Building, in.Device, in.Body.Control, in.Body.Value))
		})
	add(a, operation{id: "order-action", method: http.MethodPost, path: actions, tag: tagDevices, status: http.StatusCreated, summary: "Give the order that a plan's token confirms", text: actionText},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			InKey
			Body OrderBody
		}) (*outItem[desk.Action], error) {
			return action(a.cfg.Desk.OrderAction(ctx, c, in.Building, in.Device, in.Body.Token))
		})
	add(a, operation{id: "list-actions", method: http.MethodGet, path: actions, tag: tagDevices, summary: "Orders to a device and what became of them, the latest first"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			InPage
		}) (*outList[desk.Action], error) {
			return listed(a.cfg.Desk.Actions(ctx, c, in.Building, in.Device, in.page()))
		})
	add(a, operation{id: "get-action", method: http.MethodGet, path: actions + "/{action}", tag: tagDevices, summary: "An order to a device and what became of it"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InDevice
			Action record.ID `path:"action" doc:"Id of the order"`
		}) (*outItem[desk.Action], error) {
			return action(a.cfg.Desk.Action(ctx, c, in.Building, in.Device, in.Action))
		})
}

func action(one desk.Action, err error) (*outItem[desk.Action], error) {
	if err != nil {
		return nil, err
	}
	return &outItem[desk.Action]{ETag: tag(one.Seen), Body: one}, nil
}
