// Package broker runs the edge's own MQTT 3.1.1 broker inside the edge process, so that
// sensors need nothing else installed in the building. A QoS 1 message is acknowledged to
// its publisher only once it is on disk. The package decides who may log in and which
// topics a login reaches; it must never interpret a payload, and it must never let a
// device in before the edge's own persistent session exists, because the broker
// acknowledges and drops what nobody subscribes to.
package broker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"estate/internal/problem"
)

const (
	// payloadBytesMax lets a large Zigbee2MQTT device list through; smaller caps per topic
	// are enforced where payloads are decoded.
	payloadBytesMax = 8 << 20
	// storeBytesMaxDefault bounds what sensors can fill the disk with while the edge
	// cannot store; past it the broker stops acknowledging and sensors keep their own.
	storeBytesMaxDefault = 1 << 30
	// memoryBytesMax is small: everything of ours is stored on disk.
	memoryBytesMax = 16 << 20
	// connectionsMax is far above the devices of one building and below the file limit: each is
	// three open files, its own and both ends of the one to the server inside.
	connectionsMax = 2000
	// ownConnectionsMax are those of the edge itself.
	ownConnectionsMax = 16
	// readyTimeout covers recovery of a full store on a slow card.
	readyTimeout = 30 * time.Second
	// readySlice is how often a start looks whether the server gave up instead.
	readySlice = 50 * time.Millisecond
	// ackWait is how long the broker waits for our acknowledgement before it sends again,
	// also after a crash: a leak that was under way then is this much late.
	ackWait = 5 * time.Second
	// unacknowledgedMax is how many messages the broker sends us without waiting for our
	// acknowledgement: two of the largest batches that the edge stores at once.
	unacknowledgedMax = 4096
	// storeWait is what a message gets to be synced to the disk. Beyond it the broker cuts its
	// sender off, who sends again all that was not acknowledged: with the usual 5 s fifty senders
	// of a hundred messages each are cut off again and again on a disk that takes 800 in a second.
	storeWait = 30 * time.Second
)

// Config says where the broker listens, where it stores, and who may log in.
type Config struct {
	// Addr is host:port; port 0 picks a free one.
	Addr string
	// StoreDir is the broker's own folder under the edge's data folder.
	StoreDir string
	// StoreBytesMax bounds the store; zero means 1 GiB.
	StoreBytesMax int64
	// Authenticate decides each login of a device or gateway. It is called at every
	// connect, so adding and removing devices needs no restart.
	Authenticate func(ctx context.Context, login Login) (Grant, bool)
	// OnViolation is told of logins, publishes and subscriptions that were refused, and of the
	// like. May be nil. It must not block: it is called from the connection's goroutine.
	OnViolation func(Violation)
	// Now is the clock, used to name a store folder that was moved aside.
	Now func() time.Time
}

// Broker is a running embedded MQTT broker.
type Broker struct {
	srv       atomic.Pointer[server.Server] // nil while it is down
	log       *slog.Logger
	cfg       Config
	internal  Login
	inner     string // address of the server inside, which listens for this machine alone
	admit     atomic.Bool
	grants    sync.Map // client id → Grant of its latest login
	movedTo   string
	failed    chan struct{} // the store failed: to be mended
	takeovers takeovers
	// fronts counts the connections that were let in.
	fronts  atomic.Int64
	window  *window
	remotes remotes
	serving sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener       // of plain MQTT; nil while its address is another's
	end      context.CancelFunc // of what serves it
	addr     string             // of the listener
	trouble  Trouble
	watch    *logger // of srv
}

// ErrListen says that the address could not be listened on; the store was not touched.
var ErrListen = errors.New("mqtt broker cannot listen")

// Start runs the broker and returns when it accepts connections. A store that cannot be
// opened is moved aside and the broker starts empty: a building whose sensors are heard
// without history is better off than one whose sensors are not heard. On a full disk the
// store is left as it is, and Mend starts it once there is room; so it is with an address that
// somebody else listens on.
func Start(cfg Config, log *slog.Logger) (*Broker, error) {
	if cfg.Authenticate == nil || cfg.Now == nil || cfg.StoreDir == "" {
		return nil, errors.New("start mqtt broker: Authenticate, Now and StoreDir are required")
	}
	if cfg.StoreBytesMax == 0 {
		cfg.StoreBytesMax = storeBytesMaxDefault
	}
	if _, _, err := splitAddr(cfg.Addr); err != nil {
		return nil, fmt.Errorf("start mqtt broker: address %q: %w", cfg.Addr, err)
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make the internal broker password: %w", err)
	}
	inner, err := freeAddr()
	if err != nil {
		return nil, fmt.Errorf("find a port for the mqtt broker inside: %w", err)
	}
	b := &Broker{log: log, cfg: cfg, addr: cfg.Addr, inner: inner, failed: make(chan struct{}, 1), window: newWindow(windowSize, windowStall),
		internal: Login{Username: internalUser, Password: hex.EncodeToString(secret)}}
	err = b.open()
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, ErrListen):
		log.Error("mqtt broker cannot listen: it tries again", "address", cfg.Addr, "cause", err)
		b.failAs(problem.MQTTListen, err.Error())
		return b, nil
	}
	if full := room(cfg.StoreDir); full != nil {
		log.Error("mqtt broker cannot start: it waits for room", "cause", err, "room", full)
		b.fail(full.Error())
		return b, nil
	}
	if err := b.openEmpty(err); err != nil {
		b.Close()
		return nil, fmt.Errorf("start mqtt broker: %w", err)
	}
	return b, nil
}

// openEmpty moves a store aside that cannot be opened, and starts with none.
func (b *Broker) openEmpty(cause error) error {
	aside, err := moveAside(b.cfg.StoreDir, b.cfg.Now())
	if err != nil {
		return fmt.Errorf("%w; move its store aside: %w", cause, err)
	}
	b.log.Error("mqtt broker store cannot be opened: moved aside, starting empty",
		"cause", cause, "store", b.cfg.StoreDir, "moved_to", aside)
	if err := b.open(); err != nil {
		return fmt.Errorf("with an empty store: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.movedTo = aside
	return nil
}

// open listens, where it does not yet, and starts a server on the store, at the address of the one
// before.
func (b *Broker) open() error {
	if err := b.listen(); err != nil {
		return err
	}
	host, port, err := splitAddr(b.inner)
	if err != nil {
		return err
	}
	srv, err := server.NewServer(options(b.cfg, host, port, b))
	if err != nil {
		return fmt.Errorf("configure the mqtt broker: %w", err)
	}
	watch := &logger{log: b.log, refuse: b.refuse, failed: b.fail}
	srv.SetLoggerV2(watch, false, false, false)
	b.mu.Lock()
	b.watch = watch
	b.mu.Unlock()
	b.srv.Store(srv)
	go srv.Start()
	if err := b.awaitReady(srv, watch); err != nil {
		b.shut()
		return err
	}
	if err := b.selfCheck(); err != nil {
		b.shut()
		return fmt.Errorf("check the mqtt broker with a message of our own: %w", err)
	}
	if recovery := watch.recoveryTrouble(); recovery != "" {
		b.shut()
		return fmt.Errorf("recover the mqtt store: %s", recovery)
	}
	return nil
}

func options(cfg Config, host string, port int, auth server.Authentication) *server.Options {
	return &server.Options{
		ServerName: "estate-edge",
		DontListen: true, // only the MQTT listener; no port for the broker's own protocol
		NoSigs:     true, // signals belong to the edge's main
		MaxPayload: payloadBytesMax,
		// Who publishes faster than another takes it is held up at three quarters of this, and
		// beyond it the other is cut off. With half of it the edge itself was, once, in a flood.
		MaxPending: 8 * payloadBytesMax,
		MaxConn:    connectionsMax + ownConnectionsMax,

		JetStream:          true,
		JetStreamMaxMemory: memoryBytesMax,
		JetStreamMaxStore:  cfg.StoreBytesMax,
		StoreDir:           cfg.StoreDir,
		// An acknowledged message must survive kill -9 and power loss.
		SyncAlways:             true,
		DisableJetStreamBanner: true,

		CustomClientAuthentication: auth,
		MQTT:                       server.MQTTOpts{Host: host, Port: port, AckWait: ackWait, MaxAckPending: unacknowledgedMax, JSAPITimeout: storeWait},
	}
}

// awaitReady waits for the listener and the store, and tells a port that is taken from a
// store that cannot be opened.
func (b *Broker) awaitReady(srv *server.Server, watch *logger) error {
	ready := false
	for n := readyTimeout / readySlice; n > 0 && !ready && watch.fatalReason() == ""; n-- {
		ready = srv.ReadyForConnections(readySlice)
	}
	reason := watch.fatalReason()
	switch {
	case isListenFailure(reason):
		return fmt.Errorf("%w: %s", ErrListen, reason)
	case reason != "":
		return fmt.Errorf("mqtt broker: %s", reason)
	case !ready || !srv.JetStreamEnabled():
		return fmt.Errorf("mqtt broker not ready after %s", readyTimeout)
	}
	return nil
}

// Addr is the address that devices connect to, with the port that was chosen.
func (b *Broker) Addr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.addr
}

// URL is the address for the edge itself, which nothing holds back. It stays the same.
func (b *Broker) URL() string { return "tcp://" + b.inner }

// Internal is the login of the edge's own ingest: full rights, and a password that is
// random at each start and never leaves the process. Any client id may use it.
func (b *Broker) Internal() Login { return b.internal }

// StoreMovedTo is the folder that a broken store was moved to since this start, or "".
func (b *Broker) StoreMovedTo() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.movedTo
}

// Ready says whether the broker runs and lets devices in.
func (b *Broker) Ready() bool {
	srv := b.srv.Load()
	return b.admit.Load() && srv != nil && srv.Running() && srv.JetStreamEnabled()
}

// Admit lets devices and gateways log in. Call it once the edge's own persistent session
// has subscribed: before that, what a device publishes would be acknowledged and dropped.
func (b *Broker) Admit() { b.admit.Store(true) }

// Disconnect ends the live connection of a client id, for a device that was removed.
func (b *Broker) Disconnect(clientID string) error {
	b.grants.Delete(clientID)
	srv := b.srv.Load()
	if srv == nil {
		return nil // nobody is connected
	}
	conns, err := srv.Connz(&server.ConnzOptions{MQTTClient: clientID})
	if err != nil {
		return fmt.Errorf("find mqtt client %q: %w", clientID, err)
	}
	for _, c := range conns.Conns {
		if err := srv.DisconnectClientByID(c.Cid); err != nil {
			return fmt.Errorf("disconnect mqtt client %q: %w", clientID, err)
		}
	}
	return nil
}

// Close stops the broker and waits until its store is closed. Mend must have returned.
func (b *Broker) Close() {
	b.mu.Lock()
	l, end := b.listener, b.end
	b.mu.Unlock()
	if l != nil {
		_ = l.Close()
	}
	b.shut() // before its connections: it knows then that devices did not leave by themselves
	if end != nil {
		end()
	}
	b.serving.Wait()
}

func (b *Broker) shut() {
	b.admit.Store(false)
	b.mu.Lock()
	watch := b.watch
	b.mu.Unlock()
	if watch != nil {
		watch.retire()
	}
	if srv := b.srv.Swap(nil); srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

func splitAddr(addr string) (string, int, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q: %w", portText, err)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, int(port), nil
}
