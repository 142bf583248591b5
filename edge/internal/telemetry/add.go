package telemetry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"estate/internal/reading"
)

// rowsMax is how many readings one statement inserts.
const rowsMax = 100

// bucketsMax is how many rollups one statement adds to.
const bucketsMax = 50

// Added is what became of a batch.
type Added struct {
	Stored int
	// Repeated came before: same value at the same time.
	Repeated int
	// Refused could not be kept; each has its reason.
	Refused []Refusal
}

// Refusal is a reading that was not kept.
type Refusal struct {
	Reading reading.Reading
	Reason  string
}

// row is a reading as it is stored.
type row struct {
	series   int64
	at       int64 // milliseconds
	value    float64
	arrival  int64
	typ      reading.Type
	hardware string
}

// bucket names a rollup.
type bucket struct {
	span   int64 // seconds
	series int64
	start  int64 // seconds
}

// sums are what is added to a rollup.
type sums struct {
	n              int64
	low, high, sum float64
	last           float64
	lastAt         int64
}

func (a *sums) add(r row) {
	if a.n == 0 {
		*a = sums{1, r.value, r.value, r.value, r.value, r.at}
		return
	}
	a.n++
	a.low, a.high, a.sum = min(a.low, r.value), max(a.high, r.value), a.sum+r.value
	if r.at >= a.lastAt {
		a.last, a.lastAt = r.value, r.at
	}
}

// Add stores a batch in one transaction: each reading once, however often it comes, and its
// share in the rollups. When it returns without error all of it is on the disk. A reading
// that cannot be kept is refused by itself. Where the file turns out to be damaged it is set
// aside, and a new one takes the batch.
func (s *Store) Add(ctx context.Context, batch []reading.Reading) (Added, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err := s.addNew(ctx, batch)
	if damaged(err) {
		if err = s.renew(ctx, err); err == nil {
			out, err = s.addNew(ctx, batch)
		}
	}
	if err != nil {
		return Added{}, fmt.Errorf("store %d readings: %w", len(batch), err)
	}
	return out, nil
}

// addNew takes a batch for one of which nothing came before, as nearly all are: then SQLite need
// not be able to undo a statement, and keeps no copy of each page that it changes for that. Where
// something did come before, all of the batch is stored anew, with care.
func (s *Store) addNew(ctx context.Context, batch []reading.Reading) (Added, error) {
	out, err := s.add(ctx, batch, false)
	if isConstraint(err) {
		out, err = s.add(ctx, batch, true)
	}
	return out, err
}

func (s *Store) add(ctx context.Context, batch []reading.Reading, repeats bool) (Added, error) {
	var out Added
	known := map[seriesKey]int64{}
	words := map[string]int64{}
	err := s.transaction(ctx, func() error {
		rows := make([]row, 0, len(batch))
		for _, r := range batch {
			if !r.Valid() {
				out.Refused = append(out.Refused, Refusal{r, "not a value of a device with a time"})
				continue
			}
			id, err := s.seriesOf(ctx, r.Series, known)
			if err == nil && r.Type == reading.Text {
				r.Value, err = s.wordOf(ctx, r.Text, words)
			}
			switch {
			case err == nil:
				rows = append(rows, row{id, r.At.UnixMilli(), r.Value, r.Arrival.UnixMilli(), r.Type, r.Hardware})
			case errors.Is(err, ErrFull):
				out.Refused = append(out.Refused, Refusal{r, err.Error()})
			default:
				return err
			}
		}
		rows, err := s.withoutOld(ctx, rows, &out)
		if err != nil {
			return err
		}
		return s.insert(ctx, rows, repeats, &out)
	})
	if err != nil {
		return Added{}, err
	}
	maps.Copy(s.series, known)
	maps.Copy(s.words, words)
	return out, nil
}

// seriesOf finds or makes a series. What is made is known for good once the transaction is.
func (s *Store) seriesOf(ctx context.Context, r reading.Series, made map[seriesKey]int64) (int64, error) {
	k := seriesKey{r.Hardware, r.Key, r.Unit, r.Type}
	id, ok := s.series[k]
	if !ok {
		id, ok = made[k]
	}
	if ok {
		return id, nil
	}
	if len(s.series)+len(made) >= seriesMax {
		return 0, fmt.Errorf("%w: the building has %d already", ErrFull, seriesMax)
	}
	st, err := s.stmt(ctx, `INSERT INTO series (hardware, key, unit, kind, type) VALUES (?, ?, ?, ?, ?)`)
	if err != nil {
		return 0, err
	}
	done, err := st.ExecContext(ctx, r.Hardware, r.Key, r.Unit, r.Kind, int(r.Type))
	if err != nil {
		return 0, fmt.Errorf("make the series of %s: %w", r.Key, err)
	}
	if id, err = done.LastInsertId(); err != nil {
		return 0, err
	}
	made[k] = id
	return id, nil
}

func (s *Store) wordOf(ctx context.Context, text string, made map[string]int64) (float64, error) {
	id, ok := s.words[text]
	if !ok {
		id, ok = made[text]
	}
	if ok {
		return float64(id), nil
	}
	if len(s.words)+len(made) >= wordsMax {
		return 0, fmt.Errorf("%w: %d different texts", ErrFull, wordsMax)
	}
	st, err := s.stmt(ctx, `INSERT INTO word (text) VALUES (?)`)
	if err != nil {
		return 0, err
	}
	done, err := st.ExecContext(ctx, text)
	if err != nil {
		return 0, fmt.Errorf("keep a text: %w", err)
	}
	if id, err = done.LastInsertId(); err != nil {
		return 0, err
	}
	made[text] = id
	return float64(id), nil
}

// insert writes rows and what they add to rollups.
func (s *Store) insert(ctx context.Context, rows []row, repeats bool, out *Added) error {
	add := map[bucket]*sums{}
	for chunk := range slices.Chunk(rows, rowsMax) {
		fresh, err := s.insertRows(ctx, chunk, repeats)
		if err != nil {
			return err
		}
		if err := s.noteKept(ctx, fresh); err != nil {
			return err
		}
		for _, r := range fresh {
			if r.typ == reading.Text {
				continue
			}
			for _, span := range reading.Spans() {
				seconds := int64(span / time.Second)
				start := floor(r.at, seconds*1000) * seconds
				b := bucket{seconds, r.series, start}
				if add[b] == nil {
					add[b] = &sums{}
				}
				add[b].add(r)
			}
		}
		out.Stored += len(fresh)
		out.Repeated += len(chunk) - len(fresh)
	}
	return s.rollUp(ctx, add)
}

// noteKept notes readings around an alarm that the cloud is to be given.
func (s *Store) noteKept(ctx context.Context, rows []row) error {
	for _, r := range rows {
		if to, any := s.keptTo[r.hardware]; !any || r.at > to {
			continue
		}
		st, err := s.stmt(ctx, `INSERT OR IGNORE INTO unsent_reading (series, at, value)
			SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM kept WHERE hardware = ?4 AND ?2 BETWEEN from_at AND to_at)`)
		if err != nil {
			return err
		}
		if _, err := st.ExecContext(ctx, r.series, r.at, r.value, r.hardware); err != nil {
			return fmt.Errorf("note a reading around an alarm: %w", err)
		}
	}
	return nil
}

// floor divides towards the past.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// insertRows gives the rows that were not there. Where repeats are not looked for, the first ends
// the transaction.
func (s *Store) insertRows(ctx context.Context, rows []row, repeats bool) ([]row, error) {
	args := make([]any, 0, 4*len(rows))
	for _, r := range rows {
		args = append(args, r.series, r.at, r.value, r.arrival)
	}
	values := places("(?, ?, ?, ?)", len(rows))
	if !repeats {
		st, err := s.stmt(ctx, `INSERT OR ROLLBACK INTO reading (series, at, value, arrival) VALUES `+values)
		if err != nil {
			return nil, err
		}
		if _, err = st.ExecContext(ctx, args...); err != nil {
			return nil, fmt.Errorf("insert %d readings: %w", len(rows), err)
		}
		return rows, nil
	}
	st, err := s.stmt(ctx, `INSERT INTO reading (series, at, value, arrival) VALUES `+values+` ON CONFLICT DO NOTHING RETURNING series, at, value`)
	if err != nil {
		return nil, err
	}
	found, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("insert %d readings: %w", len(rows), err)
	}
	defer func() { _ = found.Close() }()
	var fresh []row
	given := map[int64]row{}
	for _, r := range rows {
		given[r.series] = r
	}
	for found.Next() {
		var r row
		if err := found.Scan(&r.series, &r.at, &r.value); err != nil {
			return nil, err
		}
		r.typ, r.hardware = given[r.series].typ, given[r.series].hardware
		fresh = append(fresh, r)
	}
	return fresh, found.Err()
}

func isConstraint(err error) bool { return codeOf(err) == sqlite3.SQLITE_CONSTRAINT }

// codeOf is SQLite's primary result code, 0 where the error is not SQLite's.
func codeOf(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

// rollUp adds to rollups, and notes the quarters that the cloud has to be given again.
func (s *Store) rollUp(ctx context.Context, add map[bucket]*sums) error {
	buckets := make([]bucket, 0, len(add))
	for b := range add {
		buckets = append(buckets, b)
	}
	slices.SortFunc(buckets, func(a, b bucket) int {
		for _, c := range [...]int64{a.span - b.span, a.series - b.series, a.start - b.start} {
			if c != 0 {
				return int(math.Copysign(1, float64(c)))
			}
		}
		return 0
	})
	for chunk := range slices.Chunk(buckets, bucketsMax) {
		if err := s.rollUpChunk(ctx, chunk, add); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) rollUpChunk(ctx context.Context, chunk []bucket, add map[bucket]*sums) error {
	up, unsent := make([]any, 0, 9*len(chunk)), make([]any, 0, 2*len(chunk))
	for _, b := range chunk {
		a := add[b]
		up = append(up, b.span, b.series, b.start, a.n, a.low, a.high, a.sum, a.last, a.lastAt)
		if b.span == int64(reading.Quarter/time.Second) {
			unsent = append(unsent, b.series, b.start)
		}
	}
	st, err := s.stmt(ctx, `INSERT OR ROLLBACK INTO rollup (span, series, bucket, n, low, high, sum, last, last_at) VALUES `+places("(?, ?, ?, ?, ?, ?, ?, ?, ?)", len(chunk))+`
		ON CONFLICT (span, series, bucket) DO UPDATE SET n = n + excluded.n, low = min(low, excluded.low), high = max(high, excluded.high), sum = sum + excluded.sum,
		last = CASE WHEN excluded.last_at >= last_at THEN excluded.last ELSE last END, last_at = max(last_at, excluded.last_at)`)
	if err != nil {
		return err
	}
	if _, err := st.ExecContext(ctx, up...); err != nil {
		return fmt.Errorf("roll up: %w", err)
	}
	if len(unsent) == 0 {
		return nil
	}
	st, err = s.stmt(ctx, `INSERT OR ROLLBACK INTO unsent (series, bucket, change) VALUES `+places("(?, ?, 1)", len(unsent)/2)+` ON CONFLICT (series, bucket) DO UPDATE SET change = change + 1`)
	if err != nil {
		return err
	}
	if _, err := st.ExecContext(ctx, unsent...); err != nil {
		return fmt.Errorf("note a change: %w", err)
	}
	return nil
}

// places repeats the places of a row.
func places(row string, times int) string {
	return strings.TrimSuffix(strings.Repeat(row+", ", times), ", ")
}
