package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	connectTimeout   = 10 * time.Second
	subscribeTimeout = 10 * time.Second
	keepAlive        = 30 * time.Second
	writeTimeout     = 10 * time.Second
	// disconnectMillis lets acknowledgements that are under way leave at a shutdown.
	disconnectMillis = 250
)

// Link says how to reach the broker.
type Link struct {
	URL                string // tcp://, ssl://, ws:// or wss://host:port
	Username, Password string
	TLS                *tls.Config
	// Others says that the broker is not ours: what it drops is its own count to tell.
	Others bool
	Will   Will
	// RetryMin and RetryMax bound the wait between attempts; 1 s and 60 s where zero.
	RetryMin, RetryMax time.Duration
}

// Outgoing is a message to send.
type Outgoing struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
	// Until is when it is too late to send it; zero for never. Whoever waits for a broker that is
	// away may have given up, but what they gave waits on.
	Until time.Time
}

type outgoing struct {
	Outgoing
	// done, where it is not nil, receives once what became of it.
	done chan error
}

// Will is what the broker says when this connection is gone without a goodbye, and Birth what
// is said on each new one. Both are kept by the broker.
type Will struct{ Topic, Birth, Death string }

// link keeps a persistent session with the broker. It never blocks the MQTT client's
// handler: what finds no room is left unacknowledged and asked for again.
type link struct {
	cfg      Link
	clientID string
	filters  map[string]byte
	log      *slog.Logger
	now      func() time.Time
	onReady  func()

	queue   *queue
	leftOut atomic.Bool   // QoS 1 messages found no room
	again   chan struct{} // there is room again: reconnect so that they come again
	out     chan outgoing
	// connected and asked each hold at most one token.
	connected, asked chan struct{}

	mu         sync.Mutex
	blindSince time.Time
	lastErr    string
	lastBlind  Period
	left       Period // when messages were left out
}

func newLink(cfg Link, clientID string, filters []string, now func() time.Time, onReady func(), onTaken func(int), log *slog.Logger) *link {
	if cfg.RetryMin == 0 {
		cfg.RetryMin = time.Second
	}
	if cfg.RetryMax == 0 {
		cfg.RetryMax = time.Minute
	}
	l := &link{cfg: cfg, clientID: clientID, filters: map[string]byte{}, log: log, now: now, onReady: onReady,
		queue: newQueue(onTaken), again: make(chan struct{}, 1), out: make(chan outgoing, 64), connected: make(chan struct{}, 1), asked: make(chan struct{}, 1),
		blindSince: now()}
	for _, f := range filters {
		l.filters[f] = 1
	}
	return l
}

// run connects, and connects again, until ctx ends.
func (l *link) run(ctx context.Context) {
	wait := l.cfg.RetryMin
	for ctx.Err() == nil {
		subscribed, err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if subscribed {
			wait = l.cfg.RetryMin
		}
		l.lost(err)
		// Full jitter above half, so that a building's clients do not return together.
		pause := time.NewTimer(wait/2 + rand.N(wait/2+1)) //nolint:gosec // spreading load needs no secrecy
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
		wait = min(2*wait, l.cfg.RetryMax)
	}
}

// session is one connection from dial to loss.
func (l *link) session(ctx context.Context) (subscribed bool, err error) {
	lost := make(chan error, 1)
	ready := make(chan error, 1)
	client := mqtt.NewClient(l.options(ctx, lost, ready))
	defer client.Disconnect(disconnectMillis)
	ended := make(chan struct{})
	defer close(ended)
	if err := settle(ctx, client.Connect(), connectTimeout, "connect"); err != nil {
		return false, err
	}
	for {
		select {
		case <-ctx.Done():
			return subscribed, nil
		case err := <-lost:
			return subscribed, fmt.Errorf("connection lost: %w", err)
		case err := <-ready:
			if err != nil {
				return subscribed, err
			}
			subscribed = true
			if w := l.cfg.Will; w.Topic != "" {
				client.Publish(w.Topic, 1, true, w.Birth)
			}
			l.found()
			offer(l.connected)
		case <-l.again:
			return subscribed, errors.New("messages were left out for want of room: asking for them again")
		case o := <-l.out:
			if !o.Until.IsZero() && !l.now().Before(o.Until) {
				if o.done != nil {
					o.done <- errLate
				}
				continue
			}
			token := client.Publish(o.Topic, o.QoS, o.Retained, o.Payload)
			if o.done != nil {
				go func() {
					select {
					case <-token.Done():
						o.done <- token.Error()
					case <-ended:
						o.done <- errBlind
					}
				}()
			}
		}
	}
}

func (l *link) options(ctx context.Context, lost, ready chan error) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().AddBroker(l.cfg.URL).SetClientID(l.clientID).
		SetUsername(l.cfg.Username).SetPassword(l.cfg.Password).
		SetCleanSession(false).SetProtocolVersion(4).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetConnectTimeout(connectTimeout).SetKeepAlive(keepAlive).SetWriteTimeout(writeTimeout).
		SetCustomOpenConnectionFn(l.dial(ctx)).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err }).
		// Subscribing anywhere else misses what a broker forgot in its own restart.
		SetOnConnectHandler(func(c mqtt.Client) { ready <- l.subscribe(c) })
	if w := l.cfg.Will; w.Topic != "" {
		o.SetWill(w.Topic, w.Death, 1, true)
	}
	if l.cfg.TLS != nil {
		o.SetTLSConfig(l.cfg.TLS)
	}
	return o
}

func (l *link) subscribe(c mqtt.Client) error {
	token := c.SubscribeMultiple(l.filters, nil)
	if !token.WaitTimeout(subscribeTimeout) {
		return fmt.Errorf("subscribe: no answer within %s", subscribeTimeout)
	}
	if err := token.Error(); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if t, ok := token.(*mqtt.SubscribeToken); ok {
		for filter, code := range t.Result() {
			if code > 2 {
				return fmt.Errorf("the broker refused the subscription to %s", filter)
			}
		}
	}
	l.watchDrops(c)
	return nil
}

// offer puts a message into the queue or leaves it out; it never waits.
func (l *link) offer(m message) {
	if l.queue.put(m) {
		return
	}
	l.mu.Lock()
	l.left.To = m.arrival
	if l.left.From.IsZero() {
		l.left.From = m.arrival
	}
	l.mu.Unlock()
	if m.qos > 0 {
		l.leftOut.Store(true)
		if l.queue.waits() == 0 && l.leftOut.Swap(false) { // what it waited for ended meanwhile
			offer(l.again)
		}
	}
}

// stored acknowledges messages that are on the disk. Those that found no room are asked for
// again once nothing waits: the acknowledgements of the others must not be lost with the
// connection.
func (l *link) stored(messages []message) {
	acknowledge(messages)
	if l.queue.stored(messages) && l.leftOut.Swap(false) {
		offer(l.again)
	}
}

// send publishes when there is a connection, and forgets the message where there is not:
// it is advice to a device.
func (l *link) send(topic string, payload []byte) {
	select {
	case l.out <- outgoing{Outgoing: Outgoing{Topic: topic, Payload: payload}}:
	default:
	}
}

// errLate says that a message waited for the broker until it was too late to send it.
var errLate = errors.New("the broker was away for too long")

// errBlind says that the broker went away before it acknowledged a message.
var errBlind = errors.New("the broker is away")

// publish returns when the broker has acknowledged a message, at QoS 0 when it was sent.
func (l *link) publish(ctx context.Context, m Outgoing) error {
	o := outgoing{m, make(chan error, 1)}
	select {
	case l.out <- o:
	case <-ctx.Done():
		return fmt.Errorf("publish to %s: %w: %w", m.Topic, errBlind, ctx.Err())
	}
	select {
	case err := <-o.done:
		if err != nil {
			return fmt.Errorf("publish to %s: %w", m.Topic, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publish to %s: %w", m.Topic, ctx.Err())
	}
}

// offer puts a token into a channel that has none.
func offer(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (l *link) found() {
	l.mu.Lock()
	since, now := l.blindSince, l.now()
	l.blindSince, l.lastErr, l.lastBlind = time.Time{}, "", Period{since, now}
	l.mu.Unlock()
	l.log.Info("listening to devices", "broker", redacted(l.cfg.URL), "blind_since", since, "blind_for", now.Sub(since).Round(time.Millisecond))
	if l.onReady != nil {
		l.onReady()
	}
}

func (l *link) lost(err error) {
	text := "connection ended"
	if err != nil {
		text = err.Error()
	}
	l.mu.Lock()
	first := l.blindSince.IsZero() || l.lastErr == ""
	if l.blindSince.IsZero() {
		l.blindSince = l.now()
	}
	l.lastErr = text
	l.mu.Unlock()
	if first { // once per change of state, not once per attempt
		l.log.Warn("devices cannot be heard", "broker", redacted(l.cfg.URL), "cause", text)
	}
}

func (l *link) blind() (since time.Time, cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blindSince, l.lastErr
}

// last is when devices were not heard the last time before now.
func (l *link) last() Period {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastBlind
}

// droppedAt is when messages were left out for want of room.
func (l *link) droppedAt() Period {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.left
}

func redacted(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable address)"
	}
	return u.Redacted()
}

func settle(ctx context.Context, t mqtt.Token, limit time.Duration, what string) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.Done():
		if err := t.Error(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	case <-timeout.C:
		return fmt.Errorf("%s: no answer within %s", what, limit)
	}
}
