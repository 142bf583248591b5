package e2e_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	// floodCycles is how often the edge is killed; ESTATE_FLOOD_CYCLES asks for more.
	floodCycles = 5
	flooders    = 4
	// floodWindow is how many messages of one publisher wait for their acknowledgement.
	floodWindow = 40
	// floodMessagesMax is what one answer of the API holds of one sensor and cycle.
	floodMessagesMax = 8000
	// floodMemoryMax is what an edge may take in a flood, in bytes.
	floodMemoryMax = 256 << 20
	// floodHeld is for how long nothing can be stored before a kill. By then the broker has
	// noted on the disk what the edge acknowledged to it, and has removed it.
	floodHeld = time.Second
)

// TestAcknowledgedIsKept: at QoS 1 the embedded broker's acknowledgement means on the disk. The
// edge is killed again and again in the middle of a flood, and each acknowledged value is found.
// In every second cycle something else holds the file of readings, so that the edge is killed
// between hearing and storing: what it acknowledged to its broker too early would be lost.
func TestAcknowledgedIsKept(t *testing.T) {
	t.Parallel()
	cycles := floodCycles
	if text := os.Getenv("ESTATE_FLOOD_CYCLES"); text != "" {
		var err error
		if cycles, err = strconv.Atoi(text); err != nil {
			t.Fatalf("ESTATE_FLOOD_CYCLES: %v", err)
		}
	}
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager := w.as(e.Base(), "manager")
	all := make([]*flooder, flooders)
	for n := range all {
		login, err := e.AddDevice(t.Context(), fmt.Sprintf("meter-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		device, err := manager.CreateDevice(t.Context(), e.Place.ID, apiclient.NewDevice{Hardware: "plain:oak/" + login.Username, Name: login.Username})
		if err != nil {
			t.Fatal(err)
		}
		all[n] = &flooder{login: login, device: device.ID}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for cycle := range cycles {
		began := time.Now()
		length := 300*time.Millisecond + time.Duration(random.Int64N(int64(1200*time.Millisecond)))
		var flooding sync.WaitGroup
		for _, f := range all {
			f.cycles = append(f.cycles, floodCycle{from: began.Truncate(time.Second)})
			f.begun.Store(false)
			flooding.Go(func() { f.flood(t.Context(), e) })
		}
		timer := time.NewTimer(length)
		<-timer.C
		until(t, "the flood to begin", every, func() error {
			for _, f := range all {
				if f.begun.Load() {
					return nil
				}
			}
			return errNotYet
		})
		release := func() {}
		if cycle%2 == 0 {
			release = holdReadings(t, e)
			held := time.NewTimer(floodHeld)
			<-held.C
		}
		if peak := memoryPeak(t, e.Process().PID()); peak > floodMemoryMax {
			t.Errorf("cycle %d: the edge took %d MB", cycle, peak>>20)
		}
		if err := e.Kill9(); err != nil {
			t.Fatal(err)
		}
		release()
		flooding.Wait()
		for _, f := range all {
			f.cycles[cycle].to = time.Now().Truncate(time.Second).Add(time.Second)
		}
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A second of its own: what a query finds is then of one cycle.
		wait := time.NewTimer(time.Until(all[0].cycles[cycle].to))
		<-wait.C
	}
	acknowledged := 0
	for _, f := range all {
		for _, c := range f.cycles {
			acknowledged += len(c.acknowledged)
			f.find(t, manager, e.Place.ID, c)
		}
	}
	if acknowledged < cycles {
		t.Errorf("%d messages were acknowledged in %d cycles: there was no flood", acknowledged, cycles)
	}
	t.Logf("%d acknowledged messages in %d cycles, all of them found", acknowledged, cycles)
}

// holdReadings keeps the edge from storing readings, as a backup or a repair of the file does.
func holdReadings(t *testing.T, e *stack.Edge) (release func()) {
	t.Helper()
	path := filepath.Join(e.Dir(), "readings.db")
	db, err := sql.Open("sqlite", fmt.Sprintf("file:%s?_txlock=immediate&_pragma=busy_timeout(%d)", path, patience.Milliseconds()))
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's context: its end would release the file before the edge is killed.
	tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// flooder is a meter that counts up, as fast as the broker takes it.
type flooder struct {
	login  stack.Login
	device record.ID
	next   int
	cycles []floodCycle
	// begun says that something was acknowledged in this cycle.
	begun atomic.Bool
}

type floodCycle struct {
	from, to     time.Time
	acknowledged []int
}

// flood sends until the edge is gone.
func (f *flooder) flood(ctx context.Context, e *stack.Edge) {
	cycle := &f.cycles[len(f.cycles)-1]
	client, err := lab.SignIn(ctx, mqtt.NewClientOptions().AddBroker("tcp://"+e.MQTT()).SetClientID(f.login.ClientID).SetUsername(f.login.Username).
		SetPassword(f.login.Password).SetAutoReconnect(false).SetConnectTimeout(patience))
	if err != nil {
		return // it was killed before
	}
	defer client.Disconnect(0)
	type sent struct {
		value int
		token mqtt.Token
	}
	var window []sent
	for len(cycle.acknowledged) < floodMessagesMax {
		f.next++
		text := fmt.Sprintf(`{"ts":"%s","energy":%d}`, time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), f.next)
		window = append(window, sent{f.next, client.Publish(f.login.Topic, 1, false, text)})
		if len(window) < floodWindow {
			continue
		}
		if !window[0].token.WaitTimeout(patience) || window[0].token.Error() != nil {
			break
		}
		cycle.acknowledged, window = append(cycle.acknowledged, window[0].value), window[1:]
		f.begun.Store(true)
	}
	for _, s := range window {
		if s.token.WaitTimeout(patience) && s.token.Error() == nil {
			cycle.acknowledged = append(cycle.acknowledged, s.value)
		}
	}
}

// find looks for all that was acknowledged in a cycle. What waits at the broker is stored soon.
func (f *flooder) find(t *testing.T, manager *apiclient.Client, building record.ID, c floodCycle) {
	t.Helper()
	until(t, "the acknowledged values of "+f.login.Username, every, func() error {
		got, err := manager.Readings(t.Context(), building, f.device, desk.ReadingQuery{Key: "energy", UnitOfMeasure: "kWh", From: c.from, To: c.to, Points: 10_000})
		if err != nil {
			return err
		}
		found := map[int]int{}
		for _, p := range got.Points {
			found[int(p.Last)]++
		}
		for _, n := range c.acknowledged {
			if found[n] != 1 {
				return fmt.Errorf("of %d acknowledged values %d is there %d times (%d points, span %d)", len(c.acknowledged), n, found[n], len(got.Points), got.SpanSeconds)
			}
		}
		return nil
	})
}

// memoryPeak is the most that a process has had resident, in bytes.
func memoryPeak(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the kernel does not say how much memory a process has had")
	return 0
}
