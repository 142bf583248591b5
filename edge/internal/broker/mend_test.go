package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"estate/internal/problem"
)

// TestFullDisk: a sensor gets no acknowledgement while the disk is full; once there is room
// the broker takes messages again by itself, at the same address, with the same logins and
// the same sessions, and nothing that it acknowledged is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("estate-test", disk, "tmpfs", 0, "mode=700,size=33554432"); err != nil {
		t.Logf("mounting is not allowed here (%v): the end-to-end test stands for this one", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := startAt(t, filepath.Join(disk, "mqtt"))
	mend(t, f)

	reader := inside(t, f, "reader", false)
	done(t, reader.Subscribe("zigbee2mqtt/#", 1, nil))
	reader.Disconnect(100) // away: what is acknowledged now stands in the store only
	f.b.Admit()
	z := mustDial(t, f, "installer", "z2m")
	before := f.b.Addr()
	acked := map[string]bool{}
	publish := func(c *client, text string) bool {
		if !c.acknowledged(t, c.Publish("zigbee2mqtt/x", 1, false, text+strings.Repeat(" ", 4000))) {
			return false
		}
		acked[text] = true
		return true
	}
	if !publish(z, "room") {
		t.Fatal("not acknowledged with room")
	}
	ballast := fill(t, disk)
	for n := 0; publish(z, fmt.Sprint("filling ", n)); n++ {
	}
	select {
	case <-z.lost:
	case <-time.After(wait):
		t.Fatalf("the broker did not notice\n%s", f.log)
	}
	if f.b.Ready() || f.b.Trouble().Code != problem.MQTTStore {
		t.Fatalf("ready %v, trouble %q", f.b.Ready(), f.b.Trouble())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mended(t, f)
	if f.b.Addr() != before || f.b.StoreMovedTo() != "" {
		t.Errorf("address %s, before %s; store moved to %q", f.b.Addr(), before, f.b.StoreMovedTo())
	}
	if _, err := dial(t, "tcp://"+f.b.Addr(), "installer", "pw-installer", "z2m", true); err == nil {
		t.Error("a gateway was let in before the edge's own session was back")
	}
	reader = inside(t, f, "reader", false)
	done(t, reader.Subscribe("zigbee2mqtt/#", 1, nil))
	f.b.Admit()
	if !publish(mustDial(t, f, "installer", "z2m"), "room again") {
		t.Fatalf("not acknowledged with room again\n%s", f.log)
	}
	for len(acked) > 0 {
		delete(acked, strings.TrimSpace(reader.next(t).payload))
	}
}

// TestStartOnAFullDisk: a disk without room is no reason to give up what the store holds.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("estate-test", disk, "tmpfs", 0, "mode=700,size=33554432"); err != nil {
		t.Logf("mounting is not allowed here (%v)", err)
		return
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(disk, "mqtt")
	f := startAt(t, dir)
	reader := inside(t, f, "reader", false)
	done(t, reader.Subscribe("zigbee2mqtt/#", 1, nil))
	reader.Disconnect(100)
	f.b.Admit()
	done(t, mustDial(t, f, "installer", "z2m").Publish("zigbee2mqtt/x", 1, false, "kept"))
	f.b.Close()
	ballast := fill(t, disk)

	f = startAt(t, dir)
	mend(t, f)
	if f.b.Trouble().Code != problem.MQTTStore || f.b.StoreMovedTo() != "" {
		t.Fatalf("trouble %q, store moved to %q", f.b.Trouble(), f.b.StoreMovedTo())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	mended(t, f)
	if m := inside(t, f, "reader", false).next(t); m.payload != "kept" || f.b.StoreMovedTo() != "" {
		t.Fatalf("got %+v, store moved to %q", m, f.b.StoreMovedTo())
	}
}

// mend brings the broker back whenever its store fails, until the test ends.
func mend(t *testing.T, f *fixture) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.b.Mend(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("mending ended with %v", err)
		}
		f.b.Close()
	})
}

// mended waits until the broker is back.
func mended(t *testing.T, f *fixture) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(4 * wait); f.b.Trouble().Code != ""; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still down: %s\n%s", f.b.Trouble(), f.log)
		}
	}
}

// fill leaves no byte free.
func fill(t *testing.T, dir string) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for block := bytes.Repeat([]byte{1}, 64<<10); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}
