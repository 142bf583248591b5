// Package e2e_test runs the real programs, a real PostgreSQL and a real broker, end to end.
//
// It must never wait for a moment in time, only for what must happen, with a deadline.
package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab"
	"estate/internal/lab/labtest"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	// patience is what anything here gets on a busy machine.
	patience = 60 * time.Second
	every    = 25 * time.Millisecond
)

func TestMain(m *testing.M) { labtest.Main(m) }

// world is one test's own estate.
type world struct {
	*stack.Stack
	t *testing.T
}

// oak is the plan with one building.
func oak() stack.Plan {
	plan := stack.DefaultPlan()
	plan.Buildings = plan.Buildings[:1]
	var people []stack.Person
	for _, p := range plan.People {
		delete(p.Roles, "PINE")
		if len(p.Roles) > 0 {
			people = append(people, p)
		}
	}
	plan.People = people
	return plan
}

// begin opens a stack, starts one cloud process and seeds it.
func begin(t *testing.T, plan stack.Plan, durable bool) (*world, *stack.Cloud) {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "estate-e2e-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's account passes through
		t.Fatal(err)
	}
	s, err := stack.Open(t.Context(), stack.Options{Dir: dir, Binaries: labtest.Binaries(t), FullDurability: durable})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{s, t}
	t.Cleanup(func() {
		if t.Failed() {
			w.logs()
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	cloud, err := s.StartCloud(t.Context(), "cloud-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Seed(t.Context(), cloud, plan); err != nil {
		t.Fatal(err)
	}
	return w, cloud
}

// logs prints the end of each program's log.
func (w *world) logs() {
	for _, p := range w.Processes() {
		w.t.Logf("log of %s ends:\n%s", p.Name(), p.LogTail())
	}
}

// edge enrols and starts a building's edge and waits until it knows its people.
func (w *world) edge(cloud *stack.Cloud, building string) *stack.Edge {
	w.t.Helper()
	e, err := w.AddEdge(w.t.Context(), building, cloud)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := e.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return e
}

// as signs a person in, as soon as the server knows them.
func (w *world) as(base, key string) *apiclient.Client {
	w.t.Helper()
	var client *apiclient.Client
	until(w.t, key+" to be known at "+base, 500*time.Millisecond, func() (err error) {
		client, err = w.SignIn(w.t.Context(), base, key)
		return err
	})
	return client
}

// until polls a condition; the last reason why it did not hold is in the failure.
func until(t *testing.T, what string, interval time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last error
	err := stack.PollEvery(ctx, interval, what, func() (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, last)
	}
}

// tickets reads all tickets of a building, by id.
func tickets(ctx context.Context, client *apiclient.Client, building record.ID) (map[record.ID]desk.Ticket, error) {
	all, err := client.Tickets(ctx, building, nil)
	out := map[record.ID]desk.Ticket{}
	for _, t := range all {
		out[t.ID] = t
	}
	return out, err
}

// converged waits until both sides list the same tickets with the same tokens, which stand
// for the same bytes of state, and gives them.
func converged(t *testing.T, one, other *apiclient.Client, building record.ID) map[record.ID]desk.Ticket {
	t.Helper()
	var held map[record.ID]desk.Ticket
	until(t, "both sides to hold the same tickets", 200*time.Millisecond, func() error {
		mine, err := tickets(t.Context(), one, building)
		if err != nil {
			return err
		}
		theirs, err := tickets(t.Context(), other, building)
		if err != nil {
			return err
		}
		if len(mine) != len(theirs) {
			return fmt.Errorf("%d tickets here, %d there", len(mine), len(theirs))
		}
		for id, ticket := range mine {
			if there := theirs[id]; ticket.Seen != there.Seen || ticket.Title != there.Title || ticket.Status != there.Status || ticket.Priority != there.Priority {
				return fmt.Errorf("ticket %s: %+v here, %+v there", id, ticket, there)
			}
		}
		held = mine
		return nil
	})
	return held
}

// run runs the operator's program and gives what it printed.
func run(t *testing.T, env []string, arguments ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, labtest.Binaries(t).Estate, arguments...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// credentials is the environment in which the operator's program speaks for a person.
func (w *world) credentials(base, key string) []string {
	p := w.State.Person(key)
	return []string{"ESTATE_API=" + base, "ESTATE_EMAIL=" + p.Email, "ESTATE_PASSWORD=" + p.Password}
}

// publish is mosquitto_pub: a real client that is not ours.
func publish(t *testing.T, e *stack.Edge, login stack.Login, topic, payload string, retain bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	arguments := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(e.MQTTPort()), "-i", login.ClientID, "-u", login.Username, "-P", login.Password,
		"-q", "1", "-t", topic, "-s"}
	if retain {
		arguments = append(arguments, "-r")
	}
	return lab.Publish(ctx, "mosquitto_pub", payload, arguments...)
}

var errNotYet = errors.New("not yet")
