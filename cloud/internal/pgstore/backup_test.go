package pgstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"estate/internal/lab/pglab/pgtest"
)

// TestDeserted: a restore waits for a program that is leaving, and refuses where one stays.
func TestDeserted(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	program := func() *pgx.Conn {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) }) // closed already, perhaps
		return c
	}
	other := program()
	waited := make(chan error, 1)
	go func() { waited <- deserted(t.Context(), pool, time.Minute) }()
	looked := false
	for !looked { // the other is still there when it looks
		const text = `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND query = $1`
		if err := other.QueryRow(t.Context(), text, selectOthers).Scan(&looked); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("beside a program that left: %v", err)
	}
	program()
	if err := deserted(t.Context(), pool, time.Nanosecond); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("beside a program that stays: %v", err)
	}
}
