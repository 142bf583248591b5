package desk

import (
	"context"
	"time"

	"estate/sync/record"
	"estate/sync/replica"
)

// Query reads the tables of kinds and the events of one store. Implementations are safe
// for concurrent use and answer from committed state; an error wraps replica.ErrBusy where
// the store cannot answer now.
type Query interface {
	// Select reads records of one building by a shape of Shapes.
	Select(ctx context.Context, s Selection) (Selected, error)
	// Records reads records by key, of several buildings at once; absent ones are left out.
	Records(ctx context.Context, keys []record.Key) ([]Row, error)
	// Events reads a building's events that lie in the feed, the latest position first,
	// below Before (zero: from the end), at most Limit. Where Mentions is not empty, only
	// events whose bytes contain every one of these ids: a superset of what names them.
	Events(ctx context.Context, s EventSelection) (events []replica.EventRow, total int, err error)
	// OpenTickets counts a building's tickets that stand open, by priority, and of the priorities
	// in before how many of them were reported before that.
	OpenTickets(ctx context.Context, building record.ID, before map[string]time.Time) (map[string]Standing, error)
	// Quarantine lists what is held back in a building, both ways, the oldest first.
	Quarantine(ctx context.Context, building record.ID, limit int) ([]replica.QuarantineRow, error)
}

// Standing counts open tickets of one priority.
type Standing struct{ Open, Older int }

// Row is a record as a query found it.
type Row struct {
	Key      record.Key
	Body     []byte
	Position uint64
}

// Shape is one way in which records of a kind are listed. Stores generate the text of each
// once; a Selection fills in the parameters.
type Shape struct {
	Name string
	Kind string
	// Lead is an indexed field that a Selection always fixes to Selection.Lead, empty for
	// none.
	Lead string
	// Filters are fields that a Selection may restrict to lists of values.
	Filters []string
	// Order is the field that orders the rows (with the id), empty for the id alone.
	Order string
	Desc  bool
	// Text lists fields in which Selection.Text is looked for.
	Text []string
	// Scoped shapes honour Selection.Scope.
	Scoped bool
	// Hides shapes leave out records whose field "deleted" shows true.
	Hides bool
	// Probed shapes are mostly asked whether anything has this lead, and mostly nothing has.
	Probed bool
}

// Selection is one query by a shape.
type Selection struct {
	Shape    string
	Building record.ID
	Lead     record.Value
	// Filters has one list of accepted values per field; no entry means no restriction.
	Filters map[string][]record.Value
	// Since is the lowest value of the order field; nil for none.
	Since record.Value
	// Scope limits rows to what a tenant may see; nil for no limit.
	Scope *TenantScope
	// Text is looked for as it is, whatever its case; empty for no restriction.
	Text string
	// After continues behind this place in the order; nil from the start.
	After *Place
	// Skip leaves out that many rows first, and is not used together with After.
	Skip  int
	Limit int
	// Count asks for the total besides.
	Count bool
	// Guess says that an answer as of a moment ago will do: what another process of the cloud
	// wrote just now may be missing.
	Guess bool
}

// TenantScope is what a tenant may see of a kind with units: their units' records, and
// those that they reported.
type TenantScope struct {
	Person record.ID
	Units  []record.ID
}

// Place is where a row stands in its shape's order. Value is what the order field shows,
// nil where it shows nothing, which sorts first.
type Place struct {
	Value record.Value
	ID    record.ID
}

// Selected is the answer to a Selection. Rows beyond Limit are not read; Total is set
// where Count was.
type Selected struct {
	Rows  []Row
	Total int
}

// EventSelection asks for events.
type EventSelection struct {
	Building record.ID
	Mentions []record.ID
	Before   uint64
	Limit    int
	Count    bool
}

// Names of shapes.
const (
	shapeTickets         = "tickets"
	shapeTicketsByCode   = "tickets_by_code"
	shapeMessages        = "messages"
	shapeNotes           = "notes"
	shapeMedia           = "media"
	shapeUnits           = "units"
	shapeDevices         = "devices"
	shapeAlarms          = "alarms"
	shapeAlarmsByDevice  = "alarms_by_device"
	shapeAlarmsByAsset   = "alarms_by_asset"
	shapeAssets          = "assets"
	shapeMembers         = "members"
	shapeCredentials     = "credentials"
	shapeMediaByDigest   = "media_by_digest"
	shapeMediaByThumb    = "media_by_thumbnail"
	shapeRules           = "rules"
	shapeControls        = "controls"
	shapeAllControls     = "all_controls"
	shapeActions         = "actions"
	shapeActionsByDevice = "actions_by_device"
)

// ProbedLead is the field by which a kind is probed, empty where it is not.
func ProbedLead(kind string) string {
	for _, s := range Shapes() {
		if s.Probed && s.Kind == kind {
			return s.Lead
		}
	}
	return ""
}

// Shapes lists every way in which this package lists records.
func Shapes() []Shape {
	return []Shape{
		{Name: shapeTickets, Kind: "ticket", Filters: []string{"status", "priority", "category", "unit", "assignee", "reporter", "device", "asset", "alarm", "external_ref"},
			Order: "reported_at", Desc: true, Text: []string{"title", "description", "code"}, Scoped: true, Hides: true},
		{Name: shapeTicketsByCode, Kind: "ticket", Lead: "code", Probed: true},
		{Name: shapeMessages, Kind: "message", Lead: "ticket", Order: "sent_at"},
		{Name: shapeNotes, Kind: "note", Lead: "ticket", Order: "sent_at"},
		{Name: shapeMedia, Kind: "media", Lead: "ticket"},
		{Name: shapeMediaByDigest, Kind: "media", Lead: "digest"},
		{Name: shapeMediaByThumb, Kind: "media", Lead: "thumbnail"},
		{Name: shapeUnits, Kind: "unit", Order: "name", Scoped: true, Hides: true},
		{Name: shapeAssets, Kind: "asset", Filters: []string{"unit", "category"}, Order: "name", Scoped: true, Hides: true},
		{Name: shapeDevices, Kind: "device", Filters: []string{"unit", "asset", "adopted", "hardware"}, Order: "hardware", Hides: true},
		{Name: shapeRules, Kind: "rule", Hides: true},
		{Name: shapeControls, Kind: "control", Lead: "device", Hides: true},
		{Name: shapeAllControls, Kind: "control", Hides: true},
		{Name: shapeActions, Kind: "action", Filters: []string{"state"}, Order: "asked_at"},
		{Name: shapeActionsByDevice, Kind: "action", Lead: "device", Filters: []string{"state"}, Order: "asked_at", Desc: true},
		{Name: shapeAlarms, Kind: "alarm", Filters: []string{"state", "unit", "device", "asset", "ticket"}, Order: "raised_at", Desc: true, Scoped: true},
		{Name: shapeAlarmsByAsset, Kind: "alarm", Lead: "asset", Filters: []string{"cause"}, Order: "raised_at", Desc: true},
		{Name: shapeAlarmsByDevice, Kind: "alarm", Lead: "device", Filters: []string{"cause", "state"}, Order: "raised_at", Desc: true},
		{Name: shapeMembers, Kind: "membership", Filters: []string{"role", "active"}, Order: "name"},
		{Name: shapeCredentials, Kind: "credential", Lead: "email"},
	}
}
