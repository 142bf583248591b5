package synclink_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/klauspost/compress/zstd"

	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/wire"
)

// dial opens a raw socket to the server, as a peer that may be anybody.
func (w *world) dial(token string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, "ws://"+w.http.Listener.Addr().String()+synclink.PathSocket, http.Header{"Authorization": {"Bearer " + token}})
	if err == nil {
		w.t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, response, err
}

func codec(t *testing.T) *synclink.Codec {
	t.Helper()
	c, err := synclink.NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) hello() wire.Hello {
	w.t.Helper()
	h, err := w.edge.Hello(w.t.Context(), building, peerOf(w.cloud))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func mustFrame(t *testing.T, m wire.Message) []byte {
	t.Helper()
	frame, err := codec(t).Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// goodbye reads until the server's Bye or the end of the line.
func goodbye(t *testing.T, conn *websocket.Conn) (wire.Bye, error) {
	t.Helper()
	c := codec(t)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for {
		_, frame, err := conn.ReadMessage()
		if err != nil {
			return wire.Bye{}, err
		}
		m, err := c.Decode(frame)
		if err != nil {
			t.Fatal(err)
		}
		if bye, ok := m.(wire.Bye); ok {
			return bye, nil
		}
	}
}

// bomb is a small frame that expands beyond the limit.
func bomb(t *testing.T) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := wire.Wrap(wire.TypePage, wire.FlagCompressed, enc.EncodeAll(make([]byte, 64<<20), nil))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func unknownFrame(t *testing.T) []byte {
	t.Helper()
	frame, err := wire.Wrap(wire.Type(200), 0, []byte{0xa0})
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// TestBadInput is the table of what a link refuses: each with its code, and each without
// harm to the edge that works beside it (SPEC R26, SPEC R28).
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := setup(t)
	good := w.hello()
	other := good
	other.Building = record.DerivedID("building", "elm")
	forged := good
	forged.Node = record.DerivedID("node", "mallory")
	tier := good
	tier.Tier = record.TierCloud
	old := good
	old.Protocol = 0
	future := good
	future.Protocol = wire.Protocol + 2
	broken := mustFrame(t, good)
	broken[len(broken)-1] ^= 1
	tests := []struct {
		name   string
		frames [][]byte
		code   string
	}{
		{"GarbageBytes", [][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, wire.CodeFrameMalformed},
		{"EmptyFrame", [][]byte{{}}, wire.CodeFrameMalformed},
		{"BrokenChecksum", [][]byte{broken}, wire.CodeFrameMalformed},
		{"OversizeFrame", [][]byte{mustFrame(t, good), make([]byte, wire.FrameBytesMax+1)}, wire.CodeFrameTooLarge},
		{"ExpandsBeyondLimit", [][]byte{mustFrame(t, good), bomb(t)}, wire.CodeFrameTooLarge},
		{"PageBeforeHello", [][]byte{mustFrame(t, wire.Page{})}, wire.CodeFrameUnexpected},
		{"WrongBuilding", [][]byte{mustFrame(t, other)}, wire.CodeWrongBuilding},
		{"ForgedNode", [][]byte{mustFrame(t, forged)}, wire.CodeNodeUnknown},
		{"ForgedTier", [][]byte{mustFrame(t, tier)}, wire.CodeNodeUnknown},
		{"ProtocolTooOld", [][]byte{mustFrame(t, old)}, wire.CodeProtocolVersion},
		{"ProtocolTooNew", [][]byte{mustFrame(t, future)}, wire.CodeProtocolVersion},
		{"PhonesPush", [][]byte{mustFrame(t, good), mustFrame(t, wire.Push{})}, wire.CodeFrameUnexpected},
		{"UnknownType", [][]byte{mustFrame(t, good), unknownFrame(t)}, wire.CodeFrameUnknown},
	}
	for _, test := range tests {
		t.Run("Socket"+test.name, func(t *testing.T) {
			conn, response, err := w.dial("edge")
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			for _, frame := range test.frames {
				if err := conn.WriteMessage(websocket.BinaryMessage, frame); err != nil {
					t.Fatal(err)
				}
			}
			bye, err := goodbye(t, conn)
			if err != nil || bye.Code != test.code || bye.Remedy == "" {
				t.Fatalf("said %+v (%v), want %s with a remedy", bye, err, test.code)
			}
		})
		if test.name == "UnknownType" {
			continue // skipped without a word in a body
		}
		t.Run("Post"+test.name, func(t *testing.T) {
			bye := w.postBye(t, "edge", prefixed(test.frames...))
			if bye.Code != test.code || bye.Remedy == "" {
				t.Fatalf("said %+v, want %s with a remedy", bye, test.code)
			}
		})
	}
	// The building is none the worse for it.
	write(t, w.edge, "edge", 3, 10)
	w.run()
	w.converged(3)
}

func prefixed(frames ...[]byte) []byte {
	var out []byte
	for _, f := range frames {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out
}

func (w *world) post(t *testing.T, token string, body []byte) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.http.URL+synclink.PathExchange, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := w.http.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func messages(t *testing.T, body io.Reader) []wire.Message {
	t.Helper()
	var out []wire.Message
	c := codec(t)
	for {
		m, _, err := c.ReadFrame(body)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
}

func (w *world) postBye(t *testing.T, token string, body []byte) wire.Bye {
	t.Helper()
	answer := messages(t, w.post(t, token, body).Body)
	if len(answer) == 0 {
		t.Fatal("no answer")
	}
	bye, ok := answer[len(answer)-1].(wire.Bye)
	if !ok {
		t.Fatalf("answered %T at last, want a goodbye", answer[len(answer)-1])
	}
	return bye
}

func TestPost(t *testing.T) {
	t.Parallel()
	t.Run("CutOff", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		body := prefixed(mustFrame(t, w.hello()))
		if bye := w.postBye(t, "edge", append(body, 0, 0, 1)); bye.Code != wire.CodeFrameMalformed {
			t.Fatalf("said %+v", bye)
		}
		if bye := w.postBye(t, "edge", append(body, 0, 0, 1, 0, 9, 9)); bye.Code != wire.CodeFrameMalformed {
			t.Fatalf("said %+v", bye)
		}
	})
	t.Run("LengthThatLies", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		if bye := w.postBye(t, "edge", []byte{0xff, 0xff, 0xff, 0xff, 1}); bye.Code != wire.CodeFrameTooLarge {
			t.Fatalf("said %+v", bye)
		}
	})
	t.Run("BodyTooLarge", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		body := prefixed(mustFrame(t, w.hello()))
		want, err := wire.Wrap(wire.Type(200), 0, make([]byte, 3<<20))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			body = append(body, prefixed(want)...)
		}
		if bye := w.postBye(t, "edge", body); bye.Code != wire.CodeFrameTooLarge {
			t.Fatalf("said %+v", bye)
		}
	})
	t.Run("EmptyBody", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		if bye := w.postBye(t, "edge", nil); bye.Code != wire.CodeFrameUnexpected {
			t.Fatalf("said %+v", bye)
		}
	})
	t.Run("UnknownFramesAreSkipped", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		answer := messages(t, w.post(t, "edge", prefixed(mustFrame(t, w.hello()), unknownFrame(t))).Body)
		if len(answer) != 2 {
			t.Fatalf("%d frames, want hello and the page", len(answer))
		}
		if p, ok := answer[1].(wire.Page); !ok || !p.Last {
			t.Fatalf("answered %+v", answer[1])
		}
	})
	t.Run("WhatWasAppliedStays", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		write(t, w.edge, "edge", 2, 10)
		page, err := w.edge.ReadPage(t.Context(), building, 0, 0, nil, func(uint64) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		page.ID = 1
		answer := messages(t, w.post(t, "edge", prefixed(mustFrame(t, w.hello()), mustFrame(t, page), []byte("garbage"))).Body)
		if len(answer) != 3 {
			t.Fatalf("%d frames, want hello, ack, bye", len(answer))
		}
		hello, ok := answer[0].(wire.Hello)
		if ack, is := answer[1].(wire.Ack); !ok || !is || ack.Page != 1 || hello.Cursor.Position != page.To {
			t.Fatalf("answered %+v", answer)
		}
		if n := len(contents(t, w.cloudStore)); n != 2 {
			t.Fatalf("%d records", n)
		}
	})
	t.Run("Unauthenticated", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			request, err := http.NewRequestWithContext(t.Context(), method, w.http.URL+synclink.PathExchange, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			response, err := w.http.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := map[string]int{http.MethodPost: http.StatusUnauthorized, http.MethodGet: http.StatusMethodNotAllowed}[method]
			if response.StatusCode != want {
				t.Errorf("%s: %s", method, response.Status)
			}
		}
	})
}

func TestSocketRefuses(t *testing.T) {
	t.Parallel()
	t.Run("BadToken", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		_, response, err := w.dial("mallory")
		if err == nil || response == nil || response.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%v %v", response, err)
		}
	})
	t.Run("BrowserPages", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+w.http.Listener.Addr().String()+synclink.PathSocket,
			http.Header{"Authorization": {"Bearer edge"}, "Origin": {"https://evil.example"}})
		if err == nil || response == nil || response.StatusCode != http.StatusForbidden {
			t.Fatalf("%v %v", response, err)
		}
	})
	t.Run("SecondLineEndsTheFirst", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		first, _, err := w.dial("edge")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.dial("edge"); err != nil {
			t.Fatal(err)
		}
		if _, err := goodbye(t, first); err == nil {
			t.Fatal("the first line went on")
		}
	})
}

// TestSlowReader holds that a peer which asks and never reads costs bounded memory: pages
// stop at the credit and the answers at their limit, and nothing waits for the peer.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := setup(t)
	write(t, w.cloud, "cloud", 3000, 7000) // about 20 MiB
	conn, _, err := w.dial("edge")
	if err != nil {
		t.Fatal(err)
	}
	// A few segments of loopback fit. Less than one, and the kernel throws acknowledgements
	// of our own pings away with what does not fit: the line then stalls by itself.
	if tcp, ok := conn.NetConn().(*net.TCPConn); !ok || tcp.SetReadBuffer(256<<10) != nil {
		t.Fatal("no small window")
	}
	ping := mustFrame(t, wire.Ping{ID: 1})
	if err := conn.WriteMessage(websocket.BinaryMessage, mustFrame(t, w.hello())); err != nil {
		t.Fatal(err)
	}
	// The server keeps reading all the while: it gives up on its own terms.
	for err == nil {
		if err = conn.SetWriteDeadline(time.Now().Add(patience)); err == nil {
			err = conn.WriteMessage(websocket.BinaryMessage, ping)
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatal("the server stopped reading and waited for a peer that does not read")
	}
	eventually(t, "the line to end", func() bool { return !w.server.Connected(building, w.edge.ID()) })
}

func TestCodec(t *testing.T) {
	t.Parallel()
	c := codec(t)
	page := wire.Page{ID: 7, Records: []wire.RecordItem{{Kind: "ticket", Body: bytes.Repeat([]byte("leak "), 10_000)}}}
	frame, err := c.Encode(page)
	if err != nil {
		t.Fatal(err)
	}
	if len(frame) > 5000 {
		t.Fatalf("50 kB of repetition took %d bytes", len(frame))
	}
	m, err := c.Decode(frame)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := m.(wire.Page); !ok || got.ID != 7 || !bytes.Equal(got.Records[0].Body, page.Records[0].Body) {
		t.Fatalf("came back as %+v", m)
	}
	if _, err := c.Encode(wire.Page{Records: []wire.RecordItem{{Body: make([]byte, wire.FrameBytesMax)}}}); !errors.Is(err, wire.ErrTooLarge) {
		t.Fatalf("a page beyond the limit: %v", err)
	}
	flagged, err := wire.Wrap(wire.TypePing, 0x80, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Decode(flagged); !errors.Is(err, wire.ErrFrame) {
		t.Fatalf("an unknown flag: %v", err)
	}
}
