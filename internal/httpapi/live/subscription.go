package live

import (
	"errors"
	"io"
	"net"

	"github.com/gorilla/websocket"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// subscription is one building that a client follows. Only the writer touches it.
type subscription struct {
	building record.ID
	hub      *hub
	viewer   schema.Viewer
	position uint64 // looked at up to here
	told     uint64 // of which the client knows
	linkN    uint64
	edgeN    uint64
}

func (s *subscription) cursor() string { return cursor{s.hub.generation, s.position}.String() }

// subscribe begins at the cursor, or at the feed's end where there is none.
func (c *conn) subscribe(in command) error {
	if old := c.subs[in.Building]; old != nil {
		c.leave(old)
	}
	if len(c.subs) >= subscriptionsMax {
		return c.send(problemAnswer(typeError, &in.Building, problem.New(problem.TooLarge, "at most %d buildings", subscriptionsMax)))
	}
	viewer, err := c.viewer(in.Building)
	if p := problem.From(err); err != nil && p.Status() < 500 {
		return c.send(problemAnswer(typeEnded, &in.Building, err))
	} else if err != nil {
		return err
	}
	s := &subscription{building: in.Building, hub: c.server.join(in.Building, c.wake), viewer: viewer}
	c.subs[in.Building] = s
	select {
	case <-s.hub.begun:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	s.position = s.hub.position()
	reset := false
	if in.Cursor != "" {
		from, ok := parseCursor(in.Cursor)
		reset = !ok || from.generation != s.hub.generation || from.position > s.position
		if !reset {
			s.position = from.position
		}
	}
	s.told = s.position
	if err := c.send(answer{Type: typeSubscribed, Building: &s.building, Cursor: s.cursor(), Reset: reset}); err != nil {
		return err
	}
	nudge(c.wake)
	return nil
}

func (c *conn) viewer(building record.ID) (schema.Viewer, error) {
	if !c.id.Building.IsZero() && c.id.Building != building {
		return schema.Viewer{}, problem.New(problem.NotFound, "")
	}
	v, err := c.server.config.Source.Viewer(c.ctx, c.id.Person, building)
	if err == nil && !v.Active {
		err = problem.New(problem.Forbidden, "")
	}
	return v, err
}

func (c *conn) leave(s *subscription) {
	delete(c.subs, s.building)
	c.server.part(s.hub, c.wake)
}

// advance sends what has changed. Each subscription has its turn; where more is waiting
// the writer comes back, after commands and heartbeats.
func (c *conn) advance() error {
	for _, s := range c.subs {
		if s.hub.isRewound() {
			return &closing{websocket.CloseServiceRestart, "the store was set back: connect again"}
		}
		more, err := c.advanceOne(s)
		if err != nil {
			return err
		}
		if more {
			nudge(c.wake)
		}
	}
	return nil
}

func (c *conn) advanceOne(s *subscription) (more bool, err error) {
	messages, to, ok := s.hub.after(s.position)
	if !ok {
		batch, err := c.server.config.Source.Read(c.ctx, s.building, s.position)
		if errors.Is(err, ErrRewound) {
			return false, &closing{websocket.CloseServiceRestart, "the store was set back: connect again"}
		}
		if err != nil {
			return false, err
		}
		messages, to, more = messagesOf(batch), batch.To, true // the hub has the rest
	}
	sent := 0
	for i, m := range messages {
		if m.change.Key.Kind == "membership" && m.change.Key.ID == schema.MembershipID(s.building, c.id.Person) {
			if err := c.refresh(s); err != nil || c.subs[s.building] != s {
				return false, err
			}
		}
		if !c.server.config.Source.MayRead(s.viewer, m.change) {
			continue
		}
		text, err := c.text(s, messages[i:])
		if err != nil || c.subs[s.building] != s {
			return false, err
		}
		if text == nil {
			continue // it moved on, and comes again at its new place
		}
		if err := c.sendText(text); err != nil {
			return false, err
		}
		s.position, s.told = m.change.Position, m.change.Position
		sent++
	}
	s.position = max(s.position, to)
	if c.server.config.Metrics != nil {
		c.server.config.Metrics.Pushed(sent)
	}
	if err := c.sendLink(s); err != nil {
		return false, err
	}
	return more, c.sendEdges(s)
}

// text is the first message as it is sent. The first viewer who needs it has it made, and
// those that follow with it, for everybody.
func (c *conn) text(s *subscription, messages []*message) ([]byte, error) {
	if text := messages[0].encoded(); text != nil {
		return text, nil
	}
	views, err := c.server.config.Source.Views(c.ctx, c.id.Person, s.building, messages[0].change.Position-1)
	if p := problem.From(err); err != nil && p.Status() < 500 {
		return nil, c.refresh(s) // the rights ended meanwhile
	} else if err != nil {
		return nil, err
	}
	for _, m := range messages {
		v, ok := views[m.change.Position]
		if !ok || m.encoded() != nil {
			continue
		}
		if err := m.encode(s.hub.generation, v); err != nil {
			return nil, err
		}
	}
	return messages[0].encoded(), nil
}

// sendLink tells staff how the link to the cloud is.
func (c *conn) sendLink(s *subscription) error {
	text, n := s.hub.linkAfter(s.linkN)
	if s.linkN = n; text == nil || s.viewer.Role == schema.Tenant {
		return nil
	}
	return c.sendText(text)
}

// refresh reads the viewer's rights anew. Where they ended, so does the subscription, and
// with the last one the connection; where they changed, the client loads its lists anew.
func (c *conn) refresh(s *subscription) error {
	viewer, err := c.viewer(s.building)
	if p := problem.From(err); err != nil && p.Status() < 500 {
		c.leave(s)
		if err := c.send(problemAnswer(typeEnded, &s.building, err)); err != nil {
			return err
		}
		if len(c.subs) == 0 {
			return &closing{CloseForbidden, string(p.Code)}
		}
		return nil
	} else if err != nil {
		return err
	}
	changed := viewer.ViewHash() != s.viewer.ViewHash()
	s.viewer = viewer
	if !changed {
		return nil
	}
	return c.send(answer{Type: typeReset, Building: &s.building, Cursor: s.cursor()})
}

// isNetwork reports whether an error is of the connection and not of ours.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, websocket.ErrCloseSent)
}
