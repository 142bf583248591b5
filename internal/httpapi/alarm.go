package httpapi

import (
	"context"
	"net/http"

	"estate/internal/desk"
	"estate/sync/record"
)

func (a *API) registerAlarms() {
	add(a, operation{id: "list-alarms", method: http.MethodGet, path: "/buildings/{building}/alarms", tag: tagDevices, summary: "Alarms that the caller may see, the latest first"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			InPage
			State  []string  `query:"state" maxItems:"8" enum:"active,acknowledged,cleared"`
			Unit   record.ID `query:"unit"`
			Device record.ID `query:"device"`
			Asset  record.ID `query:"asset"`
			Ticket record.ID `query:"ticket"`
		}) (*outList[desk.Alarm], error) {
			return listed(a.cfg.Desk.Alarms(ctx, c, in.Building, desk.AlarmFilter{State: in.State, Unit: in.Unit, Device: in.Device, Asset: in.Asset, Ticket: in.Ticket}, in.page()))
		})
	add(a, operation{id: "acknowledge-alarm", method: http.MethodPost, path: "/buildings/{building}/alarms/{alarm}/acknowledge", tag: tagDevices, summary: "Say that somebody is looking after an alarm"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			Alarm record.ID `path:"alarm" doc:"Id of the alarm"`
			InKey
		}) (*outItem[desk.Alarm], error) {
			alarm, err := a.cfg.Desk.AcknowledgeAlarm(ctx, c, in.Building, in.Alarm)
			if err != nil {
				return nil, err
			}
			return &outItem[desk.Alarm]{ETag: tag(alarm.Seen), Body: alarm}, nil
		})
	add(a, operation{id: "end-alarm", method: http.MethodPost, path: "/buildings/{building}/alarms/{alarm}/end", tag: tagDevices, summary: "Say that an alarm is over, though its device has not said so"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InBuilding
			Alarm record.ID `path:"alarm" doc:"Id of the alarm"`
			InKey
		}) (*outItem[desk.Alarm], error) {
			alarm, err := a.cfg.Desk.EndAlarm(ctx, c, in.Building, in.Alarm)
			if err != nil {
				return nil, err
			}
			return &outItem[desk.Alarm]{ETag: tag(alarm.Seen), Body: alarm}, nil
		})
}
