package demo

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func serving(t *testing.T, handle func(request) (string, error)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(listener, handle)
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return dir
}

func TestControl(t *testing.T) {
	t.Parallel()
	dir := serving(t, func(r request) (string, error) {
		if r.Verb != verbCut {
			return "", errors.New("not understood: " + r.Verb)
		}
		return "cut " + r.Building, nil
	})
	if text, err := ask(t.Context(), dir, request{verbCut, "oak"}); err != nil || text != "cut oak" {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := ask(t.Context(), dir, request{"burn", "oak"}); err == nil || !strings.Contains(err.Error(), "burn") {
		t.Errorf("an unknown verb: %v", err)
	}
}

// TestControlSurvivesNoise: what is no request gets an error and harms nobody.
func TestControlSurvivesNoise(t *testing.T) {
	t.Parallel()
	dir := serving(t, func(request) (string, error) { return "fine", nil })
	for _, noise := range []string{"\n", "{\n", strings.Repeat("x", 3*controlBytesMax)} {
		conn, err := net.Dial("unix", filepath.Join(dir, controlFile))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(noise)) // the server may hang up in the middle
		_ = conn.Close()
	}
	if text, err := ask(t.Context(), dir, request{verbStatus, ""}); err != nil || text != "fine" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	if _, err := ask(t.Context(), t.TempDir(), request{verbCut, "oak"}); !errors.Is(err, errNotRunning) {
		t.Errorf("got %v", err)
	}
}

// TestStaleSocket: a killed run leaves its socket file behind.
func TestStaleSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, controlFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := listen(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

func TestOwnFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	for range 2 { // made, then found
		if got, err := ownFolder(dir); err != nil || got != dir {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := ownFolder(dir); err == nil {
		t.Error("a folder that others can write to was accepted")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := ownFolder(link); err == nil {
		t.Error("a symbolic link was accepted")
	}
}
