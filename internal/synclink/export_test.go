package synclink

import (
	"bytes"
	"time"

	"github.com/gorilla/websocket"

	"estate/sync/wire"
)

// LimitTurns has a server bring so many lines into step at once, and ping those that wait
// this often.
func (s *Server) LimitTurns(atOnce int, ping time.Duration) {
	s.turns = newTurns(atOnce)
	s.turns.ping = ping
}

// FastFrom has the next lines of both sides count as fast from so many bytes a second.
func FastFrom(u *Uplink, s *Server, rate int64) {
	u.fastFrom.Store(rate)
	s.fastFrom.Store(rate)
}

// FastLine is what counts as fast.
const FastLine = fastLine

// TakeTurn takes a turn as a line does, until it is given back.
func (s *Server) TakeTurn() (giveBack func()) {
	s.turns.taken <- struct{}{}
	return func() { <-s.turns.taken }
}

// TurnsTaken counts the lines that have a turn.
func (s *Server) TurnsTaken() int { return len(s.turns.taken) }

// ReadMessages reads frames one after the other, as a line does.
func ReadMessages(c *Codec, frames ...[]byte) ([]wire.Message, error) {
	l := &line{codec: c}
	var out []wire.Message
	for _, frame := range frames {
		m, err := l.readMessage(websocket.BinaryMessage, bytes.NewReader(frame))
		if err != nil {
			return out, err
		}
		out = append(out, m)
	}
	return out, nil
}
