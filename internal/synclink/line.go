package synclink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// line is one WebSocket between two nodes. The loop alone touches the session and never
// waits for anybody; a reader waits for the peer. Whatever else is to be done (a page to
// read or apply, an acknowledgement to save, messages to write) has a goroutine only while
// there is something to do, so that an idle line costs two: a cloud has thousands.
type line struct {
	node     Node
	watch    Watch
	building record.ID
	peer     replica.Peer
	codec    *Codec
	hooks    Hooks
	log      *slog.Logger
	now      func() time.Time
	clock    func() time.Time // the node's, told in pings and pongs
	conn     *websocket.Conn
	// status is told after each step; it must not block. May be nil.
	status func(replica.SessionStatus)
	// recheck looks every recheckEvery whether the peer is still welcome. May be nil.
	recheck      func(ctx context.Context) error
	recheckEvery time.Duration

	// turns and hands are those of the server's lines.
	turns turns
	hands hands
	// working counts effects under way.
	working atomic.Int32

	// speed decides whether pages that more follow are compressed. The others always are: what
	// comes now and then costs the processor nothing that the bytes are worth.
	speed speed

	// pageBytes is what the last page's frame took; the reader's alone.
	pageBytes int

	// applying counts the pages being applied: the next is read ahead meanwhile. A line that
	// brings a single page, as each of a fleet may at once, keeps its bytes only.
	applying atomic.Int32

	began   time.Time // when the session's time began
	events  chan replica.SessionEvent
	out     *outbox
	running sync.WaitGroup
}

// ending says why a line ended.
type ending struct {
	code     string
	detail   string
	streamed bool // both hellos were exchanged
	synced   bool // at some time, everything was acknowledged
	// unreached: nobody was there to connect to, which says nothing about WebSockets.
	unreached bool
}

// run drives the line until it ends; stop is a coded reason to end it from outside. When
// it returns, no goroutine of the line is left and the socket is closed.
func (l *line) run(ctx context.Context, stop <-chan replica.Stopped) ending {
	l.events = make(chan replica.SessionEvent)
	l.out = newOutbox()
	l.began = l.now()
	ctx, cancel := context.WithCancel(ctx)
	l.heardPings(ctx)
	l.running.Go(func() { l.receive(ctx) })
	end := l.loop(ctx, stop)
	if l.out.close() {
		l.running.Go(func() { l.write(ctx) })
	}
	l.awaitWritten(ctx)
	cancel()
	_ = l.conn.Close() // ends the reader; what mattered was acknowledged above it
	l.running.Wait()
	return end
}

// awaitWritten gives the goodbye a moment to leave.
func (l *line) awaitWritten(ctx context.Context) {
	timer := time.NewTimer(closeWait)
	defer timer.Stop()
	select {
	case <-l.out.written:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *line) loop(ctx context.Context, stop <-chan replica.Stopped) (end ending) {
	session := replica.NewSession(replica.SessionConfig{Building: l.building, Peer: l.peer, InFlight: pagesInFlight})
	own, err := l.turns.await(ctx, l)
	if err != nil {
		return ending{detail: err.Error()}
	}
	defer own.end()
	hello, err := l.hello(ctx)
	if err != nil {
		return ending{code: wire.CodeStoreFailed, detail: fmt.Sprintf("prepare hello: %v", err)}
	}
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	moved, unwatch := l.watch(l.building)
	defer unwatch()
	var recheck <-chan time.Time
	if l.recheck != nil {
		t := time.NewTicker(l.recheckEvery)
		defer t.Stop()
		recheck = t.C
	}
	event := replica.SessionEvent(replica.Opened{Hello: hello})
	for {
		effects := session.Step(l.elapsed(), event)
		status := session.Status()
		end.streamed = end.streamed || status.Streaming
		end.synced = end.synced || status.Synced
		if l.status != nil {
			l.status(status)
		}
		for _, e := range effects {
			if closed, ok := e.(replica.DoClose); ok {
				end.code, end.detail = closed.Code, closed.Detail
				return end
			}
			if !l.start(ctx, e) {
				end.code, end.detail = wire.CodeTooManyInFlight, "the other side does not read its answers"
				return end
			}
		}
		own.stirred()
		if status.Synced {
			own.end()
		}
		if event, err = l.await(ctx, own, ticker.C, moved, recheck, stop); err != nil {
			return end
		}
		if lost, ok := event.(lineLost); ok {
			end.detail = lost.err.Error()
			return end
		}
	}
}

// hello asks for this side's greeting on a stack of its own: what the store takes of one
// would stay with the loop, for days.
func (l *line) hello(ctx context.Context) (hello wire.Hello, err error) {
	asked := make(chan struct{})
	l.aside(func() {
		defer close(asked)
		hello, err = l.node.Hello(ctx, l.building, l.peer)
	})
	<-asked
	return hello, err
}

// elapsed is the session's time: one millisecond after zero, so that "at zero" means "never".
func (l *line) elapsed() int64 { return l.now().Sub(l.began).Milliseconds() + 1 }

// lineLost is the reader's last word; it never reaches the session.
type lineLost struct {
	replica.Ticked
	err error
}

// await waits for what happens next. It fails once ctx has ended.
func (l *line) await(ctx context.Context, own *turn, tick <-chan time.Time, moved <-chan struct{}, recheck <-chan time.Time, stop <-chan replica.Stopped) (replica.SessionEvent, error) {
	for {
		select {
		case event := <-l.events:
			return event, nil
		case <-tick:
			return replica.Ticked{}, nil
		case <-moved:
			return replica.FeedMoved{}, nil
		case <-own.over():
			if l.working.Load() > 0 {
				own.stirred()
				continue
			}
			own.end()
		case <-recheck:
			l.running.Go(func() { l.welcome(ctx) })
		case event := <-stop:
			return event, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// start has an effect done; the session asks for one of a sort at a time, so nothing waits
// here and few run at once. It fails where too much waits for a peer that does not read.
func (l *line) start(ctx context.Context, e replica.SessionEffect) bool {
	if send, ok := e.(replica.DoSend); ok {
		ok, idle := l.out.put(send.Message)
		if idle {
			l.aside(func() { l.write(ctx) })
		}
		return ok
	}
	l.working.Add(1)
	l.aside(func() {
		defer l.working.Add(-1)
		l.work(ctx, e)
	})
	return true
}

// aside does something beside the loop; the line does not end before it.
func (l *line) aside(fn func()) {
	l.running.Add(1)
	l.hands.do(func() {
		defer l.running.Done()
		fn()
	})
}

// report hands an event to the loop, or gives up when the line ends.
func (l *line) report(ctx context.Context, e replica.SessionEvent) bool {
	select {
	case l.events <- e:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *line) receive(ctx context.Context) {
	for {
		event, err := l.next()
		if err != nil {
			l.report(ctx, lineLost{err: fmt.Errorf("read: %w", err)})
			return
		}
		if !l.report(ctx, event) {
			return
		}
	}
}

// next reads a frame as an event of the session. An error is the line's end.
func (l *line) next() (replica.SessionEvent, error) {
	if err := l.conn.SetReadDeadline(l.now().Add(readWait)); err != nil {
		return nil, err
	}
	kind, r, err := l.conn.NextReader()
	if err != nil {
		return nil, err
	}
	m, err := l.readMessage(kind, r)
	var broken readError
	switch {
	case errors.As(err, &broken):
		return nil, broken.error
	case err != nil:
		return replica.Garbled{Unknown: errors.Is(err, wire.ErrUnknown), Code: frameCode(err), Detail: err.Error()}, nil
	}
	received := replica.Received{Message: m}
	if _, ok := m.(wire.Ack); ok {
		l.speed.look()
	}
	if p, ok := m.(wire.Page); ok && l.applying.Load() > 0 {
		received.Content = replica.ReadContent(l.building, p)
	}
	return received, nil
}

// readError is one of the socket, not of what came over it.
type readError struct{ error }

// readMessage reads one binary message within the limit. The socket's own read limit would
// close without a reason.
func (l *line) readMessage(kind int, r io.Reader) (m wire.Message, err error) {
	room := l.codec.room()
	kept := false
	defer func() {
		if !kept {
			l.codec.rooms.Put(room)
		}
	}()
	if err := l.fill(room, r); err != nil {
		return nil, readError{err}
	}
	switch {
	case room.Len() > wire.FrameBytesMax:
		l.hooks.frameIn(0)
		return nil, fmt.Errorf("%w: more than %d bytes", wire.ErrTooLarge, wire.FrameBytesMax)
	case kind != websocket.BinaryMessage:
		room.Reset() // decodes as a malformed frame
	}
	l.hooks.frameIn(room.Len())
	own := room.Len() >= room.Cap()/2 // a small page must not hold the memory of a large one
	m, err = l.codec.decode(room.Bytes(), own)
	if _, page := m.(wire.Page); page {
		kept, l.pageBytes = own, room.Len()
	}
	return m, err
}

// fill reads a message, one byte beyond the limit at the most. One that is not small is given
// at once what the page before it took: so a length that was only announced costs nothing, and
// what was sent no more than its size again.
func (l *line) fill(room *bytes.Buffer, r io.Reader) error {
	if n, err := io.CopyN(room, r, smallBytes); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("after %d bytes: %w", n, err)
	}
	const slack = 16 // pages differ a little
	room.Grow(max(l.pageBytes+l.pageBytes/slack-room.Len(), 0) + bytes.MinRead)
	_, err := room.ReadFrom(io.LimitReader(r, wire.FrameBytesMax+1-smallBytes))
	return err
}

// write writes what waits and ends; after the goodbye it closes the socket in order.
func (l *line) write(ctx context.Context) {
	for {
		messages, last, ok := l.out.take()
		if !ok {
			return
		}
		for _, m := range messages {
			if err := l.writeMessage(m); err != nil {
				l.out.end()
				l.report(ctx, lineLost{err: fmt.Errorf("write: %w", err)})
				return
			}
		}
		if last {
			_ = l.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), l.now().Add(closeWait))
			l.out.end()
			return
		}
	}
}

func (l *line) writeMessage(m wire.Message) error {
	switch p := m.(type) {
	case wire.Ping:
		p.Time = l.clock().UnixMilli()
		m = p
	case wire.Pong:
		p.Time = l.clock().UnixMilli()
		m = p
	}
	room := l.codec.room()
	defer l.codec.rooms.Put(room)
	build := l.codec.appendFrame
	if p, ok := m.(wire.Page); ok && !p.Last && l.speed.fast() {
		build = l.codec.appendPlain
	}
	frame, err := build(room.AvailableBuffer(), m)
	if err != nil {
		return err
	}
	*room = *bytes.NewBuffer(frame) // may have grown
	l.hooks.frameOut(len(frame))
	if err := l.conn.SetWriteDeadline(l.now().Add(writeWait)); err != nil {
		return err
	}
	return l.conn.WriteMessage(websocket.BinaryMessage, frame)
}

// welcome looks whether the peer still is.
func (l *line) welcome(ctx context.Context) {
	if err := l.recheck(ctx); err != nil && unwelcome(err) {
		l.report(ctx, stoppedFor(err))
	}
}
