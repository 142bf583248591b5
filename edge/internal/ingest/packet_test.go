package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"estate/internal/lab/fuzztest"
)

// tapped is a wire that reads a stream, and what its tap got.
func tapped(r io.Reader) (*wire, *[]message) {
	got, q := &[]message{}, newQueue(nil)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &wire{in: bufio.NewReaderSize(r, readBuffer), tap: tap{topic: q.topic, take: func(m message) { *got = append(*got, m) },
		now: func() time.Time { return at }}}, got
}

func published(qos byte, id uint16, topic, payload string) *packets.PublishPacket {
	p, _ := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID, p.TopicName, p.Payload = qos, id, topic, []byte(payload)
	return p
}

// TestTap: messages go to the tap, and all else to the client, byte for byte, however the
// connection cuts what it brings.
func TestTap(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3*readBuffer)
	kept, again := published(0, 0, "a/kept", ""), published(1, 7, "a/again", "again")
	kept.Retain, again.Dup = true, true
	suback, _ := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	suback.MessageID, suback.ReturnCodes = 3, slices.Repeat([]byte{1}, 300)
	var stream, client bytes.Buffer
	for _, p := range []packets.ControlPacket{packets.NewControlPacket(packets.Connack), published(0, 0, "a", "one"), published(1, 0xfffe, "b/c", "two"), suback, kept,
		published(1, 9, "large", large), again, packets.NewControlPacket(packets.Pingresp), published(0, 0, "a", "last")} {
		if err := p.Write(&stream); err != nil {
			t.Fatal(err)
		}
		if _, message := p.(*packets.PublishPacket); !message {
			_ = p.Write(&client) // a bytes.Buffer takes everything
		}
	}
	want := []message{{payload: []byte("one")}, {payload: []byte("two"), id: 0xfffe, qos: 1}, {retained: true}, {payload: []byte(large), id: 9, qos: 1},
		{payload: []byte("again"), id: 7, qos: 1, duplicate: true}, {payload: []byte("last")}}
	topics := []string{"a", "b/c", "a/kept", "large", "a/again", "a"}
	for name, cut := range map[string]func(io.Reader) io.Reader{"whole": func(r io.Reader) io.Reader { return r }, "in bytes": iotest.OneByteReader, "in halves": iotest.HalfReader} {
		w, got := tapped(cut(bytes.NewReader(stream.Bytes())))
		rest, err := io.ReadAll(w)
		if err != nil || !bytes.Equal(rest, client.Bytes()) {
			t.Errorf("%s: the client got %x, %v, want %x", name, rest, err, client.Bytes())
		}
		if len(*got) != len(want) {
			t.Fatalf("%s: %d messages, want %d", name, len(*got), len(want))
		}
		for n, m := range *got {
			if w := want[n]; m.topic.name != topics[n] || !bytes.Equal(m.payload, w.payload) || m.id != w.id || m.qos != w.qos || m.retained != w.retained || m.duplicate != w.duplicate || m.arrival.IsZero() {
				t.Errorf("%s: message %d: %s %+v, want %s %+v", name, n, m.topic.name, m, topics[n], w)
			}
		}
		if (*got)[0].topic != (*got)[5].topic {
			t.Errorf("%s: two messages of one topic do not share it", name)
		}
	}
}

// TestTapTooLong: of a payload beyond every limit so much is kept that the decoder refuses it, and
// what follows is read.
func TestTapTooLong(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	for _, p := range []*packets.PublishPacket{published(1, 1, "a", strings.Repeat("x", payloadKept+1000)), published(1, 2, "a", "next")} {
		if err := p.Write(&stream); err != nil {
			t.Fatal(err)
		}
	}
	w, got := tapped(&stream)
	if rest, err := io.ReadAll(w); err != nil || len(rest) > 0 || len(*got) != 2 {
		t.Fatalf("%d bytes, %v, %d messages", len(rest), err, len(*got))
	}
	if m := *got; len(m[0].payload) != payloadKept || string(m[1].payload) != "next" || m[1].id != 2 {
		t.Errorf("%d bytes, then %q", len(m[0].payload), m[1].payload)
	}
}

// TestTapRefuses: what is no MQTT 3.1.1 ends the connection.
func TestTapRefuses(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string][]byte{
		"QoS 2":                       {0x34, 5, 0, 1, 'a', 0, 1},
		"QoS 3":                       {0x36, 5, 0, 1, 'a', 0, 1},
		"a topic beyond the message":  {0x30, 4, 0, 9, 'a', 'b'},
		"no room for its number":      {0x32, 3, 0, 1, 'a'},
		"a length of five bytes":      {0x30, 0x80, 0x80, 0x80, 0x80, 1},
		"shorter than a topic's size": {0x30, 1, 0, 0},
	} {
		w, got := tapped(bytes.NewReader(bad))
		if _, err := io.ReadAll(w); !errors.Is(err, errPacket) || len(*got) > 0 {
			t.Errorf("%s: %v, %d messages", name, err, len(*got))
		}
	}
}

// FuzzTap reads any bytes: no panic, no memory beyond what came and the largest payload, and the
// client gets no message.
func FuzzTap(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 4, 0, 1, 'a', 'b', 0xd0, 0})
	f.Add([]byte{0x32, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a', 0, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		fuzztest.Bounded(t, len(stream)+payloadKept+readBuffer, 4, func() {
			w, got := tapped(bytes.NewReader(stream))
			rest, err := io.ReadAll(w)
			size := 0
			for _, m := range *got {
				size += int(m.size()) + 2
			}
			if len(rest)+size > len(stream) {
				t.Fatalf("%d bytes and messages of %d out of %d, %v", len(rest), size, len(stream), err)
			}
		})
	})
}

// TestAcknowledge: each message of QoS 1 on the connection that it came on.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	var old, now bytes.Buffer
	acknowledge([]message{{from: &old, qos: 1, id: 0x0102}, {from: &old}, {from: &old, qos: 1, id: 3}, {from: &now, qos: 1, id: 1}, {from: &now}})
	if old.String() != "\x40\x02\x01\x02\x40\x02\x00\x03" || now.String() != "\x40\x02\x00\x01" {
		t.Errorf("%x and %x", old.Bytes(), now.Bytes())
	}
}
