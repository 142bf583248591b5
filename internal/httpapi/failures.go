package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"estate/internal/obs"
	"estate/internal/problem"
)

const (
	// failureEvery is how often one cause is logged while it lasts: a database that is away
	// fails each request of a whole fleet.
	failureEvery = 10 * time.Second
	// failuresMax bounds the causes that are told apart, and failureCharsMax what is
	// compared of each.
	failuresMax     = 64
	failureCharsMax = 120
)

// failures logs what no caller may see: the first request that fails for a cause, and then
// at most one in failureEvery, with the number of those between. It is safe for concurrent
// use.
type failures struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	causes map[string]*failure
}

// failure is one cause.
type failure struct {
	logged time.Time
	hidden int
}

func newFailures(log *slog.Logger, now func() time.Time) *failures {
	return &failures{log: log, now: now, causes: map[string]*failure{}}
}

// note logs a failure, unless its cause was logged just now.
func (f *failures) note(ctx context.Context, code problem.Code, err error) {
	hidden, log := f.due(string(code) + " " + causeOf(err))
	if !log {
		return
	}
	attributes := []any{obs.Code(code), obs.Error(err)}
	if hidden > 0 {
		attributes = append(attributes, slog.Int("not_logged", hidden))
	}
	f.log.ErrorContext(ctx, "request failed", attributes...)
}

func (f *failures) due(cause string) (hidden int, log bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	known := f.causes[cause]
	if known != nil && now.Sub(known.logged) < failureEvery && !now.Before(known.logged) {
		known.hidden++
		return 0, false
	}
	if known == nil {
		if len(f.causes) >= failuresMax {
			clear(f.causes)
		}
		known = &failure{}
		f.causes[cause] = known
	}
	hidden = known.hidden
	known.logged, known.hidden = now, 0
	return hidden, true
}

// causeOf is the beginning of the innermost error: what wraps it names the request.
func causeOf(err error) string {
	for {
		switch inner := errors.Unwrap(err); {
		case inner != nil:
			err = inner
		case err == nil:
			return ""
		default:
			text := err.Error()
			return text[:min(len(text), failureCharsMax)]
		}
	}
}
