package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"estate/sync/record"
)

const (
	// subprotocol is what the server's WebSocket speaks.
	subprotocol = "estate.v1"
	// pushBytesMax bounds one message: a ticket with the longest texts.
	pushBytesMax = 1 << 20
	// silenceMax is longer than a server lets a connection be silent.
	silenceMax = 90 * time.Second
	// retryWait is between attempts to connect: a server that starts takes a second.
	retryWait = 200 * time.Millisecond
	// handshakeMax bounds one attempt to connect.
	handshakeMax = 10 * time.Second
	// eventsWaitingMax is what may wait for a caller that is busy.
	eventsWaitingMax = 1024
)

// The types of events that callers look for. Subscribed comes after each connect.
const (
	EventSubscribed = "subscribed"
	EventChange     = "change"
	EventEnded      = "ended"
)

// Event is one message of a server's WebSocket.
type Event struct {
	Type     string          `json:"type"`
	Building record.ID       `json:"building"`
	Kind     string          `json:"kind"`
	ID       record.ID       `json:"id"`
	Ticket   record.ID       `json:"ticket"`
	Position uint64          `json:"position"`
	Cursor   string          `json:"cursor"`
	Reset    bool            `json:"reset"`
	Record   json.RawMessage `json:"record"`
	Code     string          `json:"code"`
	// Server is the address that it came from, At when it arrived here.
	Server string    `json:"-"`
	At     time.Time `json:"-"`
}

// Follow gives what changes in a building until ctx ends, which closes the channel. A
// connection that breaks is made again, at the next of the clients in turn, from the last
// cursor: nothing is missed unless an event says reset.
func Follow(ctx context.Context, building record.ID, clients ...*Client) <-chan Event {
	events := make(chan Event, eventsWaitingMax)
	go func() {
		defer close(events)
		cursor := ""
		for n := 0; ctx.Err() == nil; n++ {
			cursor = clients[n%len(clients)].follow(ctx, building, cursor, events)
			timer := time.NewTimer(retryWait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}()
	return events
}

// follow serves one connection until it ends and gives the cursor to go on from.
func (c *Client) follow(ctx context.Context, building record.ID, cursor string, events chan<- Event) string {
	socket, err := c.dial(ctx)
	if err != nil {
		return cursor // the next attempt decides
	}
	defer func() { _ = socket.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() }) // ends the read below
	defer stop()
	in := map[string]string{"type": "subscribe", "building": building.String()}
	if cursor != "" {
		in["cursor"] = cursor
	}
	if err := socket.WriteJSON(in); err != nil {
		return cursor
	}
	for {
		var event Event
		if err := socket.ReadJSON(&event); err != nil {
			return cursor
		}
		event.Server, event.At = c.Base(), time.Now()
		select {
		case events <- event:
		case <-ctx.Done():
			return cursor
		}
		if event.Cursor != "" {
			cursor = event.Cursor
		}
	}
}

// dial opens the WebSocket as the signed-in person.
func (c *Client) dial(ctx context.Context) (*websocket.Conn, error) {
	dialer := websocket.Dialer{HandshakeTimeout: handshakeMax, Subprotocols: []string{subprotocol}}
	header := http.Header{"Authorization": {"Bearer " + c.token}}
	address := "ws" + strings.TrimPrefix(c.base.String(), "http") + "/ws"
	socket, answer, err := dialer.DialContext(ctx, address, header)
	if err != nil {
		if answer != nil {
			defer func() { _ = answer.Body.Close() }()
			return nil, refusal(answer)
		}
		return nil, fmt.Errorf("open the WebSocket of %s: %w", c.Base(), err)
	}
	socket.SetReadLimit(pushBytesMax)
	alive := func() error { return socket.SetReadDeadline(time.Now().Add(silenceMax)) }
	if err := alive(); err != nil {
		return nil, err
	}
	socket.SetPingHandler(func(text string) error {
		if err := alive(); err != nil {
			return err
		}
		return socket.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(handshakeMax))
	})
	return socket, nil
}

// DialWebSocket tries the WebSocket once and says why it was refused.
func (c *Client) DialWebSocket(ctx context.Context) error {
	socket, err := c.dial(ctx)
	if err != nil {
		return err
	}
	return socket.Close()
}
