package replica

import (
	"fmt"

	"estate/sync/record"
	"estate/sync/wire"
)

// The state machine of one link between two holders of a whole building. Both sides run
// the same machine; each direction of the feed streams by itself.
//
//	 new ──Opened: send hello──▶ waiting ──hello──▶ greeting ──Greeted──▶ streaming
//	                                │                   │                    │
//	                                └── bad frame, dead, Stopped, Bye ───────┴──▶ closed
//
//	disputed: both sides hold another event under one number of a chain (SPEC R33). No record
//	         goes either way; events do, until the cloud has decided and ends the session.
//	streaming, my feed:    read page ─▶ wait for credit ─▶ send ─▶ ack ─▶ save ack
//	                           ▲  skips what the peer sent me in this session  │
//	                           └── more to read, or FeedMoved ◀────────────────┘
//	streaming, its feed:   page ─▶ queue ─▶ decide ─▶ write, in order ─▶ durable ─▶ ack, credit
//	synced = my feed's end is acknowledged and saved, and the page that the peer called its
//	         last is applied. An open line alone is never "synced".
//
// A feed that starts from zero is led by digests, see session_digest.go.
//
// Frames for seals and forget are skipped like those of a later release until this machine
// has states for them: a frame of unknown type is answered, once a session,
// with Bye frame_unknown, which ends nothing; every other Bye ends the session.

// Limits of a session.
const (
	// CreditInitial is what each side may send before the first grant: two pages of the
	// largest size, eight of the usual one.
	CreditInitial = 8 << 20
	// PagesInFlight is how many unacknowledged pages a sender usually allows itself: it
	// hides the receiver's commit behind the line's delay.
	PagesInFlight = 4
	// PagesInFlightMax is how many a receiver accepts.
	PagesInFlightMax = 64
	// PingEvery and DeadAfter are in milliseconds: three missed heartbeats end a session.
	PingEvery = 15_000
	DeadAfter = 45_000
	// DisputeMax, in milliseconds, is how long a session waits for the decision on a fork
	// before it tries anew.
	DisputeMax = 30_000
	// WantsMax bounds what a peer may ask for at once; what is beyond is asked again in the
	// next session. AskedMax bounds what this side remembers to have asked.
	WantsMax = 256
	AskedMax = 4096
	// creditMax is far beyond any honest window; it keeps the sum from overflowing.
	creditMax = 1 << 40
	// retryFirst and retryMax, in milliseconds, pace busy effects.
	retryFirst = 250
	retryMax   = 10_000
)

type phase uint8

const (
	phaseNew phase = iota
	phaseWaiting
	phaseGreeting
	phaseStreaming
	phaseClosed
)

// SessionConfig says who is at the other end.
type SessionConfig struct {
	Building record.ID
	Peer     Peer
	// InFlight is how many pages may be unacknowledged; zero means PagesInFlight.
	InFlight int
}

// Session is one link's state. It is plain data: not safe for concurrent use.
type Session struct {
	config   SessionConfig
	phase    phase
	now      int64
	heardAt  int64
	pingAt   int64
	pings    uint64
	noticed  bool   // the one frame_unknown was sent
	own      uint64 // the protocol version of this side's hello
	tier     record.Tier
	protocol uint64 // the lower of both
	greet    retry
	// following says that a time of the upper tier is being followed.
	following bool
	hello     wire.Hello // the peer's
	helloAt   int64      // when it came
	out       outbound
	in        inbound
	effects   []SessionEffect
	// disputedAt is since when both feeds wait for the decision on a fork; zero for not.
	disputedAt int64
}

// SessionStatus is what a screen may say about a link.
type SessionStatus struct {
	// Disputed: a chain has two branches, and no record goes either way before the decision.
	Disputed  bool
	Streaming bool
	// Synced: everything of mine is acknowledged and saved, everything of the peer's that
	// it had at its last page is applied.
	Synced bool
	// ReceiptAt and HeardAt are times given to Step: of the last saved acknowledgement, and
	// of the last frame. Zero for none.
	ReceiptAt int64
	HeardAt   int64
	InFlight  int
	Protocol  uint64
}

// retry paces one sort of effect while its store is busy.
type retry struct {
	running bool
	at      int64
	wait    int64
}

func (r *retry) ready(now int64) bool { return !r.running && now >= r.at }
func (r *retry) start()               { r.running = true }
func (r *retry) done()                { *r = retry{} }

func (r *retry) busy(now int64) {
	r.running = false
	r.wait = min(max(2*r.wait, retryFirst), retryMax)
	r.at = now + r.wait
}

// NewSession returns a session that waits for Opened.
func NewSession(c SessionConfig) *Session {
	if c.InFlight <= 0 || c.InFlight > PagesInFlightMax {
		c.InFlight = PagesInFlight
	}
	return &Session{config: c, out: newOutbound(), in: newInbound()}
}

// Step takes one event at a time, in milliseconds of any steady clock, and returns what is
// to be done, in order.
func (s *Session) Step(now int64, event SessionEvent) []SessionEffect {
	if s.phase == phaseClosed {
		return nil
	}
	s.now, s.effects = now, nil
	s.take(event)
	if s.phase == phaseStreaming {
		s.pump()
	}
	return s.effects
}

// Status describes the session as of the last step.
func (s *Session) Status() SessionStatus {
	return SessionStatus{
		Disputed:  s.disputedAt > 0,
		Streaming: s.phase == phaseStreaming,
		Synced:    s.phase == phaseStreaming && s.disputedAt == 0 && s.out.settled() && s.in.settled(),
		ReceiptAt: s.out.receiptAt, HeardAt: s.heardAt, InFlight: len(s.out.flight), Protocol: s.protocol,
	}
}

func (s *Session) take(event SessionEvent) {
	switch e := event.(type) {
	case Opened:
		s.phase, s.heardAt, s.pingAt = phaseWaiting, s.now, s.now
		s.in.cursor, s.own, s.tier = e.Hello.Cursor.Position, e.Hello.Protocol, e.Hello.Tier
		s.send(e.Hello)
	case Received:
		s.heardAt = s.now
		s.receive(e.Message, e.Content)
	case Garbled:
		s.heardAt = s.now
		s.garbled(e)
	case Greeted:
		s.greet.done()
		s.phase = phaseStreaming
		s.out.begin(e)
		s.in.late = e.Late
		s.out.digests.begin(e, s.protocol)
		s.ask(e.Wants)
		if e.Disputed {
			s.disputedAt = max(s.now, 1)
		}
		for _, w := range e.Offers {
			s.out.want(w)
		}
	case PageRead:
		s.pageRead(e.Page)
	case PageDecided:
		s.pageDecided(e)
	case PageApplied:
		s.pageEnded(e.Ack.Page, e)
	case DigestRead:
		s.digestRead(e.Stretch)
	case DigestChecked:
		s.digestChecked(e)
	case AckSaved:
		s.out.saving.done()
		s.out.acks = s.out.acks[1:]
		s.out.receiptAt = s.now
	case Followed:
		s.following = false
	case Heard:
		s.heardAt = s.now
	case FeedMoved:
		s.out.moved = true
	case Ticked:
		s.tick()
	case Stopped:
		s.fail(e.Code, "%s", e.Detail)
	case EffectFailed:
		if d, ok := e.Effect.(DoApplyPage); ok {
			s.pageEnded(d.Page.ID, e)
			return
		}
		s.failed(e)
	}
}

func (s *Session) do(e SessionEffect)  { s.effects = append(s.effects, e) }
func (s *Session) send(m wire.Message) { s.do(DoSend{Message: m}) }

// fail says goodbye with a code and its remedy, and closes.
func (s *Session) fail(code, format string, args ...any) {
	if s.phase == phaseClosed {
		return
	}
	detail := fmt.Sprintf(format, args...)
	s.send(wire.Bye{Code: code, Detail: detail, Remedy: Remedy(code)})
	s.do(DoClose{Code: code, Detail: detail})
	s.phase = phaseClosed
}

func (s *Session) receive(m wire.Message, content *Content) {
	if bye, ok := m.(wire.Bye); ok {
		if bye.Code != wire.CodeFrameUnknown {
			s.do(DoClose{Code: bye.Code, Detail: bye.Detail, Remote: true})
			s.phase = phaseClosed
		}
		return
	}
	if h, ok := m.(wire.Hello); ok && s.phase == phaseWaiting {
		s.meet(h)
		return
	}
	if s.phase != phaseGreeting && s.phase != phaseStreaming {
		s.fail(wire.CodeFrameUnexpected, "%T before hello", m)
		return
	}
	switch m := m.(type) {
	case wire.Page:
		s.pageArrived(m, content)
	case wire.Ack:
		s.ackArrived(m)
	case wire.Want:
		s.out.want(m)
	case wire.Credit:
		if m.Bytes > creditMax || s.out.credit > creditMax {
			s.fail(wire.CodeFrameUnexpected, "credit of %d bytes", m.Bytes)
			return
		}
		s.out.credit += m.Bytes
	case wire.Digest:
		s.digestArrived(m)
	case wire.Digested:
		s.digested(m)
	case wire.Ping:
		s.send(wire.Pong{ID: m.ID})
	case wire.Pong:
		s.follow(m)
	default:
		s.fail(wire.CodeFrameUnexpected, "%T on a link of two whole buildings", m)
	}
}

// meet checks the peer's hello against what the line's authentication said.
func (s *Session) meet(h wire.Hello) {
	switch {
	case h.Protocol == 0 || h.Protocol+1 < wire.Protocol || h.Protocol > wire.Protocol+1:
		s.fail(wire.CodeProtocolVersion, "this side speaks protocol %d, the other %d", wire.Protocol, h.Protocol)
		return
	case h.Building != s.config.Building:
		s.fail(wire.CodeWrongBuilding, "this line is for building %s", s.config.Building)
		return
	case h.Node != s.config.Peer.Node || h.Tier != s.config.Peer.Tier:
		s.fail(wire.CodeNodeUnknown, "hello names another node than the one that signed in")
		return
	case len(h.Held) > wire.HeldMax:
		s.fail(wire.CodeFrameMalformed, "hello with %d chains, at most %d", len(h.Held), wire.HeldMax)
		return
	}
	s.protocol = min(h.Protocol, s.own)
	s.hello, s.helloAt, s.phase = h, s.now, phaseGreeting
	s.startGreet()
}

func (s *Session) startGreet() {
	s.greet.start()
	hello := s.hello
	if hello.Time > 0 {
		hello.Time += s.now - s.helloAt // the peer's time went on while this store was busy
	}
	s.do(DoGreet{Hello: hello})
}

func (s *Session) garbled(e Garbled) {
	switch {
	case !e.Unknown:
		s.fail(e.Code, "%s", e.Detail)
	case s.phase == phaseWaiting:
		s.fail(wire.CodeFrameUnexpected, "unknown frame before hello")
	case !s.noticed:
		s.noticed = true
		s.send(wire.Bye{Code: wire.CodeFrameUnknown, Detail: e.Detail, Remedy: Remedy(wire.CodeFrameUnknown)})
	}
}

// follow has this side's clock set by the time in an answer to its own ping, where the peer
// is above it: a clock may jump while the line stays up (SPEC R16).
func (s *Session) follow(m wire.Pong) {
	if s.config.Peer.Tier >= s.tier || m.ID == 0 || m.ID > s.pings || m.Time <= 0 || s.following {
		return
	}
	s.following = true
	s.do(DoFollow{Time: m.Time, At: s.now})
}

// ask sends each want once in a session: what the peer does not hold either must not be
// asked for in a circle.
func (s *Session) ask(wants []wire.Want) {
	for _, w := range wants {
		if _, ok := s.in.asked[w]; ok || len(s.in.asked) >= AskedMax {
			continue
		}
		s.in.asked[w] = struct{}{}
		s.send(w)
	}
}

func (s *Session) tick() {
	if s.now-s.heardAt >= DeadAfter {
		// No goodbye: nobody listens.
		s.do(DoClose{Detail: fmt.Sprintf("nothing heard for %d ms", s.now-s.heardAt)})
		s.phase = phaseClosed
		return
	}
	if s.disputedAt > 0 && s.now-s.disputedAt >= DisputeMax {
		s.fail(wire.CodeChainFork, "the fork of a chain was not decided in %d ms", s.now-s.disputedAt)
		return
	}
	if s.phase == phaseGreeting && s.greet.ready(s.now) {
		s.startGreet()
	}
	if s.phase != phaseNew && s.now-s.pingAt >= PingEvery && s.phase != phaseWaiting {
		s.pingAt = s.now
		s.pings++
		s.send(wire.Ping{ID: s.pings})
	}
}

// failed plans another try of a busy effect, and ends the session for any other reason.
func (s *Session) failed(e EffectFailed) {
	if !e.Busy {
		code := e.Code
		if code == "" {
			code = wire.CodeStoreFailed
		}
		s.fail(code, "%s", e.Detail)
		return
	}
	switch e.Effect.(type) {
	case DoGreet:
		s.greet.busy(s.now)
	case DoReadPage:
		// What moved the feed may be unread.
		s.out.reading.busy(s.now)
		s.out.moved = true
	case DoReadEvents:
		s.out.reading.busy(s.now)
	case DoSaveAck:
		s.out.saving.busy(s.now)
	case DoFollow:
		s.following = false // the next answer brings a fresher time
	case DoReadDigest:
		s.out.digests.reading.busy(s.now)
	case DoCheckDigest:
		s.in.checking.busy(s.now)
	}
}
