package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"estate/internal/auth"
	"estate/internal/obs"
	"estate/internal/problem"
)

// Problem is the body of every error.
type Problem struct {
	Code      string               `json:"code" doc:"Stable code to match on" example:"invalid_input"`
	Message   string               `json:"message" doc:"What happened"`
	Remedy    string               `json:"remedy" doc:"What to do about it"`
	Errors    []problem.FieldError `json:"errors,omitempty" doc:"What is wrong with each field of the input"`
	RequestID string               `json:"request_id,omitempty" doc:"Names this request in the server's log"`

	status int
	header http.Header
}

// Error is the text for logs.
func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.header }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// useProblems makes our errors the library's. Its constructor is a variable of the
// library's package, read at each registration: it is set once for the whole process.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return fromLibrary(context.Background(), status, message, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		return fromLibrary(ctx.Context(), status, message, errs)
	}
})

// fromLibrary turns what the library found wrong with a request into a problem. Its 422
// becomes 400: one status for input that is not valid.
func fromLibrary(ctx context.Context, status int, message string, errs []error) *Problem {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		fields := make([]problem.FieldError, 0, len(errs))
		for _, err := range errs {
			fields = append(fields, fieldError(err))
		}
		p := problem.Invalid(fields...)
		if len(fields) == 0 {
			p.Detail = message
		}
		return toBody(ctx, p)
	case http.StatusUnsupportedMediaType:
		return toBody(ctx, problem.New(problem.ContentType, ""))
	case http.StatusRequestEntityTooLarge:
		return toBody(ctx, problem.New(problem.TooLarge, ""))
	}
	return toBody(ctx, problem.New(problem.Internal, ""))
}

// fieldError names a field as a client knows it, without echoing its value.
func fieldError(err error) problem.FieldError {
	var detailed huma.ErrorDetailer
	if errors.As(err, &detailed) {
		d := detailed.ErrorDetail()
		return problem.FieldError{Field: strings.TrimPrefix(d.Location, "body."), Message: d.Message}
	}
	return problem.FieldError{Message: err.Error()}
}

// toBody gives a problem the form in which it is sent.
func toBody(ctx context.Context, p *problem.Problem) *Problem {
	out := &Problem{Code: string(p.Code), Message: p.Message(), Remedy: p.Remedy(), Errors: p.Fields,
		RequestID: obs.RequestID(ctx), status: p.Status(), header: http.Header{}}
	var retry *auth.RetryAfter
	if errors.As(p.Err, &retry) {
		out.header.Set("Retry-After", strconv.Itoa(int(math.Ceil(retry.Wait.Seconds()))))
	}
	if out.status == http.StatusUnauthorized {
		out.header.Set("WWW-Authenticate", `Bearer realm="estate"`)
	}
	return out
}

// problemOf makes the answer to an error of a use case. What no person may see is logged
// here, once for each cause, and is not sent.
func problemOf(ctx context.Context, err error, failed *failures) *Problem {
	p := problem.From(err)
	switch {
	case ctx.Err() != nil && p.Code == problem.Internal:
		// The caller left or the time for the request is over: nothing is broken.
		p = problem.Wrap(problem.Unavailable, err, "")
	case p.Status() >= http.StatusInternalServerError:
		failed.note(ctx, p.Code, err)
	}
	return toBody(ctx, p)
}

// refuse answers a request outside the library's handlers.
func refuse(w http.ResponseWriter, r *http.Request, err error, failed *failures) {
	p := problemOf(r.Context(), err, failed)
	for name, values := range p.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(p) // a caller who left needs no answer
}
