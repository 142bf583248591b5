package stack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"estate/internal/lab"
	"estate/internal/lab/child"
	"estate/sync/record"
)

const stateFile = "state.json"

// Person is one seeded account with its password: throw-away accounts of a demo or test.
type Person struct {
	// Key is what commands and tests call the person.
	Key      string    `json:"key"`
	Name     string    `json:"name"`
	Email    string    `json:"email"`
	Password string    `json:"password"`
	ID       record.ID `json:"id"`
	// Roles maps a building's code to the role there, Units to the unit's name.
	Roles map[string]string `json:"roles,omitempty"`
	Units map[string]string `json:"units,omitempty"`
}

// Login is what a device or a gateway needs to speak to an edge's broker.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password"`
	ClientID string `json:"client_id"`
	// Topic is what the login reaches.
	Topic string `json:"topic,omitempty"`
}

// Place is a seeded building.
type Place struct {
	Name     string               `json:"name"`
	Code     string               `json:"code"`
	ID       record.ID            `json:"id"`
	Units    map[string]record.ID `json:"units"`
	Enrolled bool                 `json:"enrolled"`
	Gateway  Login                `json:"gateway"`
}

// State is what a stack remembers between runs. It holds passwords: its file is for its
// owner alone.
type State struct {
	Ports     map[string]int `json:"ports"`
	Admin     Person         `json:"admin"`
	People    []Person       `json:"people"`
	Buildings []*Place       `json:"buildings"`
}

// Building finds a building by its code or name, in any case; nil where there is none.
func (s *State) Building(name string) *Place {
	for _, b := range s.Buildings {
		if strings.EqualFold(b.Code, name) || strings.EqualFold(b.Name, name) {
			return b
		}
	}
	return nil
}

// Person finds a person by key; nil where there is none.
func (s *State) Person(key string) *Person {
	for i := range s.People {
		if s.People[i].Key == key {
			return &s.People[i]
		}
	}
	return nil
}

func loadState(dir string) (State, error) {
	state := State{Ports: map[string]int{}}
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("read what the last run remembered: %w", err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return state, fmt.Errorf("understand %s (delete the folder to begin anew): %w", filepath.Join(dir, stateFile), err)
	}
	if state.Ports == nil {
		state.Ports = map[string]int{}
	}
	return state, nil
}

// remember changes the state and writes it down, whole or not at all.
func (s *Stack) remember(change func()) error {
	s.remembering.Lock()
	defer s.remembering.Unlock()
	change()
	text, err := json.MarshalIndent(s.State, "", "  ")
	if err != nil {
		return fmt.Errorf("write down the state: %w", err)
	}
	return writeFile(filepath.Join(s.options.Dir, stateFile), text)
}

// writeFile replaces a file in one step. A run that is killed leaves the old one.
func writeFile(path string, text []byte) error {
	aside := path + ".new"
	if err := os.WriteFile(aside, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(aside, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// port gives the port that a purpose had in the last run if it is still free, else another.
func (s *Stack) port(ctx context.Context, purpose string) (int, error) {
	s.remembering.Lock()
	known := s.State.Ports[purpose]
	s.remembering.Unlock()
	if known != 0 && child.TryPort(ctx, known) == nil && s.reserve(ctx, known) == nil {
		return known, nil
	}
	var taken error
	for range reserveTriesMax {
		port, err := lab.FreePort(ctx)
		if err != nil {
			return 0, err
		}
		if taken = s.reserve(ctx, port); taken == nil {
			return port, s.remember(func() { s.State.Ports[purpose] = port })
		}
	}
	return 0, fmt.Errorf("choose a port for %s: %w", purpose, taken)
}

// reserveTriesMax is far beyond the stacks that one machine runs at once.
const reserveTriesMax = 100

// reserve keeps a port from other stacks until this one stops.
func (s *Stack) reserve(ctx context.Context, port int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved[port] != nil {
		return nil
	}
	held, err := child.Reserve(ctx, port)
	if err != nil {
		return err
	}
	if s.reserved == nil {
		s.reserved = map[int]net.PacketConn{}
	}
	s.reserved[port] = held
	return nil
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// passwordChars is 90 bits of rand.Text's 130: enough, and short enough to be typed.
const passwordChars = 18

func newPassword() string { return strings.ToLower(rand.Text()[:passwordChars]) }
