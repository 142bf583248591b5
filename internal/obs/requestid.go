package obs

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
)

// RequestHeader carries a request's id, in the answer always and in the request where a
// client or proxy chose one.
const RequestHeader = "X-Request-Id"

const (
	requestIDBytes = 12
	// requestIDMax bounds an id that came from outside: a UUID with room to spare.
	requestIDMax = 64
)

type requestKey struct{}

// NewRequestID makes an id of a request. Where the source of random bytes fails it is a
// fixed text: an id is no secret, and a request is not refused for want of one.
func NewRequestID(random io.Reader) string {
	var b [requestIDBytes]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "no-random-bytes"
	}
	return hex.EncodeToString(b[:])
}

// GoodRequestID reports whether an id from outside may be taken over: short, and of
// characters that forge no log line.
func GoodRequestID(id string) bool {
	if id == "" || len(id) > requestIDMax {
		return false
	}
	for _, c := range []byte(id) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
		if !plain {
			return false
		}
	}
	return true
}

// WithRequestID puts a request's id into a context.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// RequestID is the id of the request that a context belongs to, empty if none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// LogHandler adds the request's id to every record that is logged with its context.
type LogHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h LogHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(Request(id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return LogHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h LogHandler) WithGroup(name string) slog.Handler { return LogHandler{h.Handler.WithGroup(name)} }

// NewLog makes a program's log: JSON lines with request ids.
func NewLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(LogHandler{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}
