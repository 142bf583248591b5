// Package stack runs a whole estate on this machine: PostgreSQL, cloud processes, and an
// edge per building behind a line that can be cut. The demo, benches and end-to-end tests
// share it.
//
// It must never reach into a store: everything it sets up goes through the programs'
// command lines and the public API.
package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"estate/internal/lab"
	"estate/internal/lab/faultproxy"
	"estate/internal/lab/pglab"
)

const (
	// readyTimeout covers migrations and a cold start on a busy machine.
	readyTimeout = 60 * time.Second
	// stopTimeout is what a program gets to end in order, on a disk that others keep busy.
	stopTimeout = time.Minute
	// databaseName is the one database of a private cluster.
	databaseName = "estate"
	// lineSeed makes the lines' latencies repeat.
	lineSeed = 20
)

// Options say where and what to run.
type Options struct {
	// Dir keeps everything. With a private cluster, PostgreSQL's account must be able to
	// enter it: see pglab.
	Dir      string
	Binaries lab.Binaries
	// DatabaseURL is an existing empty database; empty starts a private cluster in Dir.
	DatabaseURL string
	// FullDurability keeps PostgreSQL's fsync on.
	FullDurability bool
	// SharedMB is the private cluster's memory for pages: see pglab.
	SharedMB int
	// Progress takes a line per step; nil for none.
	Progress func(line string)
}

// Stack is what runs. One goroutine at a time may start, kill and stop parts; reading is
// free.
type Stack struct {
	State   State
	Cluster *pglab.Cluster // nil where the database is somebody else's
	options Options
	lock    *os.File
	url     string

	remembering sync.Mutex // held while State or the list of process ids is written

	mu     sync.Mutex
	clouds map[string]*Cloud
	edges  map[string]*Edge
	// reserved are the UDP ports that are held for TCP ports of the same number.
	reserved map[int]net.PacketConn
}

// Open takes the folder, ends what a killed run left in it, and starts PostgreSQL. It fails
// with ErrRunning where another run has the folder.
func Open(ctx context.Context, options Options) (*Stack, error) {
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolve the data folder: %w", err)
	}
	// The server's account passes through; what is inside is for the owner alone.
	if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // as said
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	options.Dir = dir
	if options.Progress == nil {
		options.Progress = func(string) {}
	}
	held, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &Stack{options: options, lock: held, clouds: map[string]*Cloud{}, edges: map[string]*Edge{}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) open(ctx context.Context) error {
	ended, err := endLeftovers(ctx, s.options.Dir)
	for _, name := range ended {
		s.progress("ended %s, which a killed run had left behind", name)
	}
	if err != nil {
		return err
	}
	if s.State, err = loadState(s.options.Dir); err != nil {
		return err
	}
	for _, folder := range []string{"log", "run"} {
		if err := os.MkdirAll(filepath.Join(s.options.Dir, folder), 0o700); err != nil {
			return fmt.Errorf("make the folder %s: %w", folder, err)
		}
	}
	if s.options.DatabaseURL != "" {
		s.url = s.options.DatabaseURL
		return nil
	}
	port, err := s.port(ctx, "postgres")
	if err != nil {
		return err
	}
	s.progress("PostgreSQL: starting a private cluster on port %d", port)
	s.Cluster, err = pglab.Start(ctx, pglab.Options{Dir: filepath.Join(s.options.Dir, "postgres"), Port: port, FullDurability: s.options.FullDurability, SharedMB: s.options.SharedMB})
	if err != nil {
		return err
	}
	found, err := s.Cluster.HasDatabase(ctx, databaseName)
	if err == nil && !found {
		err = s.Cluster.CreateDatabase(ctx, databaseName, "")
	}
	s.url = s.Cluster.URL(databaseName)
	return err
}

// Dir is the folder that keeps everything.
func (s *Stack) Dir() string { return s.options.Dir }

// DatabaseURL is the clouds' database, password included: a secret.
func (s *Stack) DatabaseURL() string { return s.url }

func (s *Stack) progress(format string, args ...any) {
	s.options.Progress(fmt.Sprintf(format, args...))
}

func (s *Stack) logPath(name string) string {
	return filepath.Join(s.options.Dir, "log", name+".log")
}

// start starts a program in this stack and waits until it is ready.
func (s *Stack) start(ctx context.Context, spec lab.Spec) (*lab.Process, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	spec.LogPath = s.logPath(spec.Name)
	return lab.StartReady(ctx, spec)
}

// Processes lists the programs that were started, ended ones too.
func (s *Stack) Processes() []*lab.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*lab.Process
	for _, c := range s.clouds {
		if c.process != nil {
			all = append(all, c.process)
		}
	}
	for _, e := range s.edges {
		if e.process != nil {
			all = append(all, e.process)
		}
	}
	return all
}

// Stop ends everything in order: edges, clouds, PostgreSQL. It may be called on a stack
// that was only half opened.
func (s *Stack) Stop() error {
	s.mu.Lock()
	edges, clouds := s.edges, s.clouds
	s.edges, s.clouds = map[string]*Edge{}, map[string]*Cloud{}
	s.mu.Unlock()
	var mu sync.Mutex
	var failures []error
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, err)
	}
	var ending sync.WaitGroup
	for _, e := range edges {
		ending.Go(func() { note(errors.Join(stop(e.process), e.Line.Close())) })
	}
	ending.Wait()
	for _, c := range clouds {
		ending.Go(func() { note(stop(c.process)) })
	}
	ending.Wait()
	if s.Cluster != nil {
		note(s.Cluster.Stop())
	}
	if len(edges)+len(clouds) > 0 {
		note(s.notePIDs())
	}
	s.mu.Lock()
	for _, held := range s.reserved {
		note(held.Close())
	}
	s.reserved = nil
	s.mu.Unlock()
	note(unlock(s.lock))
	return errors.Join(failures...)
}

func stop(p *lab.Process) error {
	if p == nil {
		return nil
	}
	return p.Terminate(stopTimeout)
}

// newLine makes the line between an edge and a cloud.
func newLine(ctx context.Context, target string) (*faultproxy.Proxy, error) {
	return faultproxy.Start(ctx, target, lineSeed)
}
