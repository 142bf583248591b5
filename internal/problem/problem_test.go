package problem_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"estate/internal/problem"
)

// sqlError is a database server's error, as its driver gives it.
type sqlError string

func (e sqlError) Error() string    { return "server error" }
func (e sqlError) SQLState() string { return string(e) }

// TestFrom: who asks is told to try again where that may help, and nothing of what is wrong
// inside.
func TestFrom(t *testing.T) {
	t.Parallel()
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for name, test := range map[string]struct {
		err  error
		want problem.Code
	}{
		"Problem":          {fmt.Errorf("find: %w", problem.New(problem.NotFound, "")), problem.NotFound},
		"ProblemOverCause": {problem.Wrap(problem.RateLimited, dial, ""), problem.RateLimited},
		"Recovering":       {fmt.Errorf("look up: %w", sqlError("57P03")), problem.Unavailable},
		"TooManyClients":   {sqlError("53300"), problem.Unavailable},
		"ConnectionLost":   {sqlError("08006"), problem.Unavailable},
		"BadStatement":     {sqlError("42601"), problem.Internal},
		"NoState":          {sqlError(""), problem.Internal},
		"NobodyThere":      {fmt.Errorf("look up: %w", dial), problem.Unavailable},
		"CutOff":           {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), problem.Unavailable},
		"Bug":              {errors.New("index out of range"), problem.Internal},
	} {
		got := problem.From(test.err)
		if got.Code != test.want || got.Detail != "" {
			t.Errorf("%s: %s %q", name, got.Code, got.Detail)
		}
	}
}
