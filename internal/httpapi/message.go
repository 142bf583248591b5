package httpapi

import (
	"context"
	"net/http"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// MessageBody is a message or a note to add.
type MessageBody struct {
	ID     record.ID  `json:"id,omitempty" doc:"UUIDv7 chosen by the client; sent again, it is the same message"`
	Text   string     `json:"text" minLength:"1" maxLength:"8000"`
	SentAt *time.Time `json:"sent_at,omitempty" doc:"When it was written, where that is not now"`
}

// InThread asks for part of what hangs on a ticket.
type InThread struct {
	InTicket
	InPage
}

type inMessage struct {
	InTicket
	InKey
	Body MessageBody
}

func (in *inMessage) message() desk.NewMessage {
	return desk.NewMessage{ID: in.Body.ID, IdempotencyKey: in.IdempotencyKey, Text: in.Body.Text, SentAt: in.Body.SentAt}
}

func (a *API) registerMessages() {
	const messages, notes = "/buildings/{building}/tickets/{ticket}/messages", "/buildings/{building}/tickets/{ticket}/notes"
	add(a, operation{id: "list-messages", method: http.MethodGet, path: messages, tag: tagTickets, summary: "What was said on a ticket"},
		func(ctx context.Context, c desk.Caller, in *InThread) (*outList[desk.Message], error) {
			return listed(a.cfg.Desk.Messages(ctx, c, in.Building, in.Ticket, in.page()))
		})
	add(a, operation{id: "create-message", method: http.MethodPost, path: messages, tag: tagTickets, status: http.StatusCreated, summary: "Say something on a ticket"},
		func(ctx context.Context, c desk.Caller, in *inMessage) (*outBody[desk.Message], error) {
			return body(a.cfg.Desk.AddMessage(ctx, c, in.Building, in.Ticket, in.message()))
		})
	add(a, operation{id: "list-notes", method: http.MethodGet, path: notes, tag: tagTickets, summary: "Internal notes of a ticket, for staff"},
		func(ctx context.Context, c desk.Caller, in *InThread) (*outList[desk.Message], error) {
			return listed(a.cfg.Desk.Notes(ctx, c, in.Building, in.Ticket, in.page()))
		})
	add(a, operation{id: "create-note", method: http.MethodPost, path: notes, tag: tagTickets, status: http.StatusCreated, summary: "Add an internal note, for staff"},
		func(ctx context.Context, c desk.Caller, in *inMessage) (*outBody[desk.Message], error) {
			return body(a.cfg.Desk.AddNote(ctx, c, in.Building, in.Ticket, in.message()))
		})
}
