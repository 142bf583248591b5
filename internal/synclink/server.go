package synclink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/auth"
	"estate/internal/obs"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// ServerConfig is what a server side needs. Every field but Revoked, Phones and Hooks is
// required.
type ServerConfig struct {
	Node  Node
	Watch Watch
	// Authenticate says which node a request comes from and for which building; its error
	// may be a problem.Problem, which the caller is told.
	Authenticate func(r *http.Request) (peer replica.Peer, building record.ID, err error)
	// Revoked is asked every RecheckEvery (ten seconds where it is zero) about each
	// connected node; an error with a code of its own ends the line with it.
	Revoked      func(ctx context.Context, building, node record.ID) error
	RecheckEvery time.Duration
	// Phones serves phones; nil serves none.
	Phones *Phones
	Now    func() time.Time
	// Clock is the node's time, which lower tiers follow (SPEC R16); nil means Now.
	Clock func() time.Time
	Log   *slog.Logger
	Hooks Hooks
}

// Server answers nodes and phones. It is safe for concurrent use.
type Server struct {
	config   ServerConfig
	codec    *Codec
	upgrader websocket.Upgrader
	outage   auth.Outage
	turns    turns
	hands    hands
	fastFrom atomic.Int64 // fastLine

	mu      sync.Mutex
	lines   map[lineKey]*live
	closed  bool
	running sync.WaitGroup
}

type lineKey struct{ building, node record.ID }

// live is one open line, with what ends it.
type live struct {
	stop   chan replica.Stopped
	cancel context.CancelFunc
}

// NewServer builds a server.
func NewServer(c ServerConfig) (*Server, error) {
	if c.Node == nil || c.Watch == nil || c.Authenticate == nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("synclink: server configuration is not whole")
	}
	if c.RecheckEvery <= 0 {
		c.RecheckEvery = recheckEvery
	}
	if c.Clock == nil {
		c.Clock = c.Now
	}
	codec, err := NewCodec()
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, codec: codec, turns: newTurns(turnsAtOnce), hands: newHands(), lines: map[lineKey]*live{}, upgrader: websocket.Upgrader{
		HandshakeTimeout: writeWait, WriteBufferPool: &sync.Pool{}, // an idle line holds none
		ReadBufferSize: idleReadBytes,
		// Nodes are no browsers: a request with an Origin header is a page's.
		CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "" },
	}}
	s.fastFrom.Store(fastLine)
	return s, nil
}

// Socket serves PathSocket.
func (s *Server) Socket() http.Handler { return http.HandlerFunc(s.serveSocket) }

// Exchange serves PathExchange.
func (s *Server) Exchange() http.Handler { return http.HandlerFunc(s.serveExchange) }

// Revoke ends a node's lines of all buildings at once.
func (s *Server) Revoke(node record.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, l := range s.lines {
		if k.node == node {
			l.end(replica.Stopped{Code: wire.CodeNodeRevoked, Detail: "revoked by an admin"})
		}
	}
}

// Connected reports whether a node has a WebSocket open here.
func (s *Server) Connected(building, node record.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.lines[lineKey{building, node}]
	return ok
}

// Close ends all lines and returns when none is left. New ones are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.lines {
		l.cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// end asks the line to say goodbye; a second reason is not needed.
func (l *live) end(why replica.Stopped) {
	select {
	case l.stop <- why:
	default:
	}
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	peer, building, err := s.config.Authenticate(r)
	if err != nil {
		s.outage.Refuse(w, r, err, s.config.Log)
		return
	}
	s.outage.Over(r.Context(), s.config.Log)
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	// The request's own context would keep its answer and both its buffers.
	ctx, cancel := context.WithCancel(obs.WithRequestID(context.Background(), obs.RequestID(r.Context())))
	own := &live{stop: make(chan replica.Stopped, 1), cancel: cancel}
	key := lineKey{building, peer.Node}
	if !s.enter(key, own) {
		cancel()
		_ = conn.Close() // shutting down: the edge tries another process
		return
	}
	// The request is over: what it took is free while the line lives, for days perhaps.
	go s.serveLine(ctx, key, own, conn, peer, forwarded(r))
}

// forwarded reports whether a proxy says that it stands between: what the kernel knows of a
// connection is the proxy's word then, and the line behind it is unknown.
func forwarded(r *http.Request) bool {
	return slices.ContainsFunc([]string{"Forwarded", "Via", "X-Forwarded-For", "X-Real-Ip"}, func(name string) bool { return r.Header.Get(name) != "" })
}

// serveLine runs a line to its end.
func (s *Server) serveLine(ctx context.Context, key lineKey, own *live, conn *websocket.Conn, peer replica.Peer, forwarded bool) {
	defer own.cancel()
	defer s.leave(key, own)
	building := key.building
	l := &line{node: s.config.Node, watch: s.config.Watch, building: building, peer: peer, codec: s.codec, hooks: s.config.Hooks, log: s.config.Log, now: s.config.Now, clock: s.config.Clock, conn: conn, turns: s.turns, hands: s.hands}
	if s.config.Revoked != nil {
		l.recheckEvery = s.config.RecheckEvery
		l.recheck = func(ctx context.Context) error { return s.config.Revoked(ctx, building, peer.Node) }
	}
	l.speed.fastFrom = s.fastFrom.Load()
	if !forwarded {
		l.speed.read = func() carried { return carriedBy(conn.NetConn()) }
	}
	s.config.Hooks.opened(building, peer.Node)
	end := l.run(ctx, own.stop)
	s.config.Hooks.closed(building, peer.Node, end.code)
	s.config.Log.InfoContext(ctx, "link closed", slog.String("building", building.String()), slog.String("peer", peer.Node.String()), slog.String("code", end.code), slog.String("detail", end.detail))
}

// enter registers a line. An older one of the same node is a leftover of a broken network
// and makes room.
func (s *Server) enter(key lineKey, own *live) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if old := s.lines[key]; old != nil {
		old.cancel()
	}
	s.lines[key] = own
	s.running.Add(1)
	return true
}

func (s *Server) leave(key lineKey, own *live) {
	s.mu.Lock()
	if s.lines[key] == own {
		delete(s.lines, key)
	}
	s.mu.Unlock()
	s.running.Done()
}

// deadlines bounds how long one POST may take to arrive and to be answered.
func (s *Server) deadlines(w http.ResponseWriter) error {
	c := http.NewResponseController(w)
	if err := c.SetReadDeadline(s.config.Now().Add(readWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set read deadline: %w", err)
	}
	if err := c.SetWriteDeadline(s.config.Now().Add(readWait + writeWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	return nil
}
