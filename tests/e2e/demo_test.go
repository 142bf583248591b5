package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"estate/internal/lab/labtest"
)

// live is a running demo.
type live struct {
	cmd *exec.Cmd

	mu    sync.Mutex
	lines []string
	ended chan struct{}
}

// demo starts the demo in a folder and waits until it says that it runs.
func demo(t *testing.T, home string) *live {
	t.Helper()
	d := &live{cmd: exec.Command(labtest.Binaries(t).Estate, "demo"), ended: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), "ESTATE_HOME="+home, "DATABASE_URL=")
	output, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d.cmd.Stdout
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go d.read(output)
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // ended already where the test went well
		<-d.ended
		_ = d.cmd.Wait()
		if t.Failed() {
			t.Logf("the demo printed:\n%s", d.text())
		}
	})
	until(t, "the demo to run", every, func() error {
		if !strings.Contains(d.text(), "Ctrl-C stops everything") {
			return errors.New(d.text())
		}
		return nil
	})
	return d
}

func (d *live) read(output io.Reader) {
	defer close(d.ended)
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		d.mu.Lock()
		d.lines = append(d.lines, lines.Text())
		d.mu.Unlock()
	}
}

func (d *live) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, "\n")
}

// find gives the first group of a pattern in what the demo printed.
func (d *live) find(t *testing.T, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(d.text())
	if found == nil {
		t.Fatalf("the demo printed nothing like %s:\n%s", pattern, d.text())
	}
	return found[1]
}

// TestDemo: it runs, can be cut and restored, ends with Ctrl-C, leaves nothing running,
// survives a kill, and finds its data and addresses again.
func TestDemo(t *testing.T) {
	t.Parallel()
	home, err := os.MkdirTemp("/var/tmp", "estate-e2e-demo-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	if err := os.Chmod(home, 0o711); err != nil {
		t.Fatal(err)
	}
	env := []string{"ESTATE_HOME=" + home, "DATABASE_URL="}
	first := demo(t, home)
	cloud, password := first.find(t, `(http://\S+)/dashboard/`), first.find(t, `manager@demo\.example +(\S+)`)
	for _, page := range []string{"/dashboard/", "/docs/", "/openapi.json"} {
		answer, err := http.Get(cloud + page)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", page, answer.Status)
		}
	}
	for verb, want := range map[string]string{"cut": "cut off", "restore": "link back"} {
		if output, err := run(t, env, "demo", verb, "oak"); err != nil || !strings.Contains(output, want) {
			t.Errorf("demo %s: %v: %s", verb, err, output)
		}
	}
	if output, err := run(t, env, "demo", "cut", "elm"); err == nil || !strings.Contains(output, "elm") {
		t.Errorf("cutting a building that is not there: %v: %s", err, output)
	}
	if output, err := run(t, env, "demo"); err != nil || !strings.Contains(output, "running already") || !strings.Contains(output, cloud) {
		t.Errorf("a second demo in the folder: %v: %s", err, output)
	}
	first.killsAnEdge(t, home)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-first.ended

	second := demo(t, home)
	if got := second.find(t, `manager@demo\.example +(\S+)`); got != password {
		t.Errorf("the password %s became %s", password, got)
	}
	if got := second.find(t, `(http://\S+)/dashboard/`); got != cloud {
		t.Errorf("the cloud moved from %s to %s", cloud, got)
	}
	if err := second.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-second.ended:
	case <-time.After(patience):
		t.Fatal("Ctrl-C did not end it")
	}
	if !strings.Contains(second.text(), "stopped; the data stays") {
		t.Errorf("it ended otherwise:\n%s", second.text())
	}
	if left := running(home); len(left) > 0 {
		t.Errorf("left running: %v", left)
	}
	if _, err := http.Get(cloud + "/healthz"); err == nil {
		t.Error("the cloud still answers")
	}
}

// killsAnEdge: an edge that is killed is started again, with a word on the screen, at the same
// address; the rest goes on.
func (d *live) killsAnEdge(t *testing.T, home string) {
	t.Helper()
	before := running(filepath.Join(home, "edge-oak"))
	if len(before) != 1 {
		t.Fatalf("the edge of Oak: %v", before)
	}
	var pid int
	if _, err := fmt.Sscan(before[0], &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the edge to run again", every, func() error {
		if text := d.text(); !strings.Contains(text, "ended by itself (signal: killed") || !strings.Contains(text, "the edge of Oak runs again") {
			return errNotYet
		}
		return nil
	})
	for _, base := range []string{d.find(t, `(http://\S+)/dashboard/`), d.find(t, `Oak, its edge +(http://\S+)/dashboard/`)} {
		answer, err := http.Get(base + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("GET %s/readyz: %s", base, answer.Status)
		}
	}
}

// running lists processes whose command line names a folder.
func running(dir string) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		line, err := os.ReadFile("/proc/" + entry.Name() + "/cmdline")
		if err == nil && strings.Contains(string(line), dir) {
			found = append(found, fmt.Sprintf("%s %q", entry.Name(), line))
		}
	}
	return found
}
