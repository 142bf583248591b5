package media

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"estate/internal/problem"
)

const (
	// burstBytes is the grain of the rate limit: small enough not to hold up the text that
	// shares the line.
	burstBytes = 32 << 10
	// answerBytesMax bounds what is read of an error answer.
	answerBytesMax = 16 << 10
	// silenceMaxDefault ends a transfer on a connection that has died without saying so.
	silenceMaxDefault = time.Minute
)

// Peer is the other side of a lane.
type Peer struct {
	// HTTP is the client, with whatever signs its requests in its transport.
	HTTP *http.Client
	// Rate limits the bytes per second of all lanes that share it; nil is no limit. Make
	// it with NewRate.
	Rate *rate.Limiter
	// SilenceMax ends a request on which nothing moves; 1 min if 0.
	SilenceMax time.Duration
}

// NewRate limits transfers to a number of bytes per second.
func NewRate(bytesPerSecond int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(bytesPerSecond), burstBytes)
}

// LinkError is a failure of the way between the two sides, not of a file.
type LinkError struct{ Err error }

// Error is the text for logs.
func (e *LinkError) Error() string { return "no link: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *LinkError) Unwrap() error { return e.Err }

// RefusedError is an answer of the other side that is not what a transfer needs.
type RefusedError struct {
	Status  int
	Code    string
	Message string
}

// Error is the text for logs.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("refused with %d %s: %s", e.Status, e.Code, e.Message)
}

// call sends one request. The returned function ends it and must be called. Answers other
// than the wanted ones become errors: those that speak of the server and not of the file
// are link errors.
func (p Peer) call(ctx context.Context, r *http.Request, wanted ...int) (*http.Response, func(), error) {
	silence := p.SilenceMax
	if silence == 0 {
		silence = silenceMaxDefault
	}
	ctx, cancel := context.WithCancelCause(ctx)
	guard := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("nothing moved for %s in %s %s", silence, r.Method, r.URL.Path))
	})
	end := func() { guard.Stop(); cancel(nil) }
	moving := func() { guard.Reset(silence) }
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = io.NopCloser(&paced{ctx: ctx, r: r.Body, limit: p.Rate, moving: moving})
	}
	answer, err := p.HTTP.Do(r.WithContext(ctx)) //nolint:gosec // the address is the cloud that this box was enrolled at
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		end()
		return nil, nil, &LinkError{err}
	}
	answer.Body = &pacedBody{paced{ctx: ctx, r: answer.Body, limit: p.Rate, moving: moving}, answer.Body}
	finish := func() { _ = answer.Body.Close(); end() }
	for _, status := range wanted {
		if answer.StatusCode == status {
			return answer, finish, nil
		}
	}
	defer finish()
	return nil, nil, refusal(answer)
}

func refusal(answer *http.Response) error {
	refused := &RefusedError{Status: answer.StatusCode}
	body, _ := io.ReadAll(io.LimitReader(answer.Body, answerBytesMax)) // the status says enough
	var said struct{ Code, Message string }
	if json.Unmarshal(body, &said) == nil {
		refused.Code, refused.Message = said.Code, said.Message
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &LinkError{refused}
	}
	return refused
}

// hasStatus reports whether an error is an answer with one of these statuses.
func hasStatus(err error, statuses ...int) bool {
	var refused *RefusedError
	if !errors.As(err, &refused) {
		return false
	}
	for _, s := range statuses {
		if refused.Status == s {
			return true
		}
	}
	return false
}

// hasCode reports whether an error is an answer with this code.
func hasCode(err error, code problem.Code) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && refused.Code == string(code)
}

// paced reads no faster than the limit allows and tells that something moves.
type paced struct {
	ctx    context.Context
	r      io.Reader
	limit  *rate.Limiter
	moving func()
}

func (p *paced) Read(b []byte) (int, error) {
	if p.limit != nil && len(b) > p.limit.Burst() {
		b = b[:p.limit.Burst()]
	}
	n, err := p.r.Read(b)
	p.moving()
	if n > 0 && p.limit != nil {
		if waitErr := p.limit.WaitN(p.ctx, n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}

type pacedBody struct {
	paced
	io.Closer
}
