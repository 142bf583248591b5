package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"estate/internal/lab"
	"estate/internal/lab/child"
)

// answerMax bounds a count, and a page of metrics.
const answerMax = 1 << 20

// counter is a process that counts messages that arrived somewhere.
type counter struct {
	process *lab.Process
	url     string
}

// helper starts `estate-edge measure`, which serves a count.
func (m *messages) helper(ctx context.Context, what string, args ...string) (*counter, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	binaries, err := lab.BinariesIn(filepath.Dir(self))
	if err != nil {
		return nil, err
	}
	port, err := lab.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	url := "http://127.0.0.1:" + strconv.Itoa(port)
	args = append([]string{"measure", what, "--listen", strings.TrimPrefix(url, "http://")}, args...)
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	p, err := lab.StartReady(ready, lab.Spec{Name: "measure-" + what, Path: binaries.Edge, Args: args, ReadyURL: url + "/readyz",
		LogPath: filepath.Join(m.Dir(), "log", "measure-"+what+".log")})
	return &counter{p, url}, err
}

func (c *counter) end() error { return c.process.Kill9() }

func (c *counter) count(ctx context.Context) (int64, error) {
	text, err := get(ctx, c.url+"/count")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
}

// outcome is how many messages the edge counts of an outcome, as its metrics say.
func (m *messages) outcome(ctx context.Context, what string) (float64, error) {
	text, err := get(ctx, "http://"+m.metrics+"/metrics")
	if err != nil {
		return 0, err
	}
	name := `estate_edge_device_messages_total{outcome="` + what + `"} `
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the edge's metrics do not count %q", what)
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %s", url, answer.Status, text)
	}
	return string(text), nil
}

var errNoMosquitto = errors.New("mosquitto is not installed")

// mosquittoConf lets so much wait as the edge takes at once, and more: with its stock limits, 20
// under way and 1,000 waiting, mosquitto drops what it has acknowledged.
const mosquittoConf = `listener %d 127.0.0.1
allow_anonymous true
user root
persistence false
log_type error
max_inflight_messages 4000
max_queued_messages 1000000
`

// startMosquitto starts Debian's broker on this machine alone.
func startMosquitto(ctx context.Context, dir string) (*lab.Process, string, error) {
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			return nil, "", errNoMosquitto
		}
	}
	port, err := lab.FreePort(ctx)
	if err != nil {
		return nil, "", err
	}
	conf := filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, mosquittoConf, port), 0o600); err != nil {
		return nil, "", fmt.Errorf("write mosquitto's configuration: %w", err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	p, err := lab.Start(lab.Spec{Name: "mosquitto", Path: path, Args: []string{"-c", conf}, LogPath: filepath.Join(dir, "log", "mosquitto.log")})
	if err != nil {
		return nil, "", err
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var dialer net.Dialer
	err = child.Poll(ready, "mosquitto to listen", func() (bool, error) {
		conn, err := dialer.DialContext(ready, "tcp", address)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return true, conn.Close()
	})
	if err != nil {
		return nil, "", errors.Join(err, p.Kill9())
	}
	return p, address, nil
}
