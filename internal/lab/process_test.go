package lab_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"estate/internal/lab"
	"estate/internal/lab/child"
	"estate/internal/lab/labtest"
)

// This test binary plays the programs: playEnv says which part.
const playEnv = "LAB_TEST_PLAY"

// patience is how long a test waits for what must happen, on the busiest machine.
const patience = time.Minute

func TestMain(m *testing.M) {
	switch os.Getenv(playEnv) {
	case "":
		goleak.VerifyTestMain(m)
	case "serve":
		serve()
	case "parent":
		parent()
	case "stubborn":
		stubborn()
	case "fail":
		fmt.Println("no such building")
		os.Exit(3)
	}
}

// serve answers its ready address until it is ended.
func serve() {
	fmt.Println("serving as", os.Getpid())
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	server := &http.Server{Addr: "127.0.0.1:" + os.Getenv("LAB_TEST_PORT"), ReadHeaderTimeout: time.Second}
	fmt.Println(server.ListenAndServe())
}

// parent starts a child in the lab, says its id and waits to be killed.
func parent() {
	process, err := lab.Start(lab.Spec{
		Name: "grandchild", Path: os.Args[0], LogPath: os.Getenv("LAB_TEST_LOG"),
		Env: []string{playEnv + "=serve"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("grandchild", process.PID(), "is up")
	<-process.Exited()
}

// stubborn takes no SIGTERM.
func stubborn() {
	blocked := exec.Command("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
	blocked.Stdout = os.Stdout
	_ = syscall.Exec(mustLook("sh"), blocked.Args, os.Environ())
}

func mustLook(name string) string {
	path, err := exec.LookPath(name)
	if err != nil {
		panic(err)
	}
	return path
}

func spec(t *testing.T, play string) lab.Spec {
	t.Helper()
	return lab.Spec{
		Name: play, Path: os.Args[0], Env: []string{playEnv + "=" + play},
		LogPath: filepath.Join(t.TempDir(), play+".log"),
	}
}

// TestReservedPort: a port stays with who reserved it though nobody listens there, until it is
// released.
func TestReservedPort(t *testing.T) {
	t.Parallel()
	port, release, err := lab.ReservedPort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if held, err := child.Reserve(t.Context(), port); err == nil {
		_ = held.Close()
		t.Errorf("port %d is reserved twice", port)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	// A program that another test starts just now holds what is open here until it has begun.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = child.Poll(ctx, "the port to be free again", func() (bool, error) {
		held, err := child.Reserve(ctx, port)
		if err == nil {
			_ = held.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestReadyURLThenTerminate(t *testing.T) {
	t.Parallel()
	port := labtest.FreePort(t)
	described := spec(t, "serve")
	described.Env = append(described.Env, "LAB_TEST_PORT="+strconv.Itoa(port))
	described.ReadyURL = fmt.Sprintf("http://127.0.0.1:%d/readyz", port)
	process := labtest.Start(t, described)
	if process.ExitError() != nil || !child.Alive(process.PID()) {
		t.Fatal("not running although ready")
	}
	if err := process.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	if child.Alive(process.PID()) || process.ExitError() == nil {
		t.Fatal("ended by a signal, so it must be gone with an exit error")
	}
}

func TestReadyLineIsOfThisStart(t *testing.T) {
	t.Parallel()
	described := spec(t, "fail")
	if err := os.WriteFile(described.LogPath, []byte("serving as 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	described.ReadyLine = "serving as"
	_, err := lab.StartReady(t.Context(), described)
	if err == nil || !strings.Contains(err.Error(), "no such building") || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("got %v, want the exit status and the log's end", err)
	}
}

func TestTerminateKillsTheDeaf(t *testing.T) {
	t.Parallel()
	described := spec(t, "stubborn")
	described.ReadyLine = "deaf"
	process := labtest.Start(t, described)
	err := process.Terminate(50 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "still running") {
		t.Fatalf("got %v, want an error that says it had to be killed", err)
	}
	if child.Alive(process.PID()) {
		t.Fatal("still alive")
	}
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	t.Parallel()
	described := spec(t, "parent")
	described.Env = append(described.Env, "LAB_TEST_LOG="+filepath.Join(t.TempDir(), "grandchild.log"), "LAB_TEST_PORT=0")
	described.ReadyLine = "is up"
	process := labtest.Start(t, described)
	var grandchild int
	if _, err := fmt.Sscanf(process.LogTail(), "grandchild %d is up", &grandchild); err != nil {
		t.Fatalf("%v: %s", err, process.LogTail())
	}
	if err := process.Kill9(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := child.WaitGone(ctx, process.PID(), grandchild); err != nil {
		t.Fatal(err)
	}
}

func TestBinariesInNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := lab.BinariesIn(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "estate-edge") || !strings.Contains(err.Error(), "make build") {
		t.Fatalf("got %v, want the missing program and the command that builds it", err)
	}
}
