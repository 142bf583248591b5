package live

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	"estate/internal/problem"
	"estate/sync/record"
)

// The types of messages.
const (
	typeSubscribe   = "subscribe"
	typeUnsubscribe = "unsubscribe"
	typeSubscribed  = "subscribed"
	typeChange      = "change"
	typePosition    = "position"
	typeReset       = "reset"
	typeSync        = "sync"
	typeEdge        = "edge"
	typeEnded       = "ended"
	typeError       = "error"
)

// Close codes beyond those of RFC 6455.
const (
	// CloseExpired says that the token has ended: refresh it and connect again.
	CloseExpired = 4401
	// CloseForbidden says that no right is left to anything subscribed.
	CloseForbidden = 4403
	// CloseInput says that the client sent what is no message.
	CloseInput = 4400
)

// command is what a client sends.
type command struct {
	Type     string    `json:"type"`
	Building record.ID `json:"building"`
	Cursor   string    `json:"cursor,omitempty"`
}

// answer is what the server sends, whatever its type.
type answer struct {
	Type     string       `json:"type"`
	Building *record.ID   `json:"building,omitempty"`
	Kind     string       `json:"kind,omitempty"`
	ID       *record.ID   `json:"id,omitempty"`
	Ticket   *record.ID   `json:"ticket,omitempty"`
	Position uint64       `json:"position,omitempty"`
	Cursor   string       `json:"cursor,omitempty"`
	Reset    bool         `json:"reset,omitempty"`
	Record   any          `json:"record,omitempty"`
	Link     any          `json:"link,omitempty"`
	Edge     any          `json:"edge,omitempty"`
	Code     problem.Code `json:"code,omitempty"`
	Message  string       `json:"message,omitempty"`
	Remedy   string       `json:"remedy,omitempty"`
}

// message is a change as it is kept for everybody. Its text is made once, when the first
// viewer who may see it needs it.
type message struct {
	change Change

	mu   sync.Mutex
	text []byte
}

func (m *message) encoded() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text
}

func (m *message) encode(generation record.ID, v View) error {
	c := m.change
	a := answer{Type: typeChange, Building: &c.Key.Building, Kind: c.Key.Kind, ID: &c.Key.ID, Position: c.Position,
		Cursor: cursor{generation, c.Position}.String(), Record: v.Item}
	if !v.Ticket.IsZero() {
		a.Ticket = &v.Ticket
	}
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode change of %s: %w", c.Key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.text = text
	return nil
}

func messagesOf(b Batch) []*message {
	out := make([]*message, len(b.Changes))
	for i, c := range b.Changes {
		out[i] = &message{change: c}
	}
	return out
}

func problemAnswer(kind string, building *record.ID, err error) answer {
	p := problem.From(err)
	return answer{Type: kind, Building: building, Code: p.Code, Message: p.Message(), Remedy: p.Remedy()}
}

// cursor is a place in a feed. It is opaque to clients.
type cursor struct {
	generation record.ID
	position   uint64
}

// String writes a cursor.
func (c cursor) String() string {
	return c.generation.String() + "." + strconv.FormatUint(c.position, 10)
}

// parseCursor reads a cursor; ok is false for anything that is none.
func parseCursor(s string) (c cursor, ok bool) {
	generation, position, found := strings.Cut(s, ".")
	if !found {
		return cursor{}, false
	}
	id, err := record.ParseID(generation)
	if err != nil {
		return cursor{}, false
	}
	n, err := strconv.ParseUint(position, 10, 64)
	if err != nil || n > math.MaxInt64 {
		return cursor{}, false
	}
	return cursor{id, n}, true
}
