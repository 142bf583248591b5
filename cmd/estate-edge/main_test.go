package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"estate/internal/problem"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	for name, test := range map[string]struct {
		args  []string
		env   map[string]string
		out   string // part of what is printed
		err   string // part of the error
		usage bool
	}{
		"Version":       {args: []string{"version"}, out: "dev"},
		"Help":          {args: []string{"help"}, out: "enrol --code"},
		"NoCommand":     {args: []string{"fly"}, usage: true},
		"NoFlag":        {args: []string{"run", "--speed", "9"}, usage: true},
		"RunWord":       {args: []string{"run", "now"}, usage: true},
		"EnrolNoCode":   {args: []string{"enrol", "--cloud", "http://x"}, usage: true},
		"DeviceNoName":  {args: []string{"device", "add"}, usage: true},
		"DeviceRename":  {args: []string{"device", "rename", "x"}, usage: true},
		"RemoveNoName":  {args: []string{"device", "remove"}, usage: true},
		"RemoveNobody":  {args: []string{"device", "remove", "x", "--data", data}, err: "not_found"},
		"NoLogins":      {args: []string{"device", "logins", "--data", data}, out: "[]"},
		"LoginsOfWhom":  {args: []string{"device", "logins", "x"}, usage: true},
		"NotEnrolled":   {args: []string{"device", "add", "gw", "--gateway", "--data", data}, err: "not_enrolled"},
		"BadSetting":    {args: []string{"run"}, env: map[string]string{"ESTATE_EDGE_SPEED": "9"}, err: "ESTATE_EDGE_SPEED"},
		"BadAddress":    {args: []string{"run", "--listen", "here", "--data", data}, err: "listen"},
		"ClockOutside":  {args: []string{"run"}, env: map[string]string{"ESTATE_CLOCK_FILE": "x"}, err: "clock_file_refused"},
		"NoConfigThere": {args: []string{"run", "--config", "/does/not/exist"}, err: "no such file"},
	} {
		var out, errs bytes.Buffer
		err := run(t.Context(), test.args, test.env, &out, &errs)
		switch {
		case errors.Is(err, errUsage) != test.usage:
			t.Errorf("%s: %v", name, err)
		case test.usage && !strings.Contains(errs.String(), "estate-edge"):
			t.Errorf("%s: says %q", name, errs.String())
		case !test.usage && (err == nil) != (test.err == ""), err != nil && !strings.Contains(err.Error(), test.err):
			t.Errorf("%s: %v", name, err)
		case !strings.Contains(out.String(), test.out):
			t.Errorf("%s: printed %q", name, out.String())
		}
	}
}

// TestForPeople: who reads an error is told what to do.
func TestForPeople(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk on fire")
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"Problem":  {fmt.Errorf("add: %w", problem.New(problem.NotEnrolled, "")), problem.New(problem.NotEnrolled, "").Message() + ". " + problem.New(problem.NotEnrolled, "").Remedy()},
		"Cause":    {problem.Wrap(problem.Unavailable, disk, "the cloud"), "the cloud (disk on fire). " + problem.New(problem.Unavailable, "").Remedy()},
		"Spelled":  {problem.Wrap(problem.InvalidInput, problem.Invalid(), "--role one of a, b"), ": --role one of a, b. Correct"},
		"Internal": {disk, "disk on fire"},
	} {
		if got := forPeople(c.err); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, wanted %q", name, got, c.want)
		}
	}
}
