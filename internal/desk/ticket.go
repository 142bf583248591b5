package desk

import (
	"time"

	"estate/sync/record"
)

// Person names somebody in a building. The name is empty where the building no longer, or
// not yet, knows it.
type Person struct {
	ID   record.ID `json:"id"`
	Name string    `json:"name,omitempty"`
}

// Ticket is a work order as screens show it.
type Ticket struct {
	ID          record.ID  `json:"id"`
	Building    record.ID  `json:"building"`
	Code        string     `json:"code"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Status      string     `json:"status"`
	Priority    string     `json:"priority,omitempty"`
	AIPriority  string     `json:"ai_priority,omitempty"`
	Category    string     `json:"category,omitempty"`
	Unit        record.ID  `json:"unit,omitempty,omitzero"`
	UnitName    string     `json:"unit_name,omitempty"`
	Reporter    *Person    `json:"reporter,omitempty"`
	Assignee    *Person    `json:"assignee,omitempty"`
	Reports     []Person   `json:"reports,omitempty"`
	Device      record.ID  `json:"device,omitempty,omitzero"`
	Asset       record.ID  `json:"asset,omitempty,omitzero"`
	AssetName   string     `json:"asset_name,omitempty"`
	Alarm       record.ID  `json:"alarm,omitempty,omitzero"`
	Tags        []string   `json:"tags,omitempty"`
	ReportedAt  *time.Time `json:"reported_at,omitempty"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
	Resolution  string     `json:"resolution,omitempty"`
	ExternalRef string     `json:"external_ref,omitempty"`
	// Conflicts names the fields that several people set to different values.
	Conflicts []string `json:"conflicts,omitempty"`
	// Seen is the token of what this answer shows. A change sends it back, so that only
	// what its author saw is replaced. It is also the entity tag.
	Seen string `json:"seen"`
	// Position rises with each change of the record in this store.
	Position uint64 `json:"position"`
}

// NewTicket is what a report or a work order starts with.
type NewTicket struct {
	// ID, where given, is the client's UUIDv7: sent again, it is the same ticket.
	ID             record.ID
	IdempotencyKey string
	Title          string
	Description    string
	Category       string
	Priority       string
	Unit           record.ID
	Assignee       record.ID
	Device         record.ID
	Asset          record.ID
	Tags           []string
	// ReportedAt is when it was reported, where that is not now.
	ReportedAt *time.Time
	// What an import brings besides, for staff. A ticket with an ExternalRef and no ID has
	// an id derived from it, so that an import can be repeated.
	ExternalRef string
	Status      string
	StartedAt   *time.Time
	ResolvedAt  *time.Time
	Resolution  string
}

// TicketResult says what came of a report. Joined reports were added to a ticket that was
// already open for the same thing.
type TicketResult struct {
	Ticket Ticket `json:"ticket"`
	Joined bool   `json:"joined"`
}

// TicketFilter restricts a list of tickets. Empty fields do not restrict.
type TicketFilter struct {
	Status   []string
	Priority []string
	Category []string
	Unit     record.ID
	Assignee record.ID
	Reporter record.ID
	Device   record.ID
	Asset    record.ID
	// Open leaves out what is resolved, closed or cancelled.
	Open bool
	// Query is looked for in title, description and code.
	Query       string
	ExternalRef string
}

// TicketChange changes a ticket. Nil fields stay as they are; an empty text clears.
type TicketChange struct {
	// Seen is the token of what the author was shown; empty for what is stored.
	Seen        string
	Title       *string
	Description *string
	Status      *string
	Priority    *string
	Category    *string
	Resolution  *string
	Unit        *record.ID
	Asset       *record.ID
	Assignee    *record.ID
	AddTags     []string
	RemoveTags  []string
	// At is when it happened, where that is not now: a late "started 09:12".
	At *time.Time
	// StartedAt and ResolvedAt correct the times that status changes set.
	StartedAt  *time.Time
	ResolvedAt *time.Time
}
