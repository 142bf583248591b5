package pgstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

// A commit that moved a building's feed is made known in three steps, none of them part of
// the transaction: PostgreSQL lets one notifying transaction commit at a time, its fsync
// included, whatever it wrote.
//
//	at once              watchers of this process wake
//	within tellEvery     other processes are told, of many buildings in one statement
//	within compareEvery  each process compares how far the buildings that it watches have
//	                     come, for who committed may have died before it told anybody

const (
	// feedChannel carries who tells, and buildings whose feeds moved, each with its position.
	feedChannel = "estate_feed"
	// tellEvery is the pause between two notifications of one process: short beside what a
	// page takes to another continent, long beside what a notification costs all listeners.
	tellEvery = 10 * time.Millisecond
	// toldMax bounds the buildings in one payload, which PostgreSQL limits to 8,000 bytes.
	toldMax = 100
	// tellTimeout is for a server that hangs, also when the process ends.
	tellTimeout = 5 * time.Second

	tellStatement = `SELECT pg_notify('` + feedChannel + `', payload) FROM unnest($1::text[]) AS payload`
)

// marks is how far feeds have come as far as this process knows, for it to see whether it
// missed something. Those of buildings that nobody watches are dropped now and then.
type marks struct {
	mu sync.Mutex
	at map[record.ID]uint64
}

// raise notes that watchers are woken for a position.
func (m *marks) raise(building record.ID, position uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil {
		m.at = map[record.ID]uint64{}
	}
	m.at[building] = max(m.at[building], position)
}

// reached reports whether a feed has come no further than a position, as far as is known here.
func (m *marks) reached(building record.ID, position uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, known := m.at[building]
	return known && at <= position
}

// copy is the marks as they stand.
func (m *marks) copy() map[record.ID]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.at)
}

// compare replaces the marks by the positions that were found, and lists buildings whose
// watchers may not know of theirs. before is the marks as they were before the look. A mark
// that has passed what was found belongs to a commit made meanwhile; one that lies beyond it
// and has not moved is of a database that was restored.
func (m *marks) compare(before, found map[record.ID]uint64) (moved []record.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := make(map[record.ID]uint64, len(found))
	for building, position := range found {
		mark := m.at[building]
		switch {
		case position < mark && mark != before[building]:
			position = mark
		case position != mark:
			moved = append(moved, building)
		}
		now[building] = position
	}
	m.at = now
	return moved
}

// moved makes a commit known. It is called after it, and never waits.
func (s *Store) moved(building record.ID, position uint64) {
	s.marks.raise(building, position)
	s.watchers.Wake(building)
	s.untold.add(map[record.ID]uint64{building: position})
}

// untold is what other processes are still to be told.
type untold struct {
	mu    sync.Mutex
	at    map[record.ID]uint64
	ready chan struct{} // holds one when there is something
}

func (u *untold) add(more map[record.ID]uint64) {
	u.mu.Lock()
	if u.at == nil {
		u.at = map[record.ID]uint64{}
	}
	for building, position := range more {
		u.at[building] = max(u.at[building], position)
	}
	u.mu.Unlock()
	select {
	case u.ready <- struct{}{}:
	default:
	}
}

func (u *untold) take() map[record.ID]uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.at
	u.at = nil
	return all
}

// tell tells other processes until ctx ends, and then once more. What could not be told
// waits for a connection; by then it may have been found by comparison.
func (s *Store) tell(ctx context.Context) {
	defer s.running.Done()
	t := &teller{store: s}
	defer t.close(ctx)
	pause, failing := s.tellEvery, false
	for ended := false; !ended; {
		select {
		case <-s.untold.ready:
		case <-ctx.Done():
			ended = true
		}
		all := s.untold.take()
		err := t.send(ctx, all)
		if err != nil {
			s.untold.add(all)
			pause = min(max(2*pause, backOffMin), backOffMax)
		} else {
			pause = s.tellEvery
		}
		if failed := err != nil; failed != failing {
			failing = failed
			s.log.WarnContext(ctx, "telling other processes of commits: they notice late while it fails", "failing", failing, "error", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// teller is the connection that notifies. It is none of the pool's, for it must not wait
// behind writers.
type teller struct {
	store *Store
	conn  *pgx.Conn
}

func (t *teller) send(ctx context.Context, all map[record.ID]uint64) error {
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer cancel()
	if t.conn == nil {
		config := t.store.pool.Config().ConnConfig
		config.RuntimeParams["synchronous_commit"] = "off" // nothing is written that need survive
		c, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return fmt.Errorf("connect to notify: %w", err)
		}
		t.conn = c
	}
	if _, err := t.conn.Exec(ctx, tellStatement, payloads(t.store.name, all)); err != nil {
		t.close(ctx)
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

func (t *teller) close(ctx context.Context) {
	if t.conn != nil {
		_ = t.conn.Close(context.WithoutCancel(ctx)) // nothing is lost with it
		t.conn = nil
	}
}

// payloads says who tells, and which feeds have come how far.
func payloads(name string, all map[record.ID]uint64) (out []string) {
	for some := range slices.Chunk(slices.SortedFunc(maps.Keys(all), record.ID.Compare), toldMax) {
		b := []byte(name)
		for _, building := range some {
			b = append(append(append(b, ' '), building.String()...), ':')
			b = strconv.AppendUint(b, all[building], 10)
		}
		out = append(out, string(b))
	}
	return out
}

// heard wakes watchers for what another process told. What cannot be read wakes everybody:
// waking too often is harmless.
func (s *Store) heard(payload string) {
	name, rest, _ := strings.Cut(payload, " ")
	if name == s.name {
		return // they woke when it was committed
	}
	for told := range strings.SplitSeq(rest, " ") {
		id, position, _ := strings.Cut(told, ":")
		building, err := record.ParseID(id)
		at, err2 := strconv.ParseUint(position, 10, 64)
		if err != nil || err2 != nil {
			s.probes.listen(true)
			s.watchers.Wake(record.ID{})
			return
		}
		s.probes.heard(building, at)
		s.marks.raise(building, at)
		s.watchers.Wake(building)
	}
}
