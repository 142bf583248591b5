package pgstore

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// answers collects what writers print until they ended.
type answers struct {
	mu      sync.Mutex
	text    bytes.Buffer
	after   int // acknowledged since writing went on
	resumed bool
	enough  chan struct{}
	first   chan struct{}
}

func (a *answers) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := strings.TrimSpace(string(p))
	switch {
	case line == storetest.LineResumed:
		a.resumed = true
	case strings.HasPrefix(line, "#"):
	case a.resumed:
		if a.after++; a.after == 200 {
			close(a.enough)
		}
	}
	if a.text.Len() < 4000 && a.text.Len()+len(p) >= 4000 {
		close(a.first)
	}
	return a.text.Write(p)
}

// Invariant 1 for the cloud when the kernel kills one backend in mid-batch: the server
// throws all its connections out, recovers and goes on in the same run of its postmaster.
// What was acknowledged is there, what was not is whole or absent, the same store writes on
// by itself, and the boot is another one: what had not reached the disk may be given out
// anew, positions and transaction numbers included.
func TestKilledBackendLosesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cluster := pgtest.Cluster(t)
	if err := cluster.CreateDatabase(ctx, "cloud", ""); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, cluster.URL("cloud"))
	before := s.Boot()
	acks, ended := &answers{enough: make(chan struct{}), first: make(chan struct{})}, make(chan error, 1)
	writing, stop := context.WithCancel(ctx)
	go func() { ended <- storetest.WriteThroughFaults(writing, s, acks) }()
	<-acks.first
	if err := cluster.KillBackend(func(int) int { return 0 }); err != nil {
		t.Fatal(err)
	}
	select {
	case <-acks.enough:
	case err := <-ended:
		t.Fatalf("the writers ended: %v", err)
	case <-ctx.Done():
		t.Fatal("nothing was written after the server's recovery")
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	acks.mu.Lock()
	defer acks.mu.Unlock()
	t.Logf("%d acknowledged writes survived", storetest.CheckAcknowledged(t, s, &acks.text))
	if after := s.Boot(); after == before {
		t.Fatalf("boot %s as before", after)
	}
}

// A transaction's number that was lost with the server's memory is given out anew. Whoever
// asks what became of the first must not be told the fate of the second.
func TestOutcomeAfterABackendWasKilled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cluster := pgtest.Cluster(t)
	if err := cluster.CreateDatabase(ctx, "cloud", ""); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, cluster.URL("cloud"))
	number := func(end string) (xid string, err error) {
		tx, err := s.Pool().Begin(ctx)
		if err != nil {
			return "", err
		}
		defer func() { _ = tx.Rollback(ctx) }()
		if err = tx.QueryRow(ctx, "SELECT pg_current_xact_id()::text").Scan(&xid); err == nil && end != "" {
			_, err = tx.Exec(ctx, end)
		}
		if end == "" {
			err = errors.Join(err, cluster.KillBackend(func(int) int { return 0 }))
		}
		return xid, err
	}
	// The server may work for a moment after one of its processes was killed, and refuse for
	// longer: then the number was given out to no other, and another is to be lost.
	var boot record.ID
	lost, again := "", ""
	for lost == "" || again != lost {
		if ctx.Err() != nil {
			t.Fatalf("the server gave out %s after %s was lost", again, lost)
		}
		boot = s.Boot()
		var err error
		if lost, err = number(""); err != nil {
			lost = ""
			continue
		}
		for again, err = number("COMMIT"); err != nil && ctx.Err() == nil; {
			again, err = number("COMMIT")
		}
	}
	if err := s.outcome(lost, boot, errors.New("connection lost")); !errors.Is(err, replica.ErrUnsure) {
		t.Fatalf("the fate of a lost transaction: %v, want that nobody knows", err)
	}
	if err := s.Update(ctx, record.DerivedID("b"), func(replica.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
}
