package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"estate/internal/auth"
	"estate/internal/problem"
)

// routeOpen is the name of routes that answer without a token. Every other route of the
// router needs one, whoever added it.
const routeOpen = "open"

// admit runs after the match and before every handler: rate limits, and who is calling.
func (a *API) admit(next http.Handler) http.Handler {
	known := auth.Middleware(a.cfg.Auth.Verify, a.cfg.Log)(a.identified(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := limitKey(clientOf(r.Context()).IP)
		if err := take(a.byAddress, key); err != nil {
			refuse(w, r, err, a.failures)
			return
		}
		if route := mux.CurrentRoute(r); route != nil && route.GetName() == routeOpen {
			next.ServeHTTP(w, r)
			return
		}
		known.ServeHTTP(w, r)
	})
}

// identified runs with an identity in the context.
func (a *API) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := auth.FromContext(r.Context())
		if !ok {
			refuse(w, r, problem.New(problem.Unauthenticated, ""), a.failures)
			return
		}
		if rec, ok := r.Context().Value(recorderKey{}).(*recorder); ok {
			rec.person = id.Person.String()
		}
		if err := take(a.byPerson, id.Person.String()); err != nil {
			refuse(w, r, err, a.failures)
			return
		}
		// An edge's token is good for its own building, whatever the memberships say.
		if building, has := mux.Vars(r)["building"]; has && !id.Building.IsZero() && !strings.EqualFold(building, id.Building.String()) {
			refuse(w, r, problem.New(problem.NotFound, ""), a.failures)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func take(l *auth.Limiter, key string) error {
	if wait, ok := l.Take(key); !ok {
		return problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: wait}, "")
	}
	return nil
}

// readJSON reads the body of an operation whole, within limits of size and time, before
// the library sees it: Go's decoder would quietly replace bytes that are no UTF-8.
func (a *API) readJSON(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		if err := a.bufferJSON(w, r); err != nil {
			refuse(w, r, err, a.failures)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *API) bufferJSON(w http.ResponseWriter, r *http.Request) error {
	deadline := http.NewResponseController(w)
	if err := deadline.SetReadDeadline(a.cfg.Now().Add(bodyWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return problem.Wrap(problem.Unavailable, err, "")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.cfg.Limits.JSONBytes))
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return problem.New(problem.TooLarge, "at most %d bytes", tooLarge.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return problem.New(problem.BodyTimeout, "")
	case err != nil:
		return problem.Wrap(problem.InvalidInput, err, "the body ended early")
	case len(body) > 0 && !isJSON(r.Header.Get("Content-Type")):
		return problem.New(problem.ContentType, "")
	case !utf8.Valid(body):
		return problem.New(problem.NotUTF8, "")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}

// isJSON also keeps simple cross-site forms out: a browser sends application/json to
// another site only after asking it.
func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), "application/json")
}
