package httpapi

import (
	"context"
	"net/http"
	"slices"
	"time"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// HearingPort tells how a box hears its building's devices. The handlers have checked the
// caller's rights in the building.
type HearingPort interface {
	// Hearing says whether the devices of a building are heard.
	Hearing(ctx context.Context, building record.ID) Hearing
	// Refusals lists what devices sent and what was not taken, the latest first.
	Refusals(ctx context.Context, building record.ID) ([]Refusal, error)
	// ReadingsDisk tells how much of the disk readings take.
	ReadingsDisk(ctx context.Context, building record.ID) (ReadingsDisk, error)
}

// ReadingsDisk is how much of a box's disk readings take, and for how long there is room.
type ReadingsDisk struct {
	Bytes        int64      `json:"bytes"`
	BudgetBytes  int64      `json:"budget_bytes" doc:"Above it the oldest single readings go first, then rollups; readings around alarms stay"`
	BytesPerDay  int64      `json:"bytes_per_day" doc:"At the pace of the last week"`
	State        string     `json:"state" enum:"room,thinning,over" doc:"There is room; it is used up and the oldest single readings make room; it is used up and nothing more may go"`
	DaysLeft     *int64     `json:"days_left,omitempty" doc:"Until the budget is used up at this pace; left out where it never is, or is used up"`
	FullAt       *time.Time `json:"full_at,omitempty"`
	ReadingsFrom *time.Time `json:"readings_from,omitempty" doc:"How far single readings go back, those around alarms excepted where the oldest made room"`
	RollupsFrom  *time.Time `json:"rollups_from,omitempty" doc:"How far minutes, quarters of an hour and hours go back"`
}

// Hearing says whether a building's devices are heard.
type Hearing struct {
	Broker     string       `json:"broker" enum:"embedded,external" doc:"Whose broker carries the messages: the box's own, or another by its address"`
	Heard      bool         `json:"heard"`
	BlindSince *time.Time   `json:"blind_since,omitempty" doc:"Since when devices are not heard"`
	Code       string       `json:"code,omitempty" doc:"Why not, or what else is wrong with the broker"`
	Detail     string       `json:"detail,omitempty"`
	Remedy     string       `json:"remedy,omitempty"`
	LastBlind  *BlindPeriod `json:"last_blind,omitempty" doc:"The last time before now that devices were not heard, since the box started"`
	StoreSince *time.Time   `json:"store_failing_since,omitempty" doc:"Since when nothing that devices say can be stored; it waits at the broker"`
	Waiting    int          `json:"waiting" doc:"Messages that came and are not stored yet"`
	Messages   int64        `json:"messages" doc:"Messages since the box started"`
	Refused    int64        `json:"refused" doc:"What of them, or before them at the broker, was not taken"`
	Gateways   []Gateway    `json:"gateways,omitempty" doc:"What other devices speak through, such as a Zigbee2MQTT; nobody adopts it"`
}

// Gateway is what other devices speak through.
type Gateway struct {
	Base   string    `json:"base" doc:"The topic under which its devices speak"`
	Online bool      `json:"online"`
	Since  time.Time `json:"since" doc:"When the box first heard so"`
}

// BlindPeriod is a time in which devices were not heard.
type BlindPeriod struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds int64     `json:"seconds"`
}

// Refusal is something of a device that was not taken, with how often.
type Refusal struct {
	Login   string    `json:"login,omitempty" doc:"The MQTT login, or client id, that it came from; empty where that is not known"`
	Topic   string    `json:"topic,omitempty"`
	Key     string    `json:"key,omitempty" doc:"The value that is meant; empty for the whole message"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Remedy  string    `json:"remedy"`
	Detail  string    `json:"detail,omitempty" doc:"What was wrong this time"`
	Count   int       `json:"count"`
	FirstAt time.Time `json:"first_at"`
	LastAt  time.Time `json:"last_at"`
}

// RefusalsBody lists refusals.
type RefusalsBody struct {
	Items []Refusal `json:"items"`
}

func (a *API) registerHearing() {
	add(a, operation{id: "get-hearing", method: http.MethodGet, path: "/buildings/{building}/hearing", tag: tagDevices,
		summary: "Whether the building's devices are heard, and since when not, for staff"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[Hearing], error) {
			if err := a.works(ctx, c, in.Building); err != nil {
				return nil, err
			}
			return body(a.cfg.Hearing.Hearing(ctx, in.Building), nil)
		})
	add(a, operation{id: "list-refusals", method: http.MethodGet, path: "/buildings/{building}/refusals", tag: tagDevices,
		summary: "What devices sent and what was not taken, by login and topic, for staff", text: "Kept in memory: it begins anew with each start of the box. Each line has a code and a remedy."},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[RefusalsBody], error) {
			if err := a.works(ctx, c, in.Building); err != nil {
				return nil, err
			}
			list, err := a.cfg.Hearing.Refusals(ctx, in.Building)
			if list == nil {
				list = []Refusal{}
			}
			return body(RefusalsBody{Items: list}, err)
		})
	add(a, operation{id: "get-readings-disk", method: http.MethodGet, path: "/buildings/{building}/readings/disk", tag: tagDevices,
		summary: "How much of the box's disk readings take, and for how many days there is room, for staff"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[ReadingsDisk], error) {
			if err := a.works(ctx, c, in.Building); err != nil {
				return nil, err
			}
			return body(a.cfg.Hearing.ReadingsDisk(ctx, in.Building))
		})
}

// works lets a building's staff through.
func (a *API) works(ctx context.Context, c desk.Caller, building record.ID) error {
	viewer, err := a.cfg.Desk.Viewer(ctx, c, building)
	if err != nil {
		return err
	}
	if !viewer.Active || !slices.Contains([]schema.Role{schema.Technician, schema.Manager, schema.Admin}, viewer.Role) {
		return problem.New(problem.Forbidden, "")
	}
	return nil
}
