package faultproxy

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pieceBytes is how much is read at once: about one large frame.
	pieceBytes = 64 << 10
	// piecesWaitingMax is what may be under way in one direction, so that
	// latency does not become a bandwidth limit on loopback.
	piecesWaitingMax = 16
	// aheadBytes is what the kernel takes ahead of a line with a rate.
	aheadBytes = 32 << 10
)

// piece is data under way and the moment it arrives.
type piece struct {
	data []byte
	due  time.Time
}

// line is one connection through the proxy.
type line struct {
	proxy  *Proxy
	number uint64
	near   net.Conn
	rate   int64 // bytes a second; zero: no bound

	mu    sync.Mutex
	far   net.Conn
	ended bool
	done  chan struct{} // closed by reset
}

// connect adds the far side; false means that the line was reset meanwhile.
func (l *line) connect(far net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		reset(far)
		return false
	}
	l.far = far
	return true
}

// reset ends both sides without a farewell; what is under way is lost.
func (l *line) reset() { l.end(reset) }

// finish ends both sides once all was said; what is under way still arrives.
func (l *line) finish() { l.end(func(conn net.Conn) { _ = conn.Close() }) }

func (l *line) end(with func(net.Conn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	close(l.done)
	with(l.near)
	if l.far != nil {
		with(l.far)
	}
}

func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a failure only makes the end more polite
	}
	_ = conn.Close()
}

// run moves bytes both ways until both sides have ended or one failed.
func (l *line) run() {
	var both sync.WaitGroup
	both.Go(func() { l.move(l.far, l.near, 2*l.number, &l.proxy.sent) })
	both.Go(func() { l.move(l.near, l.far, 2*l.number+1, &l.proxy.answered) })
	both.Wait()
}

// move forwards one direction; stream picks its own sequence of the seed, so
// that two directions do not disturb each other's latencies.
func (l *line) move(to, from net.Conn, stream uint64, carried *atomic.Int64) {
	random := rand.New(rand.NewPCG(l.proxy.seed, stream)) //nolint:gosec // repeatable, not secret
	waiting := piecesWaitingMax
	if tcp, ok := from.(*net.TCPConn); ok && l.rate > 0 {
		waiting = 0
		_ = tcp.SetReadBuffer(aheadBytes) // without it the line only begins faster
	}
	under := make(chan piece, waiting)
	used := make(chan []byte, piecesWaitingMax)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(under)
		l.read(from, under, used, random)
	})
	l.write(to, under, used, carried)
	reading.Wait()
}

func (l *line) read(from net.Conn, under chan<- piece, used <-chan []byte, random *rand.Rand) {
	var last time.Time
	for {
		var buffer []byte
		select {
		case buffer = <-used:
		default:
			buffer = make([]byte, pieceBytes)
		}
		n, err := from.Read(buffer)
		if n > 0 {
			due := time.Now()
			least, most := l.proxy.latency()
			if most > 0 {
				due = due.Add(least + time.Duration(random.Int64N(int64(most-least)+1)))
			}
			if due.Before(last) {
				due = last // TCP keeps the order
			}
			if l.rate > 0 {
				due = due.Add(time.Duration(n) * time.Second / time.Duration(l.rate))
			}
			last = due
			select {
			case under <- piece{data: buffer[:n], due: due}:
			case <-l.done:
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.reset() // one side was reset: so is the other
			}
			return
		}
	}
}

// write delivers pieces when due, gives their room back and ends the direction after the
// last one.
func (l *line) write(to net.Conn, under <-chan piece, used chan<- []byte, carried *atomic.Int64) {
	for p := range under {
		if !l.awaitDue(p.due) || !l.proxy.awaitPassing(l.done) {
			l.reset()
			continue // drain, so that the reader ends
		}
		allowed, drop := l.proxy.take(len(p.data))
		carried.Add(int64(allowed)) // before: who has read them finds them counted
		if _, err := to.Write(p.data[:allowed]); err != nil {
			l.reset()
		}
		if drop {
			l.proxy.Drop()
		}
		select {
		case used <- p.data[:pieceBytes]:
		default:
		}
	}
	if tcp, ok := to.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // after a reset there is nothing to end
	}
}

func (l *line) awaitDue(due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.done:
		return false
	}
}
