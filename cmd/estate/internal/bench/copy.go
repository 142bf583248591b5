package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// copyRuns are made, and the median counts.
const copyRuns = 3

// table is rows of one of the cloud's tables, as they were read back.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

// recordBytes is the size of the baselines' rows that nothing was read back for.
const recordBytes = 1000

// rows are what a reconciliation stored.
type rows struct {
	records, events, tickets             table
	recordBytes, eventBytes, detailBytes float64
}

// rows reads back what the cloud stored after a position.
func (s *site) rows(ctx context.Context, position int64) (out rows, err error) {
	for _, t := range []struct {
		into *table
		name string
	}{{&out.records, "record"}, {&out.events, "event"}, {&out.tickets, "ticket"}} {
		if *t.into, err = s.read(ctx, t.name, position); err != nil {
			return out, fmt.Errorf("read back the table %s: %w", t.name, err)
		}
	}
	const sizes = `SELECT (SELECT coalesce(avg(octet_length(body)), 0) FROM record WHERE building = $1 AND position > $2)::float8,
		coalesce(avg(octet_length(body)), 0)::float8, coalesce(avg(octet_length(details)), 0)::float8 FROM event WHERE building = $1 AND position > $2`
	if err := s.db.QueryRow(ctx, sizes, s.building(), position).Scan(&out.recordBytes, &out.eventBytes, &out.detailBytes); err != nil {
		return out, fmt.Errorf("weigh the rows: %w", err)
	}
	return out, nil
}

func (s *site) read(ctx context.Context, name string, position int64) (table, error) {
	out := table{name: name}
	found, err := s.db.Query(ctx, "SELECT * FROM "+pgx.Identifier{name}.Sanitize()+" WHERE building = $1 AND position > $2 ORDER BY position", s.building(), position)
	if err != nil {
		return out, err
	}
	defer found.Close()
	for _, c := range found.FieldDescriptions() {
		out.columns = append(out.columns, c.Name)
	}
	for found.Next() {
		row, err := found.Values()
		if err != nil {
			return out, err
		}
		out.rows = append(out.rows, row)
	}
	return out, found.Err()
}

// copyRate is the limit of the machine: so many things per second by COPY of their rows
// into tables of the same columns and indexes, in one transaction.
func (s *site) copyRate(ctx context.Context, tables []table, count int) (float64, error) {
	var rates []float64
	for range copyRuns {
		took, err := s.copyOnce(ctx, tables)
		if err != nil {
			return 0, fmt.Errorf("copy the same rows: %w", err)
		}
		rates = append(rates, perSecond(count, took))
	}
	return median(rates), nil
}

func (s *site) copyOnce(ctx context.Context, tables []table) (took time.Duration, err error) {
	for _, t := range tables {
		// Committed first: into a table of its own transaction PostgreSQL may write less.
		if err := s.makeTwin(ctx, t.name); err != nil {
			return 0, err
		}
	}
	if _, err := s.db.Exec(ctx, "CHECKPOINT"); err != nil {
		return 0, err
	}
	began := time.Now()
	err = pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		for _, t := range tables {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{twin(t.name)}, t.columns, pgx.CopyFromRows(t.rows)); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Since(began), err
}

func twin(name string) string { return "bench_" + name }

// makeTwin makes an empty table like one of the cloud's, its storage settings included.
func (s *site) makeTwin(ctx context.Context, name string) error {
	const settings = `SELECT coalesce(array_to_string(reloptions, ', '), '') FROM pg_class WHERE oid = $1::text::regclass`
	var set string
	if err := s.db.QueryRow(ctx, settings, name).Scan(&set); err != nil {
		return err
	}
	like, is := pgx.Identifier{twin(name)}.Sanitize(), pgx.Identifier{name}.Sanitize()
	statement := "DROP TABLE IF EXISTS " + like + "; CREATE TABLE " + like + " (LIKE " + is + " INCLUDING ALL)"
	if set != "" {
		statement += "; ALTER TABLE " + like + " SET (" + set + ")"
	}
	_, err := s.db.Exec(ctx, statement)
	return err
}
