package stack

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"estate/internal/lab/child"
	"estate/sync/record"
)

func TestStateComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &Stack{options: Options{Dir: dir}, State: State{Ports: map[string]int{"cloud": 4711},
		Admin: Person{Key: "admin", Password: "secret"}, People: []Person{{Key: "manager", ID: record.ID{1}}},
		Buildings: []*Place{{Name: "Oak", Code: "OAK", Units: map[string]record.ID{"4B": {2}}, Enrolled: true}}}}
	if err := s.remember(func() {}); err != nil {
		t.Fatal(err)
	}
	got, err := loadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Ports["cloud"] != 4711 || got.Admin.Password != "secret" || got.Person("manager").ID != (record.ID{1}) ||
		!got.Building("oak").Enrolled || got.Building("Oak").Units["4B"] != (record.ID{2}) || got.Person("nobody") != nil || got.Building("elm") != nil {
		t.Errorf("got %+v", got)
	}
	info, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with passwords has mode %v, %v", info.Mode(), err)
	}
}

func TestPortIsKeptWhileFree(t *testing.T) {
	t.Parallel()
	s := &Stack{options: Options{Dir: t.TempDir()}, State: State{Ports: map[string]int{}}}
	first := keptPort(t, s)
	if taken, err := net.Listen("tcp", address(first)); err == nil { // else another test has it
		defer func() { _ = taken.Close() }()
	}
	if other, err := s.port(t.Context(), "cloud"); err != nil || other == first {
		t.Errorf("the taken port %d was given: %v", other, err)
	}
}

// keptPort asks twice for a port. Another test may take the port in between, and then
// another one is right; not every time.
func keptPort(t *testing.T, s *Stack) int {
	t.Helper()
	for range 10 {
		first, err := s.port(t.Context(), "cloud")
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.port(t.Context(), "cloud")
		if err != nil {
			t.Fatal(err)
		}
		if again == first {
			return first
		}
		clear(s.State.Ports)
	}
	t.Fatal("a port that was free was never kept")
	return 0
}

// Two stacks never have one port, though nobody listens there yet.
func TestPortIsReserved(t *testing.T) {
	t.Parallel()
	one := &Stack{options: Options{Dir: t.TempDir()}, State: State{Ports: map[string]int{}}}
	port, err := one.port(t.Context(), "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = one.reserved[port].Close() })
	if again, err := one.port(t.Context(), "edge"); err != nil || again != port {
		t.Errorf("port %d became %d, %v", port, again, err)
	}
	two := &Stack{options: Options{Dir: t.TempDir()}, State: State{Ports: map[string]int{"edge": port}}}
	other, err := two.port(t.Context(), "edge")
	if err != nil || other == port {
		t.Errorf("both have port %d, %v", other, err)
	}
	t.Cleanup(func() { _ = two.reserved[other].Close() })
}

func TestOneRunAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("a second run got %v", err)
	}
	// A program that is being started has a copy of every open file until it runs.
	starting, err := syscall.Dup(int(held.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(starting) })
	if err := unlock(held); err != nil {
		t.Fatal(err)
	}
	again, err := lock(dir)
	if err != nil {
		t.Fatalf("after the first ended: %v", err)
	}
	if err := unlock(again); err != nil {
		t.Error(err)
	}
}

// TestLeftovers: of two processes named in the file, only the one that works on this
// folder is ended.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begin := func(argument string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", "read x", argument)
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	ours, stranger := begin(filepath.Join(dir, "edge-oak")), begin(dir+"-of-somebody-else")
	text, err := json.Marshal(map[string]int{"edge-oak": ours.Process.Pid, "cloud": stranger.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, pidFile), text); err != nil {
		t.Fatal(err)
	}
	ended, err := endLeftovers(t.Context(), dir)
	if err != nil || len(ended) != 1 || ended[0] != "edge-oak" {
		t.Fatalf("ended %v, %v", ended, err)
	}
	if child.Alive(ours.Process.Pid) || !child.Alive(stranger.Process.Pid) {
		t.Error("the wrong process was ended")
	}
}

// TestProgramsStartTogether: two programs that start at once both write down what runs.
func TestProgramsStartTogether(t *testing.T) {
	t.Parallel()
	s := &Stack{options: Options{Dir: t.TempDir()}, State: State{Ports: map[string]int{}}}
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 50 {
				if err := s.notePIDs(); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
