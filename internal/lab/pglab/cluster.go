// Package pglab starts and stops a private PostgreSQL cluster for the demo,
// benches and tests, by running initdb and postgres themselves.
//
// It must never touch a cluster that it did not create: not the
// distribution's, and not one that another folder holds. The server listens
// on loopback only and asks every connection for a password.
package pglab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/lab/child"
)

const (
	// superuser is the one role of the cluster.
	superuser = "estate"
	// startTimeout covers crash recovery of a large demo on a slow disk.
	startTimeout = 60 * time.Second
	// stopTimeout is for a fast shutdown with its checkpoint.
	stopTimeout = 30 * time.Second
	// killTimeout is for the kernel to take a killed process away.
	killTimeout = 10 * time.Second
	// startAttemptsMax: a chosen free port may be taken before we bind it;
	// three times in a row is not chance.
	startAttemptsMax = 3
	// connectionsMax serves several cloud processes and parallel tests.
	connectionsMax = 200
	sharedMB       = 64
)

// Options say where and how a cluster runs. The zero value is a throw-away
// cluster for tests.
type Options struct {
	// Dir keeps the cluster; a cluster that is already there is used again
	// and what a killed run left running in it is ended first. Empty: a new
	// temporary folder, removed by Stop.
	Dir string
	// Port on 127.0.0.1; 0 chooses a free one.
	Port int
	// FullDurability keeps fsync on: for the demo and crash tests.
	FullDurability bool
	// SharedMB is the memory in which the server keeps pages of tables (shared_buffers), in
	// megabytes; 0 means 64, enough for a demo and a test.
	SharedMB int
}

// Cluster is one private PostgreSQL server. Its methods may be called from
// several goroutines.
type Cluster struct {
	options   Options
	bin       string
	dir       string
	temporary bool
	account   *syscall.Credential
	password  string

	mu   sync.Mutex
	port int
	cmd  *exec.Cmd
}

// Start creates the cluster, or opens the one in Options.Dir, and returns when
// it takes connections. Fails with ErrNoServer where PostgreSQL is missing.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	bin, err := Binaries()
	if err != nil {
		return nil, err
	}
	as, err := account()
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: options, bin: bin, account: as}
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	err = c.create(ctx)
	if err == nil {
		err = c.endLeftover(ctx)
	}
	if err == nil {
		err = c.launch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, c.removeTemporary())
	}
	return c, nil
}

// URL is the connection string of one database, password included.
func (c *Cluster) URL(database string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, c.password),
		Host: "127.0.0.1:" + strconv.Itoa(c.port), Path: "/" + database, RawQuery: "sslmode=disable",
	}).String()
}

// Port is the loopback port the server listens on; Restart keeps it.
func (c *Cluster) Port() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.port
}

// PID is the postmaster's process id, 0 while the server is down.
func (c *Cluster) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Dir is the folder that holds the cluster.
func (c *Cluster) Dir() string { return c.dir }

// LogPath is the file the server logs to.
func (c *Cluster) LogPath() string { return filepath.Join(c.dir, "postgres.log") }

// CreateDatabase makes an empty database, as a copy of template where one is
// named (nobody may be connected to it then).
func (c *Cluster) CreateDatabase(ctx context.Context, name, template string) error {
	statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		statement += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	return c.exec(ctx, "create database "+name, statement)
}

// HasDatabase says whether a database of that name exists.
func (c *Cluster) HasDatabase(ctx context.Context, name string) (found bool, err error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return false, fmt.Errorf("look for database %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("look for database %s: %w", name, err)
	}
	return found, nil
}

// DropDatabase removes a database and ends the sessions that use it.
func (c *Cluster) DropDatabase(ctx context.Context, name string) error {
	return c.exec(ctx, "drop database "+name,
		"DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

func (c *Cluster) exec(ctx context.Context, what, statement string) (err error) {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// launch starts the server, on another port where the chosen one was taken.
func (c *Cluster) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil {
		return fmt.Errorf("start PostgreSQL in %s: it runs already as process %d", c.dir, c.cmd.Process.Pid)
	}
	if c.port != 0 {
		return c.launchOn(ctx, c.port)
	}
	if c.options.Port != 0 {
		return c.launchOn(ctx, c.options.Port)
	}
	var failures []error
	for range startAttemptsMax {
		port, err := child.FreePort(ctx)
		if err != nil {
			return err
		}
		if err = c.launchOn(ctx, port); err == nil {
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// launchOn requires c.mu.
func (c *Cluster) launchOn(ctx context.Context, port int) error {
	log, err := os.OpenFile(c.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open PostgreSQL's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	// The server outlives ctx, which bounds only its start.
	cmd := exec.Command(filepath.Join(c.bin, "postgres"), c.arguments(port)...) //nolint:gosec,noctx // the binary the operator installed; see above
	cmd.Dir, cmd.Env = c.dir, environment()
	cmd.Stdout, cmd.Stderr = log, log
	// On our death the server shuts down by itself, cleanly.
	cmd.SysProcAttr = child.Attr(c.account, syscall.SIGINT)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	c.cmd, c.port = cmd, port
	if err := c.waitReady(ctx, cmd, port); err != nil {
		c.cmd, c.port = nil, 0
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("start PostgreSQL in %s: %w; its log ends:\n%s", c.dir, err, c.logTail())
	}
	return nil
}

func (c *Cluster) waitReady(ctx context.Context, cmd *exec.Cmd, port int) error {
	config, err := pgx.ParseConfig("sslmode=disable host=127.0.0.1 dbname=postgres user=" + superuser + " port=" + strconv.Itoa(port))
	if err != nil {
		return fmt.Errorf("describe the connection: %w", err)
	}
	config.Password = c.password
	return child.Poll(ctx, "PostgreSQL to take connections", func() (bool, error) {
		if !child.Alive(cmd.Process.Pid) {
			return false, errors.New("it ended")
		}
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return false, nil //nolint:nilerr // not yet; the next attempt decides
		}
		return true, conn.Close(ctx)
	})
}

func (c *Cluster) arguments(port int) []string {
	settings := []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=UTC", "log_timezone=UTC",
		"max_connections=" + strconv.Itoa(connectionsMax), fmt.Sprintf("shared_buffers=%dMB", cmp.Or(c.options.SharedMB, sharedMB)), "logging_collector=off",
	}
	if !c.options.FullDurability {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
	}
	arguments := []string{"-D", c.data(), "-p", strconv.Itoa(port)}
	for _, setting := range settings {
		arguments = append(arguments, "-c", setting)
	}
	return arguments
}

// environment keeps the caller's PG* variables and locale out of the server.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/"}
}

// logTail is what a person needs to see of a failed start.
func (c *Cluster) logTail() string {
	text, err := os.ReadFile(c.LogPath())
	if err != nil {
		return err.Error()
	}
	const linesMax = 12
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-linesMax):], "\n")
}
