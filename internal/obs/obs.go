// Package obs is how the programs can be observed: the keys of log attributes, values that
// may not be logged, request ids, metrics and health.
//
// It must never know what a program does, and nothing in it may print a secret or what a
// customer wrote.
package obs

import (
	"fmt"
	"log/slog"
	"time"
)

// The keys of log attributes. Log lines are searched by them, so they never change.
const (
	keyError    = "error"
	keyRequest  = "request_id"
	keyPerson   = "person"
	keyBuilding = "building"
	keyNode     = "node"
	keyKind     = "kind"
	keyRecord   = "record"
	keyCode     = "code"
	keyRoute    = "route"
	keyMethod   = "method"
	keyStatus   = "status"
	keyBytes    = "bytes"
	keyDuration = "duration_ms"
	keyClient   = "client"
	keyAddress  = "address"
	keyPart     = "part"
)

// Error is the attribute of an error.
func Error(err error) slog.Attr { return slog.Any(keyError, err) }

// Request is the attribute of a request's id.
func Request(id string) slog.Attr { return slog.String(keyRequest, id) }

// Person is the attribute of a person's id; never log their name or address.
func Person(id fmt.Stringer) slog.Attr { return slog.String(keyPerson, id.String()) }

// Building is the attribute of a building's id.
func Building(id fmt.Stringer) slog.Attr { return slog.String(keyBuilding, id.String()) }

// Node is the attribute of a node's id.
func Node(id fmt.Stringer) slog.Attr { return slog.String(keyNode, id.String()) }

// Kind is the attribute of a kind of record.
func Kind(kind string) slog.Attr { return slog.String(keyKind, kind) }

// Record is the attribute of a record's id.
func Record(id fmt.Stringer) slog.Attr { return slog.String(keyRecord, id.String()) }

// Code is the attribute of a problem's or a protocol's code.
func Code[T ~string](code T) slog.Attr { return slog.String(keyCode, string(code)) }

// Route is the attribute of a route's pattern, never of the path that was asked for, which
// may hold anything.
func Route(pattern string) slog.Attr { return slog.String(keyRoute, pattern) }

// Method is the attribute of a request's method.
func Method(method string) slog.Attr { return slog.String(keyMethod, method) }

// Status is the attribute of an HTTP status.
func Status(status int) slog.Attr { return slog.Int(keyStatus, status) }

// Bytes is the attribute of a size.
func Bytes(n int64) slog.Attr { return slog.Int64(keyBytes, n) }

// Duration is the attribute of how long something took, in milliseconds.
func Duration(d time.Duration) slog.Attr {
	return slog.Float64(keyDuration, float64(d.Microseconds())/1000)
}

// Client is the attribute of a caller's network address.
func Client(address fmt.Stringer) slog.Attr { return slog.String(keyClient, address.String()) }

// Address is the attribute of an address that a program listens at or connects to.
func Address(address string) slog.Attr { return slog.String(keyAddress, address) }

// Part is the attribute of the part of a program that speaks.
func Part(name string) slog.Attr { return slog.String(keyPart, name) }

// Redacted is what a customer wrote or what only its owner may see. It logs its length
// only: enough to see that something was there.
type Redacted string

// LogValue implements slog.LogValuer.
func (r Redacted) LogValue() slog.Value { return slog.StringValue(r.String()) }

// String is what is printed in the text's place.
func (r Redacted) String() string {
	if r == "" {
		return "[empty]"
	}
	return fmt.Sprintf("[%d bytes]", len(r))
}

// GoString is the same for %#v.
func (r Redacted) GoString() string { return r.String() }
