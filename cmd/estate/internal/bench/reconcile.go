package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"estate/internal/lab/stack"
)

const (
	// writers load the edge; its group commit gathers them.
	writers = 64
	// reconcileTimeout ends a bench that does not end.
	reconcileTimeout = 15 * time.Minute
	lookEvery        = 5 * time.Millisecond
	// lookShare is which part of the time that is left by the speed so far passes between two
	// looks at a reconciliation, at most barEvery: a hundred looks a second took a fiftieth of the two
	// processors on which it is measured. The end is looked for with lookEvery.
	lookShare = 4
	// smallTalk is more than sign-in, greeting and reports together, and less than a page.
	smallTalk = 16 << 10
	// logBytes is more than PostgreSQL logs for a record and its event, and logPart how much of
	// it is made at a time.
	logBytes       = 6 << 10
	logPart        = 1 << 20
	goalOfCopy     = 0.45
	edgeMemoryMax  = 100 // megabytes
	cloudMemoryMax = 150
)

// stored is what the cloud's database holds of the building.
type stored struct {
	events   int64 // verified and in order
	position int64
}

func (s *site) stored(ctx context.Context) (out stored, err error) {
	const query = `SELECT coalesce((SELECT sum(held) FROM chain WHERE building = $1), 0)::bigint, coalesce((SELECT position FROM building_state WHERE building = $1), 0)`
	if err := s.db.QueryRow(ctx, query, s.building()).Scan(&out.events, &out.position); err != nil {
		return out, fmt.Errorf("ask what the cloud holds: %w", err)
	}
	return out, nil
}

// since counts the records that the cloud stored or changed after a position.
func (s *site) since(ctx context.Context, position int64) (records int64, err error) {
	const query = `SELECT count(*) FROM record WHERE building = $1 AND position > 0 AND position > $2`
	if err := s.db.QueryRow(ctx, query, s.building(), position).Scan(&records); err != nil {
		return 0, fmt.Errorf("count the cloud's records: %w", err)
	}
	return records, nil
}

// ready brings PostgreSQL into the state in which each measurement begins, what it is compared
// with included: no pages to be written out, and files of the log to write over. A server that
// has just been made has none, and syncs 16 MB of zeros for each that it makes; one that has
// run for a while, as before each COPY here, has those of before its last checkpoint.
func (s *site) ready(ctx context.Context, records int) error {
	const fill = `SELECT count(pg_logical_emit_message(false, '', repeat('x', $1::integer))) FROM generate_series(1, $2::integer)`
	if _, err := s.db.Exec(ctx, fill, logPart, records*logBytes/logPart+1); err != nil {
		return fmt.Errorf("fill the log: %w", err)
	}
	if _, err := s.db.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("begin with a checkpoint: %w", err)
	}
	return nil
}

// moved is one reconciliation, from the first page's bytes on the line until PostgreSQL
// had committed all. How long an edge waits before it tries a line again is not its speed.
type moved struct {
	before         stored
	took           time.Duration
	sent, answered int64
	spent          map[string]spent
}

// reconciled restores the line and waits until so many more events, and records of
// theirs, are at the cloud.
func (s *site) reconciled(ctx context.Context, events, records int) (m moved, err error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	if m.before, err = s.stored(ctx); err != nil {
		return m, err
	}
	if err := s.ready(ctx, events); err != nil {
		return m, err
	}
	sent, answered := s.edge.Line.Carried()
	s.edge.Line.Restore()
	err = stack.PollEvery(ctx, lookEvery, "the line to be used again", func() (bool, error) {
		if now, _ := s.edge.Line.Carried(); now > sent+smallTalk {
			return true, nil
		}
		now, err := s.stored(ctx) // a single ticket may be no more than small talk
		return now.events >= m.before.events+int64(events), err
	})
	if err != nil {
		return m, err
	}
	began, meter := time.Now(), watch(ctx, s.programs())
	defer func() { m.spent = meter.end() }()
	var now stored
	var arrivedEvents atomic.Int64
	var again time.Time
	defer s.bar(events, "edge to cloud", arrivedEvents.Load)()
	err = stack.PollEvery(ctx, lookEvery, fmt.Sprintf("%d events and %d records to arrive", events, records), func() (bool, error) {
		if time.Now().Before(again) {
			return false, nil
		}
		var err error
		if now, err = s.stored(ctx); err != nil {
			return false, err
		}
		arrivedEvents.Store(now.events - m.before.events)
		if there := now.events - m.before.events; there < int64(events) {
			again = time.Now().Add(untilLook(time.Since(began), there, int64(events)))
			return false, nil
		}
		arrived, err := s.since(ctx, m.before.position)
		m.took = time.Since(began)
		return arrived >= int64(records), err
	})
	if err != nil {
		return m, fmt.Errorf("%w (%d events are there)", err, now.events-m.before.events)
	}
	toCloud, toEdge := s.edge.Line.Carried()
	m.sent, m.answered = toCloud-sent, toEdge-answered
	return m, nil
}

// untilLook is how long nobody needs to look, after so many of all have arrived in some time.
func untilLook(since time.Duration, there, all int64) time.Duration {
	if there <= 0 {
		return 0
	}
	left := time.Duration(float64(since) * float64(all-there) / float64(there))
	return min(left/lookShare, barEvery)
}

// reconcile writes tickets at an edge that is cut off, gives the link back, and measures
// how fast they reach the cloud, beside COPY of the rows that they became.
func reconcile(ctx context.Context, s *site) error {
	count := s.how.backlog()
	s.edge.Line.Cut()
	loaded, err := s.create(ctx, "writing tickets at the edge", s.atEdge, writers, count)
	if err != nil {
		return err
	}
	m, err := s.reconciled(ctx, count, count)
	if err != nil {
		return err
	}
	rows, err := s.rows(ctx, m.before.position)
	if err != nil {
		return err
	}
	copied, err := s.copyRate(ctx, []table{rows.events, rows.records}, count)
	if err != nil {
		return err
	}
	projected, err := s.copyRate(ctx, []table{rows.events, rows.records, rows.tickets}, count)
	if err != nil {
		return err
	}
	s.empty = perSecond(count, m.took)
	const what = "reconcile"
	s.add(
		beside(what+fmt.Sprintf(": %d tickets and their events, edge to cloud", count), s.empty, "records/s", "COPY of the same records and events", copied).ratioAtLeast(goalOfCopy),
		beside(what+": the same", s.empty, "records/s", "COPY with the table of tickets, too", projected),
		plain(what+": bytes to the cloud for each", float64(m.sent)/float64(count), "B"),
		plain(what+": bytes to the edge for each", float64(m.answered)/float64(count), "B"),
		plain(what+": stored record", rows.recordBytes, "B"),
		plain(what+": stored event", rows.eventBytes, "B"),
		plain(what+": stored details of an event", rows.detailBytes, "B"),
	)
	s.add(usage(what, count, m.spent)...)
	s.add(plain(what+": tickets written through the edge's API before", loaded.rate(), "requests/s"))
	return nil
}
