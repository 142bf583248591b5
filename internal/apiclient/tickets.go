package apiclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// NewTicket is a report, a work order, or a ticket that an import brings.
type NewTicket struct {
	ID          *record.ID `json:"id,omitempty"`
	Title       string     `json:"title"`
	Description string     `json:"description,omitempty"`
	Category    string     `json:"category,omitempty"`
	Priority    string     `json:"priority,omitempty"`
	Status      string     `json:"status,omitempty"`
	Unit        *record.ID `json:"unit,omitempty"`
	Tags        []string   `json:"tags,omitempty"`
	ReportedAt  *time.Time `json:"reported_at,omitempty"`
	StartedAt   *time.Time `json:"started_at,omitempty"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
	Resolution  string     `json:"resolution,omitempty"`
	ExternalRef string     `json:"external_ref,omitempty"`
}

// CreateTicket reports something. The same key makes the same ticket; empty for none.
func (c *Client) CreateTicket(ctx context.Context, building record.ID, key string, in NewTicket) (desk.TicketResult, error) {
	header := http.Header{}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	var out desk.TicketResult
	return out, c.Send(ctx, http.MethodPost, under(building, "/tickets"), header, in, &out)
}

// Tickets lists the tickets of a building that match a filter, in the API's words.
func (c *Client) Tickets(ctx context.Context, building record.ID, filter url.Values) ([]desk.Ticket, error) {
	return All[desk.Ticket](ctx, c, under(building, "/tickets"), filter)
}

// Ticket reads one ticket, with the bytes as they came.
func (c *Client) Ticket(ctx context.Context, building, id record.ID) (desk.Ticket, json.RawMessage, error) {
	var text json.RawMessage
	if err := c.Get(ctx, under(building, "/tickets/"+id.String()), &text); err != nil {
		return desk.Ticket{}, nil, err
	}
	var out desk.Ticket
	return out, text, json.Unmarshal(text, &out)
}

// TicketChange changes a ticket; nil fields stay. Seen is the token of what was shown.
type TicketChange struct {
	Seen     string  `json:"-"`
	Status   *string `json:"status,omitempty"`
	Priority *string `json:"priority,omitempty"`
	Title    *string `json:"title,omitempty"`
}

// UpdateTicket changes a ticket.
func (c *Client) UpdateTicket(ctx context.Context, building, id record.ID, in TicketChange) (desk.Ticket, error) {
	header := http.Header{}
	if in.Seen != "" {
		header.Set("If-Match", `"`+in.Seen+`"`)
	}
	var out desk.Ticket
	return out, c.Send(ctx, http.MethodPatch, under(building, "/tickets/"+id.String()), header, in, &out)
}

// AddMessage says something on a ticket.
func (c *Client) AddMessage(ctx context.Context, building, ticket record.ID, text string) (desk.Message, error) {
	var out desk.Message
	return out, c.Post(ctx, under(building, "/tickets/"+ticket.String()+"/messages"), map[string]string{"text": text}, &out)
}

// Messages lists what was said on a ticket.
func (c *Client) Messages(ctx context.Context, building, ticket record.ID) ([]desk.Message, error) {
	return All[desk.Message](ctx, c, under(building, "/tickets/"+ticket.String()+"/messages"), nil)
}

// AddNote adds an internal note.
func (c *Client) AddNote(ctx context.Context, building, ticket record.ID, text string) (desk.Message, error) {
	var out desk.Message
	return out, c.Post(ctx, under(building, "/tickets/"+ticket.String()+"/notes"), map[string]string{"text": text}, &out)
}

// Notes lists a ticket's internal notes.
func (c *Client) Notes(ctx context.Context, building, ticket record.ID) ([]desk.Message, error) {
	return All[desk.Message](ctx, c, under(building, "/tickets/"+ticket.String()+"/notes"), nil)
}

// MediaOf lists a ticket's photos and other files.
func (c *Client) MediaOf(ctx context.Context, building, ticket record.ID) ([]desk.Media, error) {
	return All[desk.Media](ctx, c, under(building, "/tickets/"+ticket.String()+"/media"), nil)
}

// Conflicts lists the fields of a building that several people set to different values.
func (c *Client) Conflicts(ctx context.Context, building record.ID) ([]desk.Conflict, error) {
	return All[desk.Conflict](ctx, c, under(building, "/conflicts"), nil)
}

// Resolve settles a conflict in favour of one value.
func (c *Client) Resolve(ctx context.Context, building record.ID, in desk.Conflict, value any) error {
	body := map[string]any{"kind": in.Kind, "id": in.ID, "field": in.Field, "value": value, "seen": in.Seen}
	return c.Post(ctx, under(building, "/conflicts/resolve"), body, nil)
}

// Audit lists a building's audit events, the latest first.
func (c *Client) Audit(ctx context.Context, building record.ID, filter url.Values) ([]desk.AuditEvent, error) {
	return All[desk.AuditEvent](ctx, c, under(building, "/audit"), filter)
}

// ExportAudit writes the building's chains, as `estate verify` reads them.
func (c *Client) ExportAudit(ctx context.Context, building record.ID, w io.Writer) error {
	answer, err := c.Do(ctx, http.MethodGet, under(building, "/audit/export"), nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(w, answer.Body)
	return err
}

// CountTickets counts the tickets of a building that the caller may see.
func (c *Client) CountTickets(ctx context.Context, building record.ID) (int, error) {
	var part List[desk.Ticket]
	err := c.Get(ctx, under(building, "/tickets?per_page=1"), &part)
	return part.Total, err
}
