package e2e_test

import (
	"bytes"
	"context"
	"errors"
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

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/internal/problem"
	"estate/internal/reading"
	"estate/sync/record"
)

const (
	// edgeDisk is the filesystem that runs full.
	edgeDisk = 64 << 20
	// unanswered is how long a reading that is not acknowledged is watched.
	unanswered = 3 * time.Second
)

// TestEdgeOnAFullDisk: an edge whose disk is full refuses with a code and a remedy, leaves
// sensors without their acknowledgement, takes writes and readings again by itself once
// there is space, and after kill -9 has what it acknowledged.
func TestEdgeOnAFullDisk(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e, err := w.AddEdge(t.Context(), "OAK", cloud)
	if err != nil {
		t.Fatal(err)
	}
	if err := smallDisk(t, e.Dir()); err != nil {
		t.Logf("mounting is not allowed here (%v): the store's own test of a full disk stands for this one", err)
		return
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := &fullDisk{t: t, edge: e, manager: w.as(e.Base(), "manager"), tickets: map[record.ID]bool{}}
	d.adopt()
	d.until("a ticket to be taken", func() bool { return d.ticket() == nil })
	d.until("a reading to be acknowledged", func() bool { return d.reading(patience) })
	ballast := d.fill()
	var refused *apiclient.Error
	d.until("a refusal", func() bool { refused = d.ticket(); return refused != nil })
	if refused.Status != http.StatusServiceUnavailable && refused.Status != http.StatusInsufficientStorage || refused.Code == "" || refused.Remedy == "" {
		t.Errorf("on a full disk the API says %+v", refused)
	}
	d.until("a reading to stay without its acknowledgement", func() bool { return !d.reading(unanswered) })
	t.Logf("full after %d tickets and %d readings: %+v", len(d.tickets), len(d.acked), refused)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.until("tickets to be taken again", func() bool { return d.ticket() == nil })
	d.until("readings to be acknowledged again", func() bool { return d.reading(patience) })
	if err := e.Kill9(); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.until("readings to be acknowledged after the restart", func() bool { return d.reading(patience) })
	d.check()
}

// smallDisk puts what a folder holds on a small filesystem in its place; its error says that
// mounting is not allowed.
func smallDisk(t *testing.T, dir string) error {
	t.Helper()
	aside := dir + ".before"
	if err := errors.Join(os.Rename(dir, aside), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	switch err := syscall.Mount("estate-test", dir, "tmpfs", 0, "mode=700,size="+strconv.Itoa(edgeDisk)); {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return err
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", aside+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return nil
}

// fullDisk writes to an edge and remembers what was acknowledged.
type fullDisk struct {
	t       *testing.T
	edge    *stack.Edge
	manager *apiclient.Client
	device  record.ID
	login   stack.Login
	tickets map[record.ID]bool
	tried   int
	sent    int
	acked   []float64
}

func (d *fullDisk) until(what string, holds func() bool) {
	d.t.Helper()
	until(d.t, what, every, func() error {
		if !holds() {
			return errNotYet
		}
		return nil
	})
}

// adopt has the edge know a sensor that this test plays.
func (d *fullDisk) adopt() {
	d.t.Helper()
	var err error
	if d.login, err = d.edge.AddDevice(d.t.Context(), "boiler"); err != nil {
		d.t.Fatal(err)
	}
	d.until("a sensor to be heard", func() bool { return d.reading(patience) })
	device := heard(d.t, d.manager, d.edge, "boiler")
	if _, err := d.manager.AdoptDevice(d.t.Context(), d.edge.Place.ID, device.ID, desk.Adoption{Name: "Boiler", Unit: new(d.edge.Place.Units["Lobby"])}); err != nil {
		d.t.Fatal(err)
	}
	d.device, d.acked = device.ID, nil
}

// reading publishes a value of its own with QoS 1 and reports whether it was acknowledged.
func (d *fullDisk) reading(patience time.Duration) bool {
	d.t.Helper()
	quantities := []string{"temperature", "humidity", "pressure", "co2", "illuminance", "power", "voltage", "current"} // one value of each is kept in five minutes
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + d.edge.MQTT()).SetClientID(d.login.ClientID).SetUsername(d.login.Username).
		SetPassword(d.login.Password).SetAutoReconnect(false))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		return false
	}
	defer client.Disconnect(0)
	if d.sent++; d.sent > len(quantities) {
		d.t.Fatalf("%d readings, %d acknowledged", d.sent, len(d.acked))
	}
	token := client.Publish(d.login.Topic, 1, false, fmt.Sprintf(`{"%s":%d,"note":"%s"}`, quantities[d.sent%len(quantities)], d.sent, strings.Repeat("x", 4000)))
	if !token.WaitTimeout(patience) || token.Error() != nil {
		return false
	}
	d.acked = append(d.acked, float64(d.sent))
	return true
}

// ticket makes a ticket and gives the API's refusal.
func (d *fullDisk) ticket() *apiclient.Error {
	d.t.Helper()
	d.tried++
	made, err := d.manager.CreateTicket(d.t.Context(), d.edge.Place.ID, fmt.Sprint("full-", d.tried),
		apiclient.NewTicket{Title: fmt.Sprint("Ticket ", d.tried), Description: strings.Repeat("x", 4000)})
	var refused *apiclient.Error
	switch {
	case err == nil:
		d.tickets[made.Ticket.ID] = true
	case !errors.As(err, &refused):
		d.t.Fatalf("the API gave no answer: %v", err)
	case refused.Code == problem.RateLimited:
		return nil
	}
	return refused
}

// fill leaves no byte free.
func (d *fullDisk) fill() (path string) {
	d.t.Helper()
	path = filepath.Join(d.edge.Dir(), "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for block := bytes.Repeat([]byte{1}, 64<<10); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	return path
}

// check looks whether all that was acknowledged is there.
func (d *fullDisk) check() {
	d.t.Helper()
	until(d.t, "all that was acknowledged to be there", 200*time.Millisecond, func() error { return d.missing(d.t.Context()) })
}

func (d *fullDisk) missing(ctx context.Context) error {
	held, err := tickets(ctx, d.manager, d.edge.Place.ID)
	if err != nil {
		return err
	}
	for id := range d.tickets {
		if _, ok := held[id]; !ok {
			return fmt.Errorf("ticket %s is gone", id)
		}
	}
	found, err := d.manager.Series(ctx, d.edge.Place.ID, d.device)
	if err != nil {
		return err
	}
	there := map[float64]int{}
	for _, series := range found {
		got, err := d.manager.Readings(ctx, d.edge.Place.ID, d.device, desk.ReadingQuery{Key: series.Key, UnitOfMeasure: series.UnitOfMeasure, Points: reading.PointsMax})
		if err != nil {
			return err
		}
		for _, p := range got.Points {
			there[p.Last]++
		}
	}
	for _, value := range d.acked {
		if there[value] != 1 {
			return fmt.Errorf("reading %v is there %d times", value, there[value])
		}
	}
	return nil
}
