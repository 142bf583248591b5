package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/gorilla/mux"

	"estate/internal/auth"
	"estate/internal/obs"
	"estate/internal/problem"
)

// urlBytesMax bounds a request's address: the longest that we make ourselves, a list with
// every filter set, is below 2 KiB.
const urlBytesMax = 8 << 10

type clientKey struct{}

// clientOf is what a request says of the program that made it.
func clientOf(ctx context.Context) auth.Client {
	c, _ := ctx.Value(clientKey{}).(auth.Client)
	return c
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	route  string
	person string
}

// Unwrap lets http.ResponseController and upgrades reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker, which upgrades to WebSockets ask for directly.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, buffer, err
}

// WriteHeader notes the status. Of several only the first counts, as on the wire.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the size.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

type recorderKey struct{}

// observe is the outermost layer: request id, access log, metrics, the headers that every
// answer carries, and panics made into answers.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.cfg.Now()
		id := r.Header.Get(obs.RequestHeader)
		if !obs.GoodRequestID(id) {
			id = obs.NewRequestID(a.cfg.Random)
		}
		address := clientAddress(r, a.cfg.Limits.Proxies)
		rec := &recorder{ResponseWriter: w}
		plain := r.Context() // the log would add the request's id a second time
		ctx := obs.WithRequestID(plain, id)
		ctx = context.WithValue(ctx, clientKey{}, auth.Client{ID: clip(r.Header.Get("X-Client-Id")), Agent: clip(r.UserAgent()), IP: address})
		ctx = context.WithValue(ctx, recorderKey{}, rec)
		r = r.WithContext(ctx)
		end := a.metrics.Begin()
		w.Header().Set(obs.RequestHeader, id)
		secure(w.Header())
		defer func() {
			cause := recover()
			cut := cause != nil && a.recovered(rec, r, cause)
			took := a.cfg.Now().Sub(start)
			end(rec.route, method(r.Method), rec.status, took)
			a.cfg.Log.LogAttrs(plain, slog.LevelInfo, "request", obs.Request(id), obs.Method(method(r.Method)), obs.Route(rec.route),
				obs.Status(rec.status), obs.Bytes(rec.bytes), obs.Duration(took), obs.Client(address), obs.Person(text(rec.person)))
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		if len(r.URL.RequestURI()) > urlBytesMax {
			refuse(rec, r, problem.New(problem.TooLarge, "the address has more than %d bytes", urlBytesMax), a.failures)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// text is a string that prints itself, for attributes of ids.
type text string

func (t text) String() string { return string(t) }

// clip bounds what a client says of itself.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 200)], "") }

// method keeps made-up methods out of logs and metrics.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// recovered answers in a panic's place. Where the answer had begun it must be cut off
// instead, so that nobody takes it for whole.
func (a *API) recovered(w *recorder, r *http.Request, cause any) (cut bool) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	err := fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	if w.status == 0 {
		refuse(w, r, err, a.failures)
		return false
	}
	a.cfg.Log.ErrorContext(r.Context(), "panic in an answer that had begun", obs.Error(err))
	return true
}

// secure sets the headers that make a browser trust nothing but what we mean. Pages set a
// policy of their own.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// named tells the access log which route was chosen. It runs after the match.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec, ok := r.Context().Value(recorderKey{}).(*recorder); ok {
			rec.route = routeOf(r)
		}
		next.ServeHTTP(w, r)
	})
}

func routeOf(r *http.Request) string {
	if route := mux.CurrentRoute(r); route != nil {
		if t, err := route.GetPathTemplate(); err == nil {
			return t
		}
	}
	return ""
}
