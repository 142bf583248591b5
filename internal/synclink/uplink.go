package synclink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"estate/internal/problem"
	"estate/sync/record"
	"estate/sync/replica"
)

// The pace of an uplink.
const (
	// BackoffFirst and BackoffMax bound the pause between attempts; each doubles the last
	// and is drawn from its upper half, so that a thousand edges do not return at once.
	BackoffFirst = 250 * time.Millisecond
	BackoffMax   = 30 * time.Second
	// PollEvery is how often an uplink without a WebSocket asks.
	PollEvery = 2 * time.Second
	// socketFailuresMax is after how many tries the POST lane is tried.
	socketFailuresMax = 3
	// socketAgainFirst and socketAgainMax bound how long the POST lane is kept before the
	// WebSocket is tried again. The very first time it is one exchange: what failed may have
	// been the network, which came back in the meantime.
	socketAgainFirst = 10 * time.Second
	socketAgainMax   = 5 * time.Minute
	// dialWait bounds a connection attempt; exchangeWait one whole POST.
	dialWait     = 15 * time.Second
	exchangeWait = 2 * time.Minute
	// writeBufferBytes is how much of a message leaves with one call of the kernel.
	writeBufferBytes = 64 << 10
	// problemBytesMax bounds what is read of a refusal.
	problemBytesMax = 64 << 10
)

// UplinkConfig is what an edge needs to hold its link to the cloud. Transport, Waiting,
// Changed, Codec and Hooks may be empty.
type UplinkConfig struct {
	Node     Node
	Watch    Watch
	Building record.ID
	// Peer is the cloud's node, known from enrolment.
	Peer replica.Peer
	// URL is the server's base address, http or https.
	URL string
	// Token gives a node session token for the next request.
	Token func(ctx context.Context) (string, error)
	// Transport carries both lanes; its TLS and proxy settings count. Nil means a clone of
	// the standard one.
	Transport *http.Transport
	Now       func() time.Time
	// Jitter gives random numbers in [0, 1).
	Jitter func() float64
	Log    *slog.Logger
	Hooks  Hooks
	// Waiting counts what the server has not acknowledged.
	Waiting func(ctx context.Context) (Waiting, error)
	// Changed is told each change of state; it must return at once.
	Changed func(Status)
	// Codec is shared with other links of this process; nil means one of its own.
	Codec *Codec
}

// Uplink holds one building's link to the tier above, for as long as it runs.
type Uplink struct {
	config   UplinkConfig
	base     *url.URL
	codec    *Codec
	client   *http.Client
	dialer   *websocket.Dialer
	kick     chan struct{}
	bytesIn  atomic.Uint64
	bytesOut atomic.Uint64
	fastFrom atomic.Int64 // fastLine
	mu       sync.Mutex
	status   Status
}

// NewUplink builds an uplink; Run makes it work.
func NewUplink(c UplinkConfig) (*Uplink, error) {
	if c.Node == nil || c.Watch == nil || c.Token == nil || c.Now == nil || c.Jitter == nil || c.Log == nil {
		return nil, errors.New("synclink: uplink configuration is not whole")
	}
	base, err := url.Parse(strings.TrimSuffix(c.URL, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("synclink: %q is not the address of a server", c.URL)
	}
	codec := c.Codec
	if codec == nil {
		if codec, err = NewCodec(); err != nil {
			return nil, err
		}
	}
	transport := c.Transport
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's own
	}
	u := &Uplink{config: c, base: base, codec: codec, kick: make(chan struct{}, 1),
		client: &http.Client{Transport: transport, Timeout: exchangeWait},
		dialer: &websocket.Dialer{Proxy: transport.Proxy, TLSClientConfig: transport.TLSClientConfig, NetDialContext: transport.DialContext, HandshakeTimeout: dialWait,
			WriteBufferSize: writeBufferBytes, WriteBufferPool: &codec.writes},
		status: Status{State: Offline, Since: c.Now(), Lane: LaneSocket},
	}
	u.fastFrom.Store(fastLine)
	return u, nil
}

// Kick ends a pause: the network is back, or somebody wants to see it happen now.
func (u *Uplink) Kick() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// Run keeps the link until ctx ends. It returns only then, with nothing of its own left
// running.
func (u *Uplink) Run(ctx context.Context) error {
	defer u.client.CloseIdleConnections()
	defer u.change(func(s *Status) { s.State = Offline })
	pace := backoff{jitter: u.config.Jitter}
	lanes := lanes{}
	for ctx.Err() == nil {
		u.change(func(s *Status) { s.State, s.Lane, s.Next = Connecting, lanes.lane(), time.Time{} })
		var end ending
		if lanes.lane() == LanePost {
			end = u.post(ctx, lanes.hold())
		} else {
			end = u.socket(ctx)
		}
		if ctx.Err() != nil {
			break
		}
		lanes.ended(end)
		if end.synced {
			pace.reset()
		}
		if lanes.again(end) {
			continue // the POST lane works; see whether the WebSocket does by now
		}
		wait := pace.next()
		u.failed(ctx, end, wait)
		u.pause(ctx, wait)
	}
	return nil
}

// lanes decides which way to try next: the WebSocket, and the POST after it failed a few
// times to get anywhere. A POST that fails too means that the network is down, not that it
// breaks WebSockets; and nothing is known of it where no connection was made at all.
type lanes struct {
	failures int
	tried    bool // the POST lane, since the WebSocket worked
	held     time.Duration
}

func (l *lanes) lane() Lane {
	if l.failures >= socketFailuresMax {
		return LanePost
	}
	return LaneSocket
}

// hold is how long to stay on the POST lane; zero is one exchange.
func (l *lanes) hold() time.Duration {
	if !l.tried {
		l.tried = true
		return 0
	}
	l.held = min(max(2*l.held, socketAgainFirst), socketAgainMax)
	return l.held
}

func (l *lanes) ended(end ending) {
	switch {
	case end.unreached:
	case l.lane() == LanePost && end.code == "" && end.streamed:
		l.failures = socketFailuresMax - 1 // one try of the WebSocket, then back
	case l.lane() == LanePost:
		*l = lanes{}
	case end.streamed:
		*l = lanes{}
	default:
		l.failures++
	}
}

// again reports that no pause is needed: a working POST lane gives way to one try.
func (l *lanes) again(end ending) bool {
	return l.failures == socketFailuresMax-1 && l.tried && end.streamed && end.code == "" && end.detail == ""
}

// backoff gives pauses that double, with jitter.
type backoff struct {
	jitter func() float64
	last   time.Duration
}

func (b *backoff) reset() { b.last = 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, BackoffFirst), BackoffMax)
	return b.last/2 + time.Duration(b.jitter()*float64(b.last/2))
}

func (u *Uplink) failed(ctx context.Context, end ending, wait time.Duration) {
	attempts := 0
	u.change(func(s *Status) {
		s.State, s.Code, s.Detail = Offline, end.code, end.detail
		s.Remedy = ""
		if end.code != "" {
			s.Remedy = remedy(end.code)
		}
		s.Attempts++
		attempts = s.Attempts
		s.Next = u.config.Now().Add(wait)
	})
	if attempts == 1 {
		// Once per change of state: the metric counts the rest.
		u.config.Log.WarnContext(ctx, "uplink lost", slog.String("building", u.config.Building.String()), slog.String("code", end.code), slog.String("detail", end.detail))
	}
}

// remedy finds what to do about a code of the protocol or of the API.
func remedy(code string) string {
	if r := problem.New(problem.Code(code), "").Remedy(); r != "" {
		return r
	}
	return replica.Remedy(code)
}

func (u *Uplink) pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-u.kick:
	case <-ctx.Done():
	}
}

// socket runs one WebSocket from dialling to its end.
func (u *Uplink) socket(ctx context.Context) ending {
	token, err := u.config.Token(ctx)
	if err != nil {
		return refusedBy(fmt.Errorf("get a session token: %w", err))
	}
	address := *u.base
	address.Scheme = strings.Replace(address.Scheme, "http", "ws", 1)
	dialling, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	var reached atomic.Bool
	dialler := *u.dialer
	dialler.NetDialContext = u.reaching(&reached)
	conn, response, err := dialler.DialContext(dialling, address.String()+PathSocket, http.Header{"Authorization": {"Bearer " + token}})
	if response != nil && response.Body != nil {
		defer func() { _ = response.Body.Close() }()
	}
	if err != nil {
		if response != nil {
			return refusedBy(readProblem(response))
		}
		return ending{detail: fmt.Sprintf("connect: %v", err), unreached: !reached.Load()}
	}
	start := u.config.Now()
	l := &line{node: u.config.Node, watch: u.config.Watch, building: u.config.Building, peer: u.config.Peer, codec: u.codec,
		hooks: u.hooks(), log: u.config.Log, now: u.config.Now, clock: u.config.Now, conn: conn,
		status: func(s replica.SessionStatus) { u.followSession(start, s) }, speed: speed{read: u.carried(conn), fastFrom: u.fastFrom.Load()}}
	u.config.Hooks.opened(u.config.Building, u.config.Peer.Node)
	end := l.run(ctx, nil)
	u.config.Hooks.closed(u.config.Building, u.config.Peer.Node, end.code)
	return end
}

// reaching dials as the uplink does and notes that somebody answered.
func (u *Uplink) reaching(reached *atomic.Bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	dial := u.dialer.NetDialContext
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			reached.Store(true)
		}
		return c, err
	}
}

// carried judges the line by what the kernel saw the other side take. Through a proxy that is
// the proxy's word, and the line behind it is unknown: nil.
func (u *Uplink) carried(conn *websocket.Conn) func() carried {
	if u.dialer.Proxy != nil {
		if proxy, err := u.dialer.Proxy(&http.Request{Method: http.MethodGet, URL: u.base}); err != nil || proxy != nil {
			return nil
		}
	}
	return func() carried { return carriedBy(conn.NetConn()) }
}

// followSession turns the session's state into the uplink's.
func (u *Uplink) followSession(start time.Time, s replica.SessionStatus) {
	at := func(ms int64) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	u.change(func(to *Status) {
		switch {
		case s.Synced:
			u.healthy(to)
		case s.Streaming:
			to.State = Syncing
		}
		if s.ReceiptAt > 0 {
			to.ReceiptAt = at(s.ReceiptAt)
		}
		if s.HeardAt > 0 {
			to.HeardAt = at(s.HeardAt)
		}
	})
}

func (u *Uplink) healthy(s *Status) {
	s.State, s.Attempts, s.Code, s.Detail, s.Remedy = Synced, 0, "", "", ""
}

// hooks counts bytes beside the owner's hooks.
func (u *Uplink) hooks() Hooks {
	h := u.config.Hooks
	h.FrameIn = func(n int) { u.bytesIn.Add(uint64(n)); u.config.Hooks.frameIn(n) }
	h.FrameOut = func(n int) { u.bytesOut.Add(uint64(n)); u.config.Hooks.frameOut(n) }
	return h
}
