package live

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"estate/internal/auth"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// commandBytesMax is many times the longest command.
	commandBytesMax = 4 << 10
	// commandsMax bounds commands that wait while the writer is busy; then the client has
	// to wait, too.
	commandsMax = 16
	// subscriptionsMax bounds the buildings that one connection follows.
	subscriptionsMax = 256
	// silenceBeats is how many heartbeats may go unanswered.
	silenceBeats = 2
	// goodbyeWait is what a close message may take.
	goodbyeWait = time.Second
)

// conn is one client: a reader goroutine that takes commands, and the writer, which is
// the goroutine of the request.
type conn struct {
	server   *Server
	socket   *websocket.Conn
	id       auth.Identity
	ctx      context.Context
	end      context.CancelCauseFunc
	wake     chan struct{}
	commands chan command
	subs     map[record.ID]*subscription
}

// closing ends a connection with a code for the client.
type closing struct {
	code int
	text string
}

// Error is the text for logs.
func (c *closing) Error() string { return c.text }

func newConn(s *Server, socket *websocket.Conn, id auth.Identity, request string) *conn {
	ctx, end := context.WithCancelCause(obs.WithRequestID(s.ctx, request))
	return &conn{server: s, socket: socket, id: id, ctx: ctx, end: end, wake: make(chan struct{}, 1),
		commands: make(chan command, commandsMax), subs: map[record.ID]*subscription{}}
}

// run serves the client until it leaves, its token ends, or it breaks a rule.
func (c *conn) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.end(c.read())
	}()
	err := c.write()
	c.end(err)
	for _, s := range c.subs {
		c.server.part(s.hub, c.wake)
	}
	c.goodbye(err)
	_ = c.socket.Close() // ends the reader; nothing more can be said
	<-done
}

// read takes commands until the client leaves. The error says why it ended.
func (c *conn) read() error {
	silence := silenceBeats * c.server.config.Heartbeat
	c.socket.SetReadLimit(commandBytesMax)
	alive := func(string) error { return c.socket.SetReadDeadline(c.server.config.Now().Add(silence)) }
	c.socket.SetPongHandler(alive)
	if err := alive(""); err != nil {
		return err
	}
	for {
		kind, text, err := c.socket.ReadMessage()
		if err != nil {
			return err
		}
		var in command
		if kind != websocket.TextMessage || !utf8.Valid(text) || json.Unmarshal(text, &in) != nil {
			return &closing{CloseInput, "not a message"}
		}
		select {
		case c.commands <- in:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// write is the one goroutine that writes. It returns why the connection ends.
func (c *conn) write() error {
	beat := time.NewTicker(c.server.config.Heartbeat)
	defer beat.Stop()
	expiry := time.NewTimer(c.id.Expires.Sub(c.server.config.Now()))
	defer expiry.Stop()
	for {
		var err error
		select {
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		case <-expiry.C:
			return &closing{CloseExpired, string(problem.TokenExpired)}
		case in := <-c.commands:
			err = c.obey(in)
		case <-c.wake:
			err = c.advance()
		case <-beat.C:
			err = c.beat()
		}
		if err != nil {
			return err
		}
	}
}

func (c *conn) obey(in command) error {
	switch in.Type {
	case typeSubscribe:
		return c.subscribe(in)
	case typeUnsubscribe:
		if s := c.subs[in.Building]; s != nil {
			c.leave(s)
		}
		return nil
	}
	return c.send(problemAnswer(typeError, nil, problem.New(problem.InvalidInput, "unknown type of message")))
}

// beat asks whether the client and its sign-in live, reads its rights anew, and tells it how far the feed
// has come, so that a reconnect need not look at all it may not see again.
func (c *conn) beat() error {
	if err := c.socket.WriteControl(websocket.PingMessage, nil, c.server.config.Now().Add(c.server.config.WriteWait)); err != nil {
		return err
	}
	if err := c.server.config.Lives(c.ctx, c.id); err != nil {
		if p := problem.From(err); p.Status() < 500 {
			return &closing{CloseExpired, string(p.Code)}
		}
		return err
	}
	for _, s := range c.subs {
		if err := c.refresh(s); err != nil {
			return err
		}
		if s.told < s.position && c.subs[s.building] == s {
			s.told = s.position
			if err := c.send(answer{Type: typePosition, Building: &s.building, Cursor: s.cursor()}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *conn) send(a answer) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return c.sendText(text)
}

// sendText writes one message. A client that accepts nothing for the whole wait is cut
// off; its cursor is what it has received.
func (c *conn) sendText(text []byte) error {
	if err := c.socket.SetWriteDeadline(c.server.config.Now().Add(c.server.config.WriteWait)); err != nil {
		return err
	}
	return c.socket.WriteMessage(websocket.TextMessage, text)
}

// goodbye tells the client why, where it still listens.
func (c *conn) goodbye(err error) {
	code, text := websocket.CloseNormalClosure, ""
	var why *closing
	switch {
	case errors.As(err, &why):
		code, text = why.code, why.text
	case c.server.ctx.Err() != nil:
		code, text = websocket.CloseGoingAway, "the server is stopping"
	case errors.Is(err, context.Canceled), websocket.IsUnexpectedCloseError(err), isNetwork(err):
		return // the client has gone
	case err != nil:
		c.server.config.Log.ErrorContext(c.ctx, "push changes", obs.Person(c.id.Person), obs.Error(err))
		code, text = websocket.CloseTryAgainLater, string(problem.Unavailable)
	}
	_ = c.socket.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, text), c.server.config.Now().Add(goodbyeWait)) // it may have gone
}
