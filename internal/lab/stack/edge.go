package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"estate/internal/lab"
	"estate/internal/lab/child"
	"estate/internal/lab/faultproxy"
)

// commandTimeout bounds one run of an edge's own command.
const commandTimeout = 60 * time.Second

// Edge is one building's edge and the line to the cloud.
type Edge struct {
	Place *Place
	// Line can be cut and restored.
	Line *faultproxy.Proxy
	// Env is added to the environment of each start.
	Env     []string
	stack   *Stack
	copied  string // the data folder of a copy; empty for the building's own edge
	port    int
	mqtt    int
	process *lab.Process
}

// Base is the address of its API.
func (e *Edge) Base() string { return "http://" + address(e.port) }

// MQTT is the host and port of its broker.
func (e *Edge) MQTT() string { return address(e.mqtt) }

// MQTTPort is the port of its broker.
func (e *Edge) MQTTPort() int { return e.mqtt }

// Process is the running program.
func (e *Edge) Process() *lab.Process { return e.process }

// Dir is the edge's own data folder.
func (e *Edge) Dir() string {
	if e.copied != "" {
		return e.copied
	}
	return filepath.Join(e.stack.options.Dir, "edge-"+strings.ToLower(e.Place.Code))
}

// Edge finds an edge by its building's code or name; nil where none was started.
func (s *Stack) Edge(building string) *Edge {
	place := s.State.Building(building)
	s.mu.Lock()
	defer s.mu.Unlock()
	if place == nil {
		return nil
	}
	return s.edges[place.Code]
}

// AddEdge prepares the edge of a seeded building: its line to the cloud, its ports, and,
// the first time, its enrolment. It does not run yet.
func (s *Stack) AddEdge(ctx context.Context, building string, cloud *Cloud) (*Edge, error) {
	place := s.State.Building(building)
	if place == nil {
		return nil, fmt.Errorf("add an edge: no building is called %q", building)
	}
	line, err := newLine(ctx, address(cloud.port))
	if err != nil {
		return nil, err
	}
	e := &Edge{Place: place, Line: line, stack: s}
	key := strings.ToLower(place.Code)
	if e.port, err = s.port(ctx, "edge-"+key); err == nil {
		e.mqtt, err = s.port(ctx, "mqtt-"+key)
	}
	if err == nil && !place.Enrolled {
		err = s.enrol(ctx, e, cloud)
	}
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	s.mu.Lock()
	s.edges[place.Code] = e
	s.mu.Unlock()
	return e, nil
}

// StartCopy starts another edge on a copy of an edge's data folder: the same key, on ports
// and a line of its own.
func (s *Stack) StartCopy(ctx context.Context, of *Edge, dir string, cloud *Cloud) (*Edge, error) {
	line, err := newLine(ctx, address(cloud.port))
	if err != nil {
		return nil, err
	}
	e := &Edge{Place: of.Place, Line: line, stack: s, copied: dir}
	key := strings.ToLower(of.Place.Code) + "-copy"
	if e.port, err = s.port(ctx, "edge-"+key); err == nil {
		e.mqtt, err = s.port(ctx, "mqtt-"+key)
	}
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	s.mu.Lock()
	s.edges[of.Place.Code+" copy"] = e
	s.mu.Unlock()
	return e, e.Start(ctx)
}

// enrol gives the edge a one-time code of an administrator's.
func (s *Stack) enrol(ctx context.Context, e *Edge, cloud *Cloud) error {
	s.progress("%s: enrolling its edge", e.Place.Name)
	admin, err := s.SignIn(ctx, cloud.Base(), "admin")
	if err != nil {
		return err
	}
	code, err := admin.CreateEnrolCode(ctx, e.Place.ID)
	if err != nil {
		return fmt.Errorf("make an enrolment code for %s: %w", e.Place.Name, err)
	}
	if _, err := e.command(ctx, "enrol", "--data", e.Dir(), "--cloud", cloud.Base(), "--code", code.Code); err != nil {
		return err
	}
	return s.remember(func() { e.Place.Enrolled = true })
}

// command runs the edge's program with arguments and gives what it printed.
func (e *Edge) command(ctx context.Context, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.stack.options.Binaries.Edge, arguments...) //nolint:gosec // our own program
	log, err := os.OpenFile(e.stack.logPath("edge-commands"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	defer func() { _ = log.Close() }()
	var said strings.Builder
	cmd.Stderr = &said
	output, err := cmd.Output()
	_, _ = log.WriteString(said.String()) // the error below has it too
	if err != nil {
		return nil, fmt.Errorf("estate-edge %s: %w: %s", arguments[0], err, strings.TrimSpace(said.String()))
	}
	return output, nil
}

// Start starts the edge, or starts it again after it ended.
func (e *Edge) Start(ctx context.Context) error {
	name := "edge-" + strings.ToLower(e.Place.Code)
	if e.copied != "" {
		name += "-copy"
	}
	e.stack.progress("%s: starting its edge on %s", e.Place.Name, e.Base())
	process, err := e.stack.start(ctx, lab.Spec{
		Name: name, Path: e.stack.options.Binaries.Edge, ReadyURL: e.Base() + "/readyz",
		Env:  e.Env,
		Args: []string{"--data", e.Dir(), "--listen", address(e.port), "--mqtt-listen", e.MQTT(), "--cloud-url", "http://" + e.Line.Addr()},
	})
	if err != nil {
		return err
	}
	e.stack.mu.Lock()
	e.process = process
	e.stack.mu.Unlock()
	return e.stack.notePIDs()
}

// Kill9 ends the edge as a power cut would.
func (e *Edge) Kill9() error {
	if e.process == nil {
		return errors.New("kill an edge: it does not run")
	}
	return e.process.Kill9()
}

// Gateway gives the login of the building's Zigbee2MQTT, made at the first call.
func (e *Edge) Gateway(ctx context.Context) (Login, error) {
	if e.Place.Gateway.Username != "" {
		return e.Place.Gateway, nil
	}
	login, err := e.AddDevice(ctx, "zigbee2mqtt", "--gateway", "--base", "zigbee2mqtt")
	if err != nil {
		return Login{}, err
	}
	return login, e.stack.remember(func() { e.Place.Gateway = login })
}

// AddDevice makes a login at the edge's broker.
func (e *Edge) AddDevice(ctx context.Context, name string, flags ...string) (Login, error) {
	output, err := e.command(ctx, append([]string{"device", "add", "--data", e.Dir(), name}, flags...)...)
	if err != nil {
		return Login{}, err
	}
	var login Login
	if err := json.Unmarshal(output, &login); err != nil || login.Username == "" || login.Password == "" {
		return Login{}, fmt.Errorf("add device %s: understand what the edge printed: %w", name, errors.Join(err, errNoLogin))
	}
	if login.ClientID == "" {
		login.ClientID = login.Username
	}
	return login, nil
}

var errNoLogin = errors.New("a username and a password were expected")

// PollEvery calls done at once and then at each interval until it answers true, fails, or
// ctx ends.
func PollEvery(ctx context.Context, every time.Duration, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	return child.Poll(ctx, what, func() (bool, error) {
		ok, err := done()
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
		return false, nil
	})
}
