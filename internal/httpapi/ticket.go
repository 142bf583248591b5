package httpapi

import (
	"context"
	"net/http"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// TicketBody is a report or a work order. A tenant's report of what is already being dealt
// with joins that ticket.
type TicketBody struct {
	ID          record.ID  `json:"id,omitempty" doc:"UUIDv7 chosen by the client; sent again, it is the same ticket"`
	Title       string     `json:"title" minLength:"1" maxLength:"200"`
	Description string     `json:"description,omitempty" maxLength:"8000"`
	Category    string     `json:"category,omitempty" enum:"plumbing,electrical,heating,lift,appliance,structure,pest,security,cleaning,other"`
	Priority    string     `json:"priority,omitempty" enum:"low,normal,high,urgent"`
	Unit        record.ID  `json:"unit,omitempty"`
	Assignee    record.ID  `json:"assignee,omitempty"`
	Device      record.ID  `json:"device,omitempty"`
	Asset       record.ID  `json:"asset,omitempty" doc:"The equipment that it is about; for staff"`
	Tags        []string   `json:"tags,omitempty" maxItems:"32" nullable:"false"`
	ReportedAt  *time.Time `json:"reported_at,omitempty"`
	ExternalRef string     `json:"external_ref,omitempty" maxLength:"200" doc:"Id in the system that the ticket is imported from; without an id, the same reference is the same ticket"`
	Status      string     `json:"status,omitempty" enum:"new,triaged,assigned,in_progress,waiting,resolved,closed,cancelled" doc:"For imports by staff"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
	Resolution  string     `json:"resolution,omitempty" maxLength:"8000"`
}

// TicketChangeBody changes a ticket; what is left out stays and an empty text clears.
type TicketChangeBody struct {
	Title       *string    `json:"title,omitempty" maxLength:"200"`
	Description *string    `json:"description,omitempty" maxLength:"8000"`
	Status      *string    `json:"status,omitempty" enum:"new,triaged,assigned,in_progress,waiting,resolved,closed,cancelled"`
	Priority    *string    `json:"priority,omitempty" enum:"low,normal,high,urgent"`
	Category    *string    `json:"category,omitempty" enum:"plumbing,electrical,heating,lift,appliance,structure,pest,security,cleaning,other"`
	Resolution  *string    `json:"resolution,omitempty" maxLength:"8000"`
	Unit        *record.ID `json:"unit,omitempty"`
	Asset       *record.ID `json:"asset,omitempty"`
	Assignee    *record.ID `json:"assignee,omitempty"`
	AddTags     []string   `json:"add_tags,omitempty" maxItems:"32" nullable:"false"`
	RemoveTags  []string   `json:"remove_tags,omitempty" maxItems:"32" nullable:"false"`
	At          *time.Time `json:"at,omitempty" doc:"When it happened, where that is not now"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
}

type inTickets struct {
	InBuilding
	InPage
	Status      []string  `query:"status" maxItems:"16" enum:"new,triaged,assigned,in_progress,waiting,resolved,closed,cancelled"`
	Priority    []string  `query:"priority" maxItems:"16" enum:"low,normal,high,urgent"`
	Category    []string  `query:"category" maxItems:"16" enum:"plumbing,electrical,heating,lift,appliance,structure,pest,security,cleaning,other"`
	Unit        record.ID `query:"unit"`
	Assignee    record.ID `query:"assignee"`
	Reporter    record.ID `query:"reporter"`
	Device      record.ID `query:"device"`
	Asset       record.ID `query:"asset"`
	Open        bool      `query:"open" doc:"Leaves out what is resolved, closed or cancelled"`
	Query       string    `query:"q" maxLength:"200" doc:"Looked for in title, description and code"`
	ExternalRef string    `query:"external_ref" maxLength:"200"`
}

func (a *API) registerTickets() {
	add(a, operation{id: "list-tickets", method: http.MethodGet, path: "/buildings/{building}/tickets", tag: tagTickets, summary: "Tickets that the caller may see"},
		func(ctx context.Context, c desk.Caller, in *inTickets) (*outList[desk.Ticket], error) {
			return listed(a.cfg.Desk.Tickets(ctx, c, in.Building, desk.TicketFilter{Status: in.Status, Priority: in.Priority, Category: in.Category,
				Unit: in.Unit, Assignee: in.Assignee, Reporter: in.Reporter, Device: in.Device, Asset: in.Asset, Open: in.Open, Query: in.Query, ExternalRef: in.ExternalRef}, in.page()))
		})
	add(a, operation{id: "create-ticket", method: http.MethodPost, path: "/buildings/{building}/tickets", tag: tagTickets, status: http.StatusCreated,
		summary: "Report something, or open a work order", text: "A report of what an open ticket already deals with joins that ticket: joined is true, and the text becomes a message."},
		a.createTicket)
	add(a, operation{id: "get-ticket", method: http.MethodGet, path: "/buildings/{building}/tickets/{ticket}", tag: tagTickets, summary: "A ticket"},
		func(ctx context.Context, c desk.Caller, in *InTicket) (*outItem[desk.Ticket], error) {
			return ticket(a.cfg.Desk.Ticket(ctx, c, in.Building, in.Ticket))
		})
	add(a, operation{id: "update-ticket", method: http.MethodPatch, path: "/buildings/{building}/tickets/{ticket}", tag: tagTickets, summary: "Change a ticket"}, a.updateTicket)
	add(a, operation{id: "delete-ticket", method: http.MethodDelete, path: "/buildings/{building}/tickets/{ticket}", tag: tagTickets, status: http.StatusNoContent,
		summary: "Hide a ticket", text: "For managers. Nothing is removed, and an edit made without knowledge of this brings it back."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InTicket
			InMatch
		}) (*outNothing, error) {
			seen, err := in.seen()
			if err != nil {
				return nil, err
			}
			return nothing(a.cfg.Desk.DeleteTicket(ctx, c, in.Building, in.Ticket, seen))
		})
}

func (a *API) createTicket(ctx context.Context, c desk.Caller, in *struct {
	InBuilding
	InKey
	Body TicketBody
}) (*outItem[desk.TicketResult], error) {
	b := in.Body
	result, err := a.cfg.Desk.CreateTicket(ctx, c, in.Building, desk.NewTicket{ID: b.ID, IdempotencyKey: in.IdempotencyKey,
		Title: b.Title, Description: b.Description, Category: b.Category, Priority: b.Priority, Unit: b.Unit, Assignee: b.Assignee,
		Device: b.Device, Asset: b.Asset, Tags: b.Tags, ReportedAt: b.ReportedAt, ExternalRef: b.ExternalRef, Status: b.Status,
		StartedAt: b.StartedAt, ResolvedAt: b.ResolvedAt, Resolution: b.Resolution})
	if err != nil {
		return nil, err
	}
	return &outItem[desk.TicketResult]{ETag: tag(result.Ticket.Seen), Body: result}, nil
}

func (a *API) updateTicket(ctx context.Context, c desk.Caller, in *struct {
	InTicket
	InMatch
	Body TicketChangeBody
}) (*outItem[desk.Ticket], error) {
	seen, err := in.seen()
	if err != nil {
		return nil, err
	}
	b := in.Body
	return ticket(a.cfg.Desk.UpdateTicket(ctx, c, in.Building, in.Ticket, desk.TicketChange{Seen: seen, Title: b.Title, Description: b.Description,
		Status: b.Status, Priority: b.Priority, Category: b.Category, Resolution: b.Resolution, Unit: b.Unit, Asset: b.Asset, Assignee: b.Assignee,
		AddTags: b.AddTags, RemoveTags: b.RemoveTags, At: b.At, StartedAt: b.StartedAt, ResolvedAt: b.ResolvedAt}))
}

func ticket(t desk.Ticket, err error) (*outItem[desk.Ticket], error) {
	if err != nil {
		return nil, err
	}
	return &outItem[desk.Ticket]{ETag: tag(t.Seen), Body: t}, nil
}
