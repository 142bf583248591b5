package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	controlFile = "run/control.sock"
	// controlTimeout bounds one exchange; everything it does is immediate.
	controlTimeout = 5 * time.Second
	// controlBytesMax bounds a request: a verb and a building's name.
	controlBytesMax = 4 << 10
)

// request is one line to the running demo.
type request struct {
	Verb     string `json:"verb"`
	Building string `json:"building"`
}

// reply is its one line of answer.
type reply struct {
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

var errNotRunning = errors.New("no demo is running with this data folder: start it with make run or estate demo")

// listen opens the control socket of a data folder, which the caller has locked: one that
// is there is a killed run's.
func listen(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, controlFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove an old control socket: %w", err)
	}
	var config net.ListenConfig
	// The folder is for its owner alone, and so is the socket.
	listener, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return listener, nil
}

// serve answers requests until the listener is closed.
func serve(listener net.Listener, handle func(request) (string, error)) {
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		open.Go(func() { answer(conn, handle) })
	}
}

func answer(conn net.Conn, handle func(request) (string, error)) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout)) // a closed connection says so below
	var asked request
	var said reply
	line, err := bufio.NewReader(io.LimitReader(conn, controlBytesMax)).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &asked)
	}
	if err == nil {
		said.Text, err = handle(asked)
	}
	if err != nil {
		said.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(said) // who asked has gone
}

// ask sends one request to the demo that runs with a data folder.
func ask(ctx context.Context, dir string, asked request) (string, error) {
	dialer := net.Dialer{Timeout: controlTimeout}
	conn, err := dialer.DialContext(ctx, "unix", filepath.Join(dir, controlFile))
	if err != nil {
		return "", fmt.Errorf("%w (%w)", errNotRunning, err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(controlTimeout)); err != nil {
		return "", fmt.Errorf("talk to the demo: %w", err)
	}
	var said reply
	if err := json.NewEncoder(conn).Encode(asked); err != nil {
		return "", fmt.Errorf("talk to the demo: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(conn, controlBytesMax)).Decode(&said); err != nil {
		return "", fmt.Errorf("talk to the demo: %w", err)
	}
	if said.Error != "" {
		return "", errors.New(said.Error)
	}
	return said.Text, nil
}
