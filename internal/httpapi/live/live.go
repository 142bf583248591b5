// Package live pushes changes over WebSockets to those who may see them.
//
// For each building that somebody follows, one hub reads the feed once and keeps its last
// stretch; each connection takes from there what its viewer may see, at its own pace, from
// its own place. Nothing is queued for a slow client: it is behind, reads on from the hub
// or the store, and is cut off where it accepts nothing at all. A cursor lets a client
// continue where it was, at this process or another.
//
//	client                         server
//	subscribe building, cursor ->
//	                            <- subscribed (reset: the cursor was of no use, load anew)
//	                            <- change …   what the viewer may see, in feed order
//	                            <- position   how far that was, now and then
//	                            <- reset      the viewer's rights changed: load anew
//	                            <- sync       the link to the cloud changed, for staff
//	                            <- edge       a box of the building changed, for managers
//	                            <- ended      no right to the building any more
//
// The package must never send a record that the viewer may not read, and never decide
// rights itself: it asks its Source and its Config.
package live

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/auth"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// Subprotocol is what clients offer beside their token, and what the server selects.
const Subprotocol = "estate.v1"

// ErrRewound says that a feed ends before the place that was asked for: the store was set
// back, and every cursor with it.
var ErrRewound = errors.New("live: the feed ends before the cursor")

// Change is one record that changed.
type Change struct {
	Position uint64
	Key      record.Key
	Record   record.Record
	Parent   record.Record // the ticket of a child record
	Bytes    int           // of the record, to bound what is kept
}

// View is the form in which a change is sent.
type View struct {
	Ticket record.ID // zero where there is none
	Item   any       // as lists show it; nil for a record that is hidden now
}

// Batch is a stretch of a feed. It holds all records that changed after the place asked
// for, up to To.
type Batch struct {
	Changes []Change
	To      uint64
	More    bool
}

// Source is where changes come from.
type Source interface {
	// Generation names the run of the store that positions belong to.
	Generation() record.ID
	// Watch gives a channel that receives after each commit that moved the feed.
	Watch(building record.ID) (moved <-chan struct{}, stop func())
	// End is the feed's last position.
	End(ctx context.Context, building record.ID) (uint64, error)
	// Read reads what changed after a position; ErrRewound where the feed ends before it.
	Read(ctx context.Context, building record.ID, after uint64) (Batch, error)
	// Views gives changes after a position, as far as the person may see them, the form in
	// which anybody who may see them gets them. What moved on in the feed is left out.
	Views(ctx context.Context, person, building record.ID, after uint64) (map[uint64]View, error)
	// Viewer gives a person's rights in a building, or a problem where there are none.
	Viewer(ctx context.Context, person, building record.ID) (schema.Viewer, error)
	// MayRead reports whether the viewer may see a change.
	MayRead(v schema.Viewer, c Change) bool
	// WatchLink is Watch for the link's status; a nil channel where there is no link.
	WatchLink(building record.ID) (moved <-chan struct{}, stop func())
	// Link is the link's status as it is sent.
	Link(ctx context.Context, building record.ID) any
	// WatchEdges is Watch for the building's boxes; a nil channel where none are kept.
	WatchEdges(building record.ID) (moved <-chan struct{}, stop func())
	// Edges are the building's boxes as they are sent, by their ids.
	Edges(ctx context.Context, building record.ID) (map[record.ID]any, error)
}

// Config is what a Server works with. Every field but Origins and Metrics is required.
type Config struct {
	Source Source
	// Lives asks whether the session behind an identity still lives; it may be asked often.
	Lives func(ctx context.Context, id auth.Identity) error
	// Origins are sites whose pages may connect besides our own.
	Origins   []string
	Metrics   *obs.HTTPMetrics
	Sockets   int           // of one person
	WriteWait time.Duration // for one message
	Heartbeat time.Duration
	Log       *slog.Logger
	Now       func() time.Time
}

// Server serves WebSockets. It is safe for concurrent use.
type Server struct {
	config   Config
	upgrader websocket.Upgrader
	ctx      context.Context // of all hubs and connections; ended by Close
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	hubs    map[record.ID]*hub
	sockets map[record.ID]int
}

// handshakeWait is what a slow phone may take to switch protocols.
const handshakeWait = 10 * time.Second

// New builds a server. Close ends it.
func New(c Config) *Server {
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{config: c, ctx: ctx, stop: stop, hubs: map[record.ID]*hub{}, sockets: map[record.ID]int{}}
	s.upgrader = websocket.Upgrader{HandshakeTimeout: handshakeWait, Subprotocols: []string{Subprotocol}, CheckOrigin: s.ours,
		Error: func(http.ResponseWriter, *http.Request, int, error) {}}
	return s
}

// Close ends all connections and returns when none is left. New ones are refused.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.running.Wait()
}

// Serve upgrades a request whose identity auth.FromContext gives, and serves it until it
// ends. What is wrong with the request is returned before anything was written.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) error {
	id, ok := auth.FromContext(r.Context())
	switch {
	case !ok:
		return problem.New(problem.Unauthenticated, "")
	case !websocket.IsWebSocketUpgrade(r):
		return problem.New(problem.InvalidInput, "this address is a WebSocket")
	case !s.ours(r):
		return problem.New(problem.Forbidden, "this site may not connect")
	}
	if err := s.enter(id.Person); err != nil {
		return err
	}
	defer s.leave(id.Person)
	socket, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return problem.Wrap(problem.InvalidInput, err, "the WebSocket handshake failed")
	}
	if s.config.Metrics != nil {
		defer s.config.Metrics.Socket()()
	}
	newConn(s, socket, id, obs.RequestID(r.Context())).run()
	return nil
}

func (s *Server) enter(person record.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return problem.New(problem.Unavailable, "")
	}
	if s.sockets[person] >= s.config.Sockets {
		return problem.New(problem.RateLimited, "at most %d connections of one person", s.config.Sockets)
	}
	s.sockets[person]++
	s.running.Add(1)
	return nil
}

func (s *Server) leave(person record.ID) {
	s.mu.Lock()
	if s.sockets[person]--; s.sockets[person] == 0 {
		delete(s.sockets, person)
	}
	s.mu.Unlock()
	s.running.Done()
}

// join gives the hub of a building and adds a listener to it.
func (s *Server) join(building record.ID, wake chan struct{}) *hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.hubs[building]
	if h == nil {
		h = newHub(s, building)
		s.hubs[building] = h
		s.running.Add(1)
		go func() {
			defer s.running.Done()
			h.run()
		}()
	}
	h.listen(wake)
	return h
}

// part takes a listener out; the last one ends the hub.
func (s *Server) part(h *hub, wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.forget(wake) == 0 {
		h.stop()
		s.drop(h)
	}
}

// retire lets the next subscriber begin with a new hub.
func (s *Server) retire(h *hub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(h)
}

func (s *Server) drop(h *hub) {
	if s.hubs[h.building] == h {
		delete(s.hubs, h.building)
	}
}
