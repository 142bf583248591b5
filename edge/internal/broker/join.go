package broker

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// upBuffer and downBuffer are what one connection is read with towards the server, and from it.
	// Who sends much has its messages read some thirty at a time.
	upBuffer, downBuffer = 4 << 10, 2 << 10
	// remoteKept is how long the address of a device that has left is remembered: the server may
	// still write of it.
	remoteKept = 10 * time.Second
	// writeWait is what a device gets to take what is sent to it, as the server has it.
	writeWait = 10 * time.Second
)

// join passes bytes between a device and the server inside until either ends, and closes the
// device's connection. Messages of QoS 0 wait for room in the window.
func (b *Broker) join(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	var dial net.Dialer
	inner, err := dial.DialContext(ctx, "tcp", b.inner)
	if err != nil {
		return // the server is down; the device comes again
	}
	defer func() { _ = inner.Close() }()
	defer b.remotes.add(inner.LocalAddr(), conn.RemoteAddr())()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), inner.Close() })
	defer stop()
	var answered atomic.Bool
	var up sync.WaitGroup
	up.Go(func() {
		b.up(ctx, conn, inner, &answered)
		if half, ok := inner.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // what was sent arrives; the server ends the connection
		}
	})
	down(inner, conn, &answered)
	cancel()
	up.Wait()
}

// up passes on what a device sends.
func (b *Broker) up(ctx context.Context, from, to net.Conn, answered *atomic.Bool) {
	buffer := make([]byte, upBuffer)
	var packets packets
	for {
		n, err := from.Read(buffer)
		// Before the server has answered nobody has logged in, and all of it may be thrown away.
		if loose := packets.loose(buffer[:n]); loose > 0 && answered.Load() {
			if b.window.enter(ctx, loose) != nil {
				return
			}
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return // how a connection ended is between the two ends
		}
	}
}

// down passes on what the server sends, until it ends the connection. A device that does not take it
// is cut off; what it had sent before still arrives.
func down(from, to net.Conn, answered *atomic.Bool) {
	buffer := make([]byte, downBuffer)
	gone := false
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		answered.Store(true)
		if gone {
			continue
		}
		_ = to.SetWriteDeadline(time.Now().Add(writeWait))
		if _, err := to.Write(buffer[:n]); err != nil {
			gone = true
			_ = to.Close()
		}
	}
}

// packets follows the packets in a stream of MQTT (3.1.1, 2.2: a byte of type and flags, then the
// length of the rest in one to four bytes of seven bits each).
type packets struct {
	rest   int  // bytes of the current packet that are still to come
	length int  // bytes of its length that were read
	begun  bool // its first byte was read
	broken bool // it is not MQTT: the server says so
}

const (
	publishType   = 3
	typeShift     = 4
	qosBits       = 0b110
	lengthMore    = 0x80
	lengthBits    = 7
	lengthMaxSize = 4
)

// loose counts the messages of QoS 0 that begin in the next bytes of the stream.
func (p *packets) loose(next []byte) (count int) {
	for len(next) > 0 && !p.broken {
		switch {
		case p.rest > 0 && !p.begun:
			n := min(p.rest, len(next))
			p.rest -= n
			next = next[n:]
		case !p.begun:
			if next[0]>>typeShift == publishType && next[0]&qosBits == 0 {
				count++
			}
			p.begun, p.length, next = true, 0, next[1:]
		default:
			p.rest |= int(next[0]&^lengthMore) << (lengthBits * p.length)
			p.length++
			p.begun = next[0]&lengthMore != 0
			p.broken = p.begun && p.length == lengthMaxSize
			next = next[1:]
		}
	}
	return count
}

// remotes knows the device behind each connection to the server inside, by its address there.
type remotes struct{ list sync.Map }

// add remembers a device until some time after forget is called.
func (r *remotes) add(inner, device net.Addr) (forget func()) {
	key, value := inner.String(), device.String()
	r.list.Store(key, value)
	return func() {
		time.AfterFunc(remoteKept, func() { r.list.CompareAndDelete(key, value) })
	}
}

// of is the device's address; that of the connection where there is none behind it.
func (r *remotes) of(inner string) string {
	if device, ok := r.list.Load(inner); ok {
		text, _ := device.(string)
		return text
	}
	return inner
}
