package auth

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync/atomic"

	"estate/internal/problem"
)

// Outage is whether callers cannot be verified now, since the database does not answer. It
// is logged when that begins and when it ends, and not for each request between: a fleet
// that tries again writes thousands. The zero value is ready and safe for concurrent use.
type Outage struct{ on atomic.Bool }

// Refuse is the function Refuse, but that it logs only the first of the requests that find
// the service unavailable.
func (o *Outage) Refuse(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	p := problem.From(err)
	if p.Code != problem.Unavailable || p.Err == nil {
		Refuse(w, r, err, log)
		return
	}
	if o.on.CompareAndSwap(false, true) {
		log.ErrorContext(r.Context(), "callers cannot be verified", slog.Any("error", err))
	}
	write(w, r, p, err, log)
}

// Over is told of each caller who was verified.
func (o *Outage) Over(ctx context.Context, log *slog.Logger) {
	if o.on.Load() && o.on.CompareAndSwap(true, false) {
		log.InfoContext(ctx, "callers can be verified again")
	}
}

// Refuse answers a request whose caller could not be established: a JSON problem, with
// WWW-Authenticate (RFC 6750) at 401 and Retry-After where the error names a wait. What is
// not a problem is logged and not shown.
func Refuse(w http.ResponseWriter, r *http.Request, err error, log *slog.Logger) {
	p := problem.From(err)
	if p.Err != nil && p.Status() >= http.StatusInternalServerError {
		log.ErrorContext(r.Context(), "verify caller", slog.Any("error", err))
	}
	write(w, r, p, err, log)
}

func write(w http.ResponseWriter, r *http.Request, p *problem.Problem, err error, log *slog.Logger) {
	h := w.Header()
	switch {
	case p.Code == problem.Unauthenticated:
		h.Set("WWW-Authenticate", `Bearer realm="estate"`)
	case p.Status() == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="estate", error="invalid_token", error_description="`+string(p.Code)+`"`)
	}
	var retry *RetryAfter
	if errors.As(err, &retry) {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Wait.Seconds()))))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status())
	body := struct {
		Code    problem.Code `json:"code"`
		Message string       `json:"message"`
		Remedy  string       `json:"remedy"`
	}{p.Code, p.Message(), p.Remedy()}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.DebugContext(r.Context(), "caller gone before the answer", slog.Any("error", err))
	}
}
