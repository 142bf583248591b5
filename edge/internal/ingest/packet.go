package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"estate/edge/internal/decode"
)

const (
	// typePublish and typeAcknowledge are the first half of an MQTT packet's first byte.
	typePublish, typeAcknowledge = 3, 4
	// lengthBytesMax is how long the length of a packet may be in MQTT 3.1.1.
	lengthBytesMax = 4
	// payloadKept is how much of a payload is read: the decoder refuses whatever is longer, and
	// a persistent session would deliver again for ever what was not acknowledged.
	payloadKept = decode.GatewayPayloadBytesMax + 1
)

// errPacket says that the broker does not keep to MQTT 3.1.1.
var errPacket = errors.New("the broker sent what is no MQTT 3.1.1")

// tap takes messages out of a connection on their way to the MQTT client, which is made for few:
// it passes each through four goroutines. It sees all else, and does all else.
type tap struct {
	// topic finds the topic of a name, take gets each message; neither may wait.
	topic func(name []byte) *topic
	take  func(message)
	now   func() time.Time
}

// Read implements net.Conn: everything but messages.
func (w *wire) Read(p []byte) (int, error) {
	for w.passing == 0 {
		first, header, length, err := w.peek()
		if err != nil {
			return 0, err
		}
		if first>>4 != typePublish {
			w.passing = header + length
			break
		}
		if _, err := w.in.Discard(header); err != nil {
			return 0, err
		}
		m, err := w.message(first, length)
		if err != nil {
			return 0, fmt.Errorf("read a message: %w", err)
		}
		w.tap.take(m)
	}
	n, err := w.in.Read(p[:min(len(p), w.passing)])
	w.passing -= n
	return n, err
}

// peek looks at the header of the next packet: its first byte, its own length and that of what
// follows it.
func (w *wire) peek() (first byte, header, length int, err error) {
	for n := range lengthBytesMax {
		b, err := w.in.Peek(n + 2)
		if err != nil {
			return 0, 0, 0, err
		}
		length |= int(b[n+1]&0x7f) << (7 * n)
		if b[n+1] < 0x80 {
			return b[0], n + 2, length, nil
		}
	}
	return 0, 0, 0, fmt.Errorf("%w: a packet without a length", errPacket)
}

// message reads a message whose header was read.
func (w *wire) message(first byte, length int) (m message, err error) {
	m = message{from: w, qos: first >> 1 & 3, retained: first&1 != 0, duplicate: first&8 != 0, arrival: w.tap.now()}
	b, err := w.in.Peek(2)
	if err != nil {
		return m, err
	}
	name := int(binary.BigEndian.Uint16(b))
	head := 2 + name
	if m.qos > 0 {
		head += 2
	}
	if m.qos > 1 || head > length {
		return m, fmt.Errorf("%w: a message of QoS %d and %d bytes with a topic of %d", errPacket, m.qos, length, name)
	}
	if head > w.in.Size() {
		return m, fmt.Errorf("%w: a topic of %d bytes", errPacket, name)
	}
	if b, err = w.in.Peek(head); err != nil {
		return m, err
	}
	m.topic = w.tap.topic(b[2 : 2+name])
	if m.qos > 0 {
		m.id = binary.BigEndian.Uint16(b[head-2:])
	}
	if _, err := w.in.Discard(head); err != nil {
		return m, err
	}
	length -= head
	m.payload = make([]byte, min(length, payloadKept))
	if _, err := io.ReadFull(w.in, m.payload); err != nil {
		return m, err
	}
	_, err = w.in.Discard(length - len(m.payload))
	return m, err
}

// acknowledge sends the acknowledgements of messages, those that came on one connection together.
// Where the connection is gone they come again.
func acknowledge(messages []message) {
	var to io.Writer
	var packets []byte
	for n := range messages {
		m := &messages[n]
		if m.qos == 0 {
			continue
		}
		if m.from != to {
			send(to, packets)
			to, packets = m.from, packets[:0]
		}
		packets = append(packets, typeAcknowledge<<4, 2, byte(m.id>>8), byte(m.id))
	}
	send(to, packets)
}

func send(to io.Writer, packets []byte) {
	if len(packets) > 0 {
		_, _ = to.Write(packets) // an error is that of the connection, which shows where it is read
	}
}
