package edge_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"estate/edge"
	"estate/internal/desk"
	"estate/internal/lab/faultproxy"
)

const referenceDir = contractDir + "/reference"

// TestReferenceDevices: the devices that firmware-docs show work: they are heard, keep what they
// measure while the broker is away, do what they are told once, and are seen to go.
func TestReferenceDevices(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTimeSeconds = 1
	b := enrolledWith(t, c, cfg)
	b.signIn()
	contract := readContract(t)
	for name, command := range referencePrograms(t) {
		t.Run(name, func(t *testing.T) { b.reference(t, c, contract, "ref-"+name, command...) })
	}
}

// TestReferenceWithoutTime: a device that does not know the time yet cannot know whether an order
// is too late. It keeps the order until it does; the edge tells the time with each order.
func TestReferenceWithoutTime(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTimeSeconds = 600 // nobody tells it meanwhile
	b := enrolledWith(t, c, cfg)
	b.signIn()
	contract := readContract(t)
	for name, command := range referencePrograms(t) {
		t.Run(name, func(t *testing.T) {
			login := b.login(edge.LoginInput{Name: "early-" + name})
			line, said := b.runReference(t, login, command...)
			defer line.stop()
			s := b.adopted(c.building.String(), "plain:oak/"+login.Username)
			s.control("valve", "open")
			late := `{"id":"late","entity":"valve","value":"close","expires":1772366400000}`
			if err := contract.check("command", []byte(late)); err != nil {
				t.Fatal(err)
			}
			if err := s.Tell(t.Context(), strings.TrimSuffix(login.Topic, "state")+"set", []byte(late)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "that the order waits", func() bool { return strings.Contains(said.String(), "order late waits for the time") })
			if got := s.ends(s.order("valve", "closed")); got.State != "answered" || got.Answer != "closed" {
				t.Errorf("ordered to close: %+v", got)
			}
			eventually(t, "what became of the order that waited", func() bool { return strings.Contains(said.String(), "order late: valve close: ") })
			if got := said.String(); strings.Count(got, "order late: ") != 1 || !strings.Contains(got, "order late: valve close: expired") {
				t.Errorf("the device said:\n%s", got)
			}
		})
	}
}

// referencePrograms gives the command of each reference device, built where it has to be.
func referencePrograms(t *testing.T) map[string][]string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "device")
	build := exec.CommandContext(t.Context(), "cc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", program, "device.c", "mqtt.c", "port_posix.c")
	build.Dir = filepath.Join(referenceDir, "c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	return map[string][]string{"c": {program}, "python": {"python3", filepath.Join(referenceDir, "python", "device.py")}}
}

// running is a reference device that runs, behind a line that can be cut.
type running struct {
	*faultproxy.Proxy
	device *exec.Cmd
	ended  bool
}

// referencePeriod is the time between readings.
const referencePeriod = 50 * time.Millisecond

// runReference starts a reference device with a login.
func (b *box) runReference(t *testing.T, login edge.LoginResult, command ...string) (*running, *output) {
	t.Helper()
	line := must(faultproxy.Start(t.Context(), b.MQTTAddr(), 1))(t)
	host, port, err := net.SplitHostPort(line.Addr())
	if err != nil {
		t.Fatal(err)
	}
	device := exec.CommandContext(t.Context(), command[0], append(command[1:], host, port, "oak", login.Username, fmt.Sprint(referencePeriod.Milliseconds()))...)
	said := &output{}
	device.Env, device.Stdout, device.Stderr = append(os.Environ(), "ESTATE_PASSWORD="+login.Password), said, said
	if err := device.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", login.Username, said)
		}
	})
	return &running{Proxy: line, device: device}, said
}

// kill ends the device as a power cut would.
func (r *running) kill() {
	if !r.ended {
		r.ended = true
		_ = r.device.Process.Signal(syscall.SIGKILL)
		_ = r.device.Wait()
	}
}

func (r *running) stop() {
	r.kill()
	_ = r.Close()
}

// output is what a program wrote so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// reference runs a reference device and holds it against what the docs say.
func (b *box) reference(t *testing.T, c *cloud, contract contract, name string, command ...string) {
	t.Helper()
	login := b.login(edge.LoginInput{Name: name})
	line, said := b.runReference(t, login, command...)
	defer line.stop()
	d := b.adopted(c.building.String(), "plain:oak/"+name)
	if !strings.HasPrefix(d.device.Name, "Reference device in ") || !strings.Contains(d.device.Model, "reference") {
		t.Errorf("it did not say what it is: %+v", d.device)
	}
	available := func(state string) func() bool {
		return func() bool {
			var one desk.Device
			b.call(http.MethodGet, d.path(""), nil, &one)
			return one.Availability == state
		}
	}
	counts := func() (out []desk.ReadingPoint) {
		var got desk.ReadingPoints
		query := url.Values{"key": {"count"}, "points": {"10000"}, "from": {time.Now().Add(-time.Minute).Format(time.RFC3339)}}
		b.call(http.MethodGet, d.path("/readings?"+query.Encode()), nil, &got)
		return got.Points
	}
	eventually(t, "its readings", func() bool { return len(counts()) > 5 })
	eventually(t, "that it knows the time", func() bool { return strings.Contains(said.String(), "time is known") })

	line.Cut()
	before := last(counts())
	at := time.Now()
	eventually(t, "the will", available("offline"))
	eventually(t, "time for readings while the broker is away", func() bool { return time.Since(at) > 20*referencePeriod })
	line.Restore()
	eventually(t, "what was measured meanwhile, and after", func() bool { return last(counts()) > before+40 })
	gapless(t, counts(), before, referencePeriod)
	eventually(t, "that it is there again", available("online"))
	d.ordersReference(t, contract, login, said)

	line.kill()
	eventually(t, "the will of a device that died", available("offline"))
}

// ordersReference orders the valve of a reference device.
func (s switchboard) ordersReference(t *testing.T, contract contract, login edge.LoginResult, said *output) {
	t.Helper()
	s.control("valve", "open")
	closed := s.ends(s.order("valve", "closed"))
	if closed.State != "answered" || closed.Answer != "closed" {
		t.Errorf("ordered to close: %+v", closed)
	}
	tell := func(order string) {
		t.Helper()
		if err := contract.check("command", []byte(order)); err != nil {
			t.Fatal(err)
		}
		if err := s.Tell(t.Context(), strings.TrimSuffix(login.Topic, "state")+"set", []byte(order)); err != nil {
			t.Fatal(err)
		}
	}
	s.control("valve", "closed")
	opened := s.ends(s.order("valve", "open"))
	if opened.State != "answered" || opened.Answer != "open" {
		t.Errorf("ordered to open: %+v", opened)
	}
	tell(`{"id":"` + closed.ID.String() + `","entity":"valve","value":"close","expires":4102444800000}`) // it came again: it is answered, not done
	tell(`{"id":"late","entity":"valve","value":"close","expires":1772366400000}`)                       // it came too late
	tell(`{"id":"wrong","entity":"valve","value":"ajar","expires":4102444800000}`)
	eventually(t, "the last answer", func() bool { return strings.Contains(said.String(), "order wrong: valve ajar: refused") })
	if got := said.String(); strings.Count(got, closed.ID.String()) != 1 || !strings.Contains(got, "order late: valve close: expired") {
		t.Errorf("the device said:\n%s", got)
	}
	s.control("valve", "open")
}

// last is the highest count.
func last(points []desk.ReadingPoint) (most float64) {
	for _, p := range points {
		most = max(most, p.Last)
	}
	return most
}

// gapless holds that each reading came, once; and those after one, that were kept and came
// together, with the time at which they were measured. What was sent before the device knew the
// time counts as of its arrival.
func gapless(t *testing.T, points []desk.ReadingPoint, after float64, period time.Duration) {
	t.Helper()
	slices.SortFunc(points, func(a, b desk.ReadingPoint) int { return cmp.Compare(a.Last, b.Last) })
	for i, p := range points {
		if i > 0 && p.Last != points[i-1].Last+1 {
			t.Errorf("after reading %g came %g", points[i-1].Last, p.Last)
		}
		if i >= 10 && points[i-10].Last > after && p.At.Sub(points[i-10].At) < 5*period {
			t.Errorf("ten readings up to %g within %s", p.Last, p.At.Sub(points[i-10].At))
		}
	}
	if len(points) == 0 {
		t.Error("no readings")
	}
	if text, err := json.Marshal(points); err == nil && t.Failed() {
		t.Logf("readings: %.2000s", text)
	}
}
