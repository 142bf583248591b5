package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"estate/internal/apiclient"
	"estate/internal/lab"
)

const (
	scripts = "tests/bench"
	// peerTimeout bounds the peer's whole run: it is several times slower.
	peerTimeout  = 15 * time.Minute
	goalOfPeer   = 5.0
	pouchPackage = "node_modules/express-pouchdb"
)

// errNoPeer says that the peer is not installed here.
var errNoPeer = errors.New("run scripts/npm-packages.sh in the source tree, and measure from there")

// pouch is a running express-pouchdb.
type pouch struct {
	process *lab.Process
	base    string
	dir     string
	root    string
	node    string
}

// startPouch starts express-pouchdb over leveldb in a folder of its own; errNoPeer where
// it is not installed.
func (s *site) startPouch(ctx context.Context) (*pouch, error) {
	root, err := sourceTree()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("node is missing: %w", errNoPeer)
	}
	dir, err := os.MkdirTemp(s.Dir(), "pouch-*")
	if err != nil {
		return nil, fmt.Errorf("make the peer's folder: %w", err)
	}
	port, err := lab.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	process, err := lab.StartReady(ctx, lab.Spec{
		Name: "express-pouchdb", Path: node, Args: []string{filepath.Join(root, scripts, "pouch-server.mjs"), dir, strconv.Itoa(port)},
		Dir: dir, LogPath: filepath.Join(dir, "server.log"), ReadyLine: "listening",
	})
	if err != nil {
		return nil, err
	}
	return &pouch{process: process, base: "http://127.0.0.1:" + strconv.Itoa(port), dir: dir, root: root, node: node}, nil
}

// stop ends the server. It holds nothing that anybody needs.
func (p *pouch) stop() { _ = p.process.Kill9() }

// sourceTree finds the folder with the peer's scripts and packages: here or above.
func sourceTree() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working folder: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		_, noScripts := os.Stat(filepath.Join(dir, scripts))
		_, noPackages := os.Stat(filepath.Join(dir, pouchPackage))
		if noScripts == nil && noPackages == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errNoPeer
		}
	}
}

// pushed is what the peer's script measured.
type pushed struct {
	All     float64 `json:"all"`     // documents a second
	Changed float64 `json:"changed"` // the same, of those changed afterwards
	MaxRSS  float64 `json:"maxRSS"`  // bytes
}

// peer replicates the same tickets from PouchDB to express-pouchdb, in the same run on the
// same machine. It does not make each document durable.
func peer(ctx context.Context, s *site) error {
	p, err := s.startPouch(ctx)
	if errors.Is(err, errNoPeer) {
		s.say("PouchDB is not measured: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer p.stop()
	count, changes := s.how.backlog(), min(s.how.size(updatesFull, updatesQuick), s.how.backlog())
	file := filepath.Join(p.dir, "tickets.ndjson")
	if err := writeDocuments(file, count); err != nil {
		return err
	}
	m := watch(ctx, map[string]int{"server": p.process.PID()})
	result, err := p.push(ctx, file, changes)
	server := m.end()["server"]
	if err != nil {
		return err
	}
	const name = "PouchDB to express-pouchdb, the same tickets"
	if s.empty > 0 {
		s.add(beside(fmt.Sprintf("peer: %d tickets, edge to cloud", count), s.empty, "records/s", name, result.All).ratioAtLeast(goalOfPeer))
	} else {
		s.add(plain("peer: "+name, result.All, "records/s"))
	}
	if s.updated > 0 {
		s.add(beside(fmt.Sprintf("peer: %d changed tickets, edge to cloud", changes), s.updated, "records/s", name, result.Changed))
	} else {
		s.add(plain("peer: "+name+", changed", result.Changed, "records/s"))
	}
	s.add(plain("peer: peak RSS of PouchDB", result.MaxRSS/mega, "MB"), plain("peer: peak RSS of express-pouchdb", float64(server.rss)/mega, "MB"))
	return nil
}

// push runs the peer's script and reads its last line.
func (p *pouch) push(ctx context.Context, file string, changes int) (out pushed, err error) {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	process, err := lab.Start(lab.Spec{
		Name: "PouchDB", Path: p.node, Dir: p.dir, LogPath: filepath.Join(p.dir, "push.log"),
		Args: []string{filepath.Join(p.root, scripts, "pouch-push.mjs"), p.dir, p.base + "/tickets", file, strconv.Itoa(changes)},
	})
	if err != nil {
		return out, err
	}
	select {
	case <-process.Exited():
	case <-ctx.Done():
		return out, errors.Join(fmt.Errorf("wait for PouchDB: %w", ctx.Err()), process.Kill9())
	}
	said := process.LogTail()
	if err := process.ExitError(); err != nil {
		return out, fmt.Errorf("PouchDB failed: %w: %s", err, said)
	}
	if err := json.Unmarshal([]byte(said[strings.LastIndexByte(said, '\n')+1:]), &out); err != nil {
		return out, fmt.Errorf("understand what PouchDB measured: %w: %s", err, said)
	}
	return out, nil
}

// document is a ticket as the peer keeps it.
type document struct {
	ID string `json:"_id"`
	apiclient.NewTicket
}

// writeDocuments writes the tickets of the backlog, one a line.
func writeDocuments(path string, count int) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the peer's documents: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffered := bufio.NewWriter(file)
	encoder, list := json.NewEncoder(buffered), words()
	for n := range count {
		if err := encoder.Encode(document{fmt.Sprintf("ticket-%08d", n), ticket(list, n)}); err != nil {
			return fmt.Errorf("write the peer's documents: %w", err)
		}
	}
	return buffered.Flush()
}
