package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// rawWait bounds one request and its answer.
	rawWait = 30 * time.Second
	// rawBuffer takes any head whole, and most answers.
	rawBuffer = 16 << 10
	// rawBodyMax is far above the answer to one create.
	rawBodyMax = 4 << 20
)

// rawConn posts JSON over one kept connection, one request after the other. The client
// of net/http costs five times as much as this one, on the processors that the measured
// programs need; every system that is measured through HTTP is asked by this one.
type rawConn struct {
	conn   net.Conn
	in     *bufio.Reader
	host   string
	header string // of each request, each line with its end
	out    []byte
	body   []byte // of the last answer
	stop   func() bool
}

// dialRaw connects to the server at base, from one of this machine's addresses where one is
// given. token is sent with each request; empty for none. A context that ends ends the
// request that is under way.
func dialRaw(ctx context.Context, base string, from netip.Addr, token string) (*rawConn, error) {
	at, err := url.Parse(base)
	if err != nil || at.Scheme != "http" {
		return nil, fmt.Errorf("dial %q: an http address is needed", base)
	}
	dialer := net.Dialer{Timeout: rawWait}
	if from.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: from.AsSlice()}
	}
	conn, err := dialer.DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", base, err)
	}
	c := &rawConn{conn: conn, in: bufio.NewReaderSize(conn, rawBuffer), host: at.Host}
	c.header = "Host: " + at.Host + "\r\nContent-Type: application/json\r\n"
	if token != "" {
		c.header += "Authorization: Bearer " + token + "\r\n"
	}
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // else its own ends it
	return c, nil
}

func (c *rawConn) close() {
	c.stop()
	_ = c.conn.Close() // nothing is under way
}

// post sends a body and gives the answer's, which is good until the next request. An answer
// that is not a success is an error.
func (c *rawConn) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(rawWait)); err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	c.out = append(append(append(c.out[:0], "POST "...), path...), " HTTP/1.1\r\n"...)
	c.out = append(append(c.out, c.header...), "Content-Length: "...)
	c.out = append(append(strconv.AppendInt(c.out, int64(len(body)), 10), "\r\n\r\n"...), body...)
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	status, err := c.answer()
	if err != nil {
		return nil, fmt.Errorf("POST %s: %w", path, err)
	}
	if !bytes.HasPrefix(status, []byte{'2'}) {
		return nil, fmt.Errorf("POST %s: %s: %s", path, status, c.body)
	}
	return c.body, nil
}

// answer reads one answer whole.
func (c *rawConn) answer() (status []byte, err error) {
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	protocol, rest, _ := bytes.Cut(line, []byte{' '})
	if string(protocol) != "HTTP/1.1" {
		return nil, fmt.Errorf("the answer begins with %q", line)
	}
	status = bytes.Clone(rest[:min(len(rest), 3)])
	length, chunked := int64(-1), false
	for {
		if line, err = c.line(); err != nil {
			return nil, err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return nil, fmt.Errorf("length of the answer: %w", err)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = strings.EqualFold(string(bytes.TrimSpace(value)), "chunked")
		}
	}
	return status, c.read(length, chunked)
}

// line reads one line of a head, without its end.
func (c *rawConn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *rawConn) read(length int64, chunked bool) (err error) {
	switch {
	case chunked:
		if c.body, err = io.ReadAll(io.LimitReader(httputil.NewChunkedReader(c.in), rawBodyMax)); err != nil {
			return fmt.Errorf("read the answer's body: %w", err)
		}
		_, err = c.line() // the reader of chunks leaves the empty line at the end
		return err
	case length < 0 || length > rawBodyMax:
		return errors.New("the answer has no length")
	}
	if int64(cap(c.body)) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.in, c.body); err != nil {
		return fmt.Errorf("read the answer's body: %w", err)
	}
	return nil
}
