package problem

import "net/http"

// The codes. Each has one row in the table below.
const (
	Internal        Code = "internal"
	InvalidInput    Code = "invalid_input"
	NotFound        Code = "not_found"
	Forbidden       Code = "forbidden"
	Unauthenticated Code = "unauthenticated"
	TooLarge        Code = "too_large"
	RateLimited     Code = "rate_limited"
	Conflict        Code = "conflict"
	Unavailable     Code = "unavailable"
)

type row struct {
	status  int
	message string
	remedy  string
}

// table is the one list of codes with their HTTP status, message and remedy. It is
// constant data: nothing writes to it.
var table = map[Code]row{
	Internal:        {http.StatusInternalServerError, "Something went wrong on our side", "Try again; if it happens again, give the operator the request id."},
	InvalidInput:    {http.StatusBadRequest, "The input is not valid", "Correct the fields named and send it again."},
	NotFound:        {http.StatusNotFound, "There is no such thing, or you may not see it", "Check the address; ask a manager if you should have access."},
	Forbidden:       {http.StatusForbidden, "Your role does not allow this", "Ask a manager of the building to do it or to change your role."},
	Unauthenticated: {http.StatusUnauthorized, "You are not signed in", "Sign in and try again."},
	TooLarge:        {http.StatusRequestEntityTooLarge, "The request is larger than the limit", "Send less at once."},
	RateLimited:     {http.StatusTooManyRequests, "Too many requests", "Wait for the time in Retry-After and try again."},
	Conflict:        {http.StatusConflict, "The request conflicts with the current state", "Read the current state and decide again."},
	Unavailable:     {http.StatusServiceUnavailable, "The service cannot answer now", "Try again in a few seconds."},
}

// Codes lists every code of the table, for documentation and tests.
func Codes() []Code {
	out := make([]Code, 0, len(table))
	for c := range table {
		out = append(out, c)
	}
	return out
}
