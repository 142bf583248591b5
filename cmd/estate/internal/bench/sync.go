package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	rowsFull, rowsQuick = 10_000, 1_000
	// writers load the edge; its group commit gathers them.
	writers = 16
	// describedBytes makes a record of about a kilobyte.
	describedBytes = 700
	// reconcileTimeout ends a bench that does not end.
	reconcileTimeout = 10 * time.Minute
	slowedWait       = 200 * time.Millisecond
	// countEvery is rare enough that counting costs the cloud little.
	countEvery   = 100 * time.Millisecond
	copyRowBytes = 1024
)

// reconcile writes tickets at an edge that is cut off, gives the link back, and measures
// how fast they reach the cloud.
func reconcile(ctx context.Context, s *stack.Stack, how options) ([]figure, error) {
	cloud, edge, err := one(ctx, s)
	if err != nil {
		return nil, err
	}
	atEdge, err := managerAtEdge(ctx, s, edge)
	if err != nil {
		return nil, err
	}
	atCloud, err := s.SignIn(ctx, cloud.Base(), "manager")
	if err != nil {
		return nil, err
	}
	rows := rowsFull
	if how.quick {
		rows = rowsQuick
	}
	edge.Line.Cut()
	began := time.Now()
	if err := load(ctx, atEdge, edge.Place.ID, rows); err != nil {
		return nil, err
	}
	loaded := float64(rows) / time.Since(began).Seconds()
	edge.Line.Restore()
	moved, err := arrive(ctx, atCloud, edge.Place.ID, rows)
	if err != nil {
		return nil, err
	}
	copied, err := copyRows(ctx, s.DatabaseURL(), rows)
	if err != nil {
		return nil, err
	}
	return []figure{
		beside("tickets from edge to cloud", moved, "rows/s", "PostgreSQL COPY of 1 KB rows", copied),
		beside("tickets written through the edge's API", loaded, "rows/s", "PostgreSQL COPY of 1 KB rows", copied),
	}, nil
}

// load writes tickets through the API, several at once.
func load(ctx context.Context, client *apiclient.Client, building record.ID, rows int) error {
	group, ctx := errgroup.WithContext(ctx)
	for w := range writers {
		group.Go(func() error {
			for i := w; i < rows; i += writers {
				in := apiclient.NewTicket{Title: fmt.Sprintf("Bench ticket %d", i), Category: "other", Priority: "normal",
					ExternalRef: fmt.Sprint(i), Description: strings.Repeat("water ", describedBytes/6)}
				if err := create(ctx, client, building, in); err != nil {
					return fmt.Errorf("ticket %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// create waits where the edge says that one person asks too often.
func create(ctx context.Context, client *apiclient.Client, building record.ID, in apiclient.NewTicket) error {
	return stack.PollEvery(ctx, slowedWait, "the edge to take more", func() (bool, error) {
		_, err := client.CreateTicket(ctx, building, "", in)
		if apiclient.HasCode(err, problem.RateLimited) {
			return false, nil
		}
		return err == nil, err
	})
}

// arrive counts the tickets at the cloud: rows per second from the first to the last. The
// wait for the link to come back is not counted.
func arrive(ctx context.Context, client *apiclient.Client, building record.ID, rows int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	var first time.Time
	var already, total int
	err := stack.PollEvery(ctx, countEvery, fmt.Sprintf("%d tickets to arrive", rows), func() (bool, error) {
		var err error
		if total, err = client.CountTickets(ctx, building); err != nil {
			return false, err
		}
		if first.IsZero() && total > 0 {
			first, already = time.Now(), total
		}
		return total >= rows, nil
	})
	if err != nil {
		return 0, fmt.Errorf("%w (%d are there)", err, total)
	}
	return float64(total-already) / max(time.Since(first).Seconds(), countEvery.Seconds()), nil
}

// copyRows is the limit of the machine: the same number of rows by COPY into a plain table.
func copyRows(ctx context.Context, url string, rows int) (float64, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, fmt.Errorf("connect for the baseline: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, "CREATE TEMPORARY TABLE bench_baseline (id bigint PRIMARY KEY, body bytea NOT NULL)"); err != nil {
		return 0, fmt.Errorf("make the baseline's table: %w", err)
	}
	body := []byte(strings.Repeat("x", copyRowBytes))
	began := time.Now()
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"bench_baseline"}, []string{"id", "body"},
		pgx.CopyFromSlice(rows, func(i int) ([]any, error) { return []any{int64(i), body}, nil }))
	if err != nil {
		return 0, fmt.Errorf("copy the baseline's rows: %w", err)
	}
	return float64(rows) / time.Since(began).Seconds(), nil
}
