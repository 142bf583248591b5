// Package problem is the one form in which errors reach people: a stable code, a message
// that says what happened, and a remedy that says what to do. Errors that are not a
// *Problem are internal: their detail goes to the log and none of it to the caller.
//
// It must never import another package of this module.
package problem

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
)

// Code is a stable, documented identifier such as "ticket_not_found". Clients match on it;
// it never changes its meaning.
type Code string

// FieldError says what is wrong with one field of the input.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Problem is an error that a person may see.
type Problem struct {
	Code   Code
	Detail string       // what happened, in addition to the code's own message
	Fields []FieldError // per field, for invalid input
	Err    error        // cause, for the log only
}

// New builds a problem with a formatted detail.
func New(code Code, format string, args ...any) *Problem {
	return &Problem{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap builds a problem around a cause that is logged and never shown.
func Wrap(code Code, err error, format string, args ...any) *Problem {
	p := New(code, format, args...)
	p.Err = err
	return p
}

// Invalid builds an invalid_input problem from field errors.
func Invalid(fields ...FieldError) *Problem {
	return &Problem{Code: InvalidInput, Fields: fields}
}

// Error is the text for logs.
func (p *Problem) Error() string {
	text := string(p.Code)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.Err != nil {
		text += ": " + p.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// Is reports equality by code, so errors.Is(err, problem.New(code, "")) works.
func (p *Problem) Is(target error) bool {
	var t *Problem
	return errors.As(target, &t) && t.Code == p.Code
}

// From finds the problem in an error chain. Where there is none, a database or peer that
// did not get to answer is Unavailable, and anything else Internal; the error is the cause.
func From(err error) *Problem {
	var p *Problem
	switch {
	case errors.As(err, &p):
		return p
	case away(err):
		return &Problem{Code: Unavailable, Err: err}
	}
	return &Problem{Code: Internal, Err: err}
}

// awayClasses are the SQLSTATE classes of a database server that cannot work now:
// connection, resources, operator (it starts, stops or recovers), its disk.
func awayClasses() []string { return []string{"08", "53", "57", "58"} }

// away says that whoever was asked did not get to answer: trying again may help.
func away(err error) bool {
	var server interface{ SQLState() string }
	if errors.As(err, &server) {
		state := server.SQLState()
		return len(state) == 5 && slices.Contains(awayClasses(), state[:2])
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Message is what the caller is told: the code's own message and the detail.
func (p *Problem) Message() string {
	m := table[p.Code].message
	if m == "" {
		m = table[Internal].message
	}
	if p.Detail != "" && p.Code != Internal {
		m += ": " + p.Detail
	}
	return m
}

// Remedy says what the caller can do.
func (p *Problem) Remedy() string { return table[p.Code].remedy }

// Status is the HTTP status of the code; 500 for a code that is not in the table.
func (p *Problem) Status() int {
	if s := table[p.Code].status; s != 0 {
		return s
	}
	return http.StatusInternalServerError
}

// HasCode reports whether an error carries this code.
func HasCode(err error, code Code) bool {
	var p *Problem
	return errors.As(err, &p) && p.Code == code
}
