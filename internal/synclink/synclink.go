// Package synclink carries the replication protocol over HTTP: a WebSocket between an edge
// and the cloud, and the same exchange as a plain POST for networks that break WebSockets
// and for phones. It performs what replica.Session decides.
//
// It must never decide what merges, who may see what, or who a caller is: it calls the
// node, and the callbacks that its owner gives it. It must never buffer without a bound.
package synclink

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// The paths that servers mount and nodes call.
const (
	PathSocket   = "/sync/ws"
	PathExchange = "/sync/exchange"
	// ContentType marks a body of length-prefixed frames.
	ContentType = "application/vnd.estate.frames"
)

// Limits of a link.
const (
	// bodyBytesMax bounds one POST in either direction: two full frames and a few small
	// ones; senders aim at bodyBytesGoal.
	bodyBytesMax  = 12 << 20
	bodyBytesGoal = 4 << 20
	bodyFramesMax = 4096
	// compressOver is where zstd begins to pay.
	compressOver = 1 << 10
	// readWait is longer than the session's own limit for silence, which ends it with a
	// reason; writeWait is what a slow reader has to take one frame.
	readWait  = time.Minute
	writeWait = 30 * time.Second
	// closeWait is what a goodbye may take.
	closeWait = 2 * time.Second
	tickEvery = time.Second
	// pagesInFlight is two transactions of the receiver's: while it applies as many pages as it
	// takes at once, as many wait for it, and it never waits for the line.
	pagesInFlight = 8
	// outMessagesMax bounds what waits for a slow reader. Pages are bounded by credits;
	// this bounds the small answers that a peer can provoke.
	outMessagesMax = 8192
	// recheckEvery is how long a revoked node may stay connected where no signal arrives.
	recheckEvery = 10 * time.Second
	// idleReadBytes is what a line keeps to read with: a heartbeat and a frame's head. A
	// page is read past it.
	idleReadBytes = 512
	// smallBytes is more than all messages take but those that carry records.
	smallBytes = 4 << 10
)

// Node is what a link needs of replica.Node.
type Node interface {
	ID() record.ID
	Hello(ctx context.Context, building record.ID, peer replica.Peer) (wire.Hello, error)
	Greet(ctx context.Context, building record.ID, peer replica.Peer, h wire.Hello) (replica.Greeting, error)
	ReadPage(ctx context.Context, building record.ID, after, until uint64, held map[record.ReplicaID]uint64, skip func(position uint64) bool) (wire.Page, error)
	ReadEvents(ctx context.Context, building record.ID, w wire.Want) (wire.Page, error)
	ReadDigest(ctx context.Context, building, reader record.ID, after uint64, held map[record.ReplicaID]uint64, skip func(position uint64) bool) (replica.Stretch, error)
	CheckDigest(ctx context.Context, building record.ID, peer replica.Peer, sender record.ID, d wire.Digest) (replica.Checked, error)
	ApplyContent(ctx context.Context, building record.ID, peer replica.Peer, p wire.Page, content *replica.Content, decided func()) (replica.Applied, error)
	ApplyAck(ctx context.Context, building record.ID, peer replica.Peer, a wire.Ack) error
	FollowClock(ctx context.Context, building record.ID, peer replica.Peer, upperMillis int64) error
}

// PhoneNode is what serving phones needs of replica.Node.
type PhoneNode interface {
	ApplyPush(ctx context.Context, building record.ID, peer replica.Peer, admit replica.Admit, p wire.Push) (wire.Pushed, error)
	ApplyReturn(ctx context.Context, building record.ID, peer replica.Peer, v replica.View, in wire.Returned) (replica.Return, error)
	ReadView(ctx context.Context, building record.ID, v replica.View, pull wire.Pull) (wire.Page, error)
}

var (
	_ Node      = (*replica.Node)(nil)
	_ PhoneNode = (*replica.Node)(nil)
)

// Watch follows the commits of a building's feed, as replica.Store.Watch does.
type Watch func(building record.ID) (moved <-chan struct{}, stop func())

// Phones is how a server knows the persons behind phones. Every error may be a
// problem.Problem, which the phone is told.
type Phones struct {
	Node PhoneNode
	// Person says whose access token a request bears.
	Person func(r *http.Request) (record.ID, error)
	// Rights says what the person may write and see in a building, as known now.
	Rights func(ctx context.Context, building, person record.ID) (replica.Admit, replica.View, error)
	// Bind ties a phone's node to the person who first uses it, and refuses one that is
	// another's. The key is nil where this push carries no card; then the node must be
	// bound already.
	Bind func(ctx context.Context, building, person, node record.ID, public ed25519.PublicKey) error
	// Limit bounds the exchanges of one person; nil for no bound. See NewPhoneLimit.
	Limit *auth.Limiter
}

// A person's phones may exchange this often: a first pull of a large building is some
// hundred pages at once, and no person taps faster after that.
const (
	phoneEvery   = 50 * time.Millisecond
	phoneBurst   = 1000
	phoneKeysMax = 100_000
)

// NewPhoneLimit is the bound that servers use.
func NewPhoneLimit(now func() time.Time) *auth.Limiter {
	return auth.NewLimiter(phoneEvery, phoneBurst, phoneKeysMax, now)
}

// Hooks are told what happens, for metrics and alarms. Each may be nil; they must return
// at once and be safe for concurrent use.
type Hooks struct {
	FrameIn  func(bytes int)
	FrameOut func(bytes int)
	// Opened and Closed bracket each WebSocket; the code is empty for a plain end.
	Opened func(building, node record.ID)
	Closed func(building, node record.ID, code string)
	// Greeted is told which run of a peer opened a session.
	Greeted func(building, node, generation record.ID)
	// Alarm is for what an operator must see: chain_fork, store_rewound, …
	Alarm func(building, node record.ID, code string)
	// Returned says how many records a phone brought back that this store had lost.
	Returned func(building, person record.ID, restored int)
}

func (h Hooks) frameIn(n int) {
	if h.FrameIn != nil {
		h.FrameIn(n)
	}
}

func (h Hooks) frameOut(n int) {
	if h.FrameOut != nil {
		h.FrameOut(n)
	}
}

func (h Hooks) opened(building, node record.ID) {
	if h.Opened != nil {
		h.Opened(building, node)
	}
}

func (h Hooks) closed(building, node record.ID, code string) {
	if h.Closed != nil {
		h.Closed(building, node, code)
	}
}

func (h Hooks) greeted(building, node, generation record.ID) {
	if h.Greeted != nil {
		h.Greeted(building, node, generation)
	}
}

func (h Hooks) alarms(building, node record.ID, codes []string) {
	if h.Alarm != nil {
		for _, c := range codes {
			h.Alarm(building, node, c)
		}
	}
}

// greetingAlarms lists what a greeting says that an operator must see.
func greetingAlarms(g replica.Greeting) []string {
	var codes []string
	if g.Rewound {
		codes = append(codes, wire.CodeStoreRewound)
	}
	if len(g.Forks) > 0 {
		codes = append(codes, wire.CodeChainFork)
	}
	return codes
}
