package importing

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// workersMax keeps a server busy without filling its queue; its own limit a person is
	// higher.
	workersMax = 32
	// retriesMax and the poll below carry an import over a server's restart.
	retriesMax = 8
	// derivedPurpose keeps our keys apart from those of other clients.
	derivedPurpose = "csv import"
)

// badRow is a row that made no ticket.
type badRow struct {
	line   int
	reason error
}

// result counts what came of a file.
type result struct {
	rows, made, joined int
	bad                []badRow
}

// loader loads one file into one building.
type loader struct {
	client   *apiclient.Client
	building record.ID
	mapping  mapping
	workers  int
	pause    func(ctx context.Context, attempt int) error
	step     func()

	mu  sync.Mutex
	out result
}

// numbered is a row and the line that it begins at.
type numbered struct {
	line int
	row  map[string]string
}

// load reads the file to its end. Only what stops every row is an error: a file without a
// head, a server that is gone or refuses the person.
func (l *loader) load(ctx context.Context, file io.Reader) (result, error) {
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = -1 // a row of another length is that row's fault
	head, err := reader.Read()
	if err != nil {
		return l.out, fmt.Errorf("read the file's head: %w", err)
	}
	head = slices.Clone(head)
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	if err := l.mapping.check(head); err != nil {
		return l.out, err
	}
	group, ctx := errgroup.WithContext(ctx)
	rows := make(chan numbered)
	group.Go(func() error {
		defer close(rows)
		return l.read(ctx, reader, head, rows)
	})
	for range l.workers {
		group.Go(func() error {
			for row := range rows {
				if err := l.one(ctx, row); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	slices.SortFunc(l.out.bad, func(a, b badRow) int { return a.line - b.line })
	return l.out, err
}

func (l *loader) read(ctx context.Context, reader *csv.Reader, head []string, rows chan<- numbered) error {
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			l.note(parse.StartLine, parse.Err)
			continue
		}
		if err != nil {
			return fmt.Errorf("read the file: %w", err)
		}
		line, _ := reader.FieldPos(0)
		if len(cells) != len(head) {
			l.note(line, fmt.Errorf("it has %d cells, the head has %d", len(cells), len(head)))
			continue
		}
		row := make(map[string]string, len(head))
		for i, name := range head {
			row[name] = cells[i]
		}
		select {
		case rows <- numbered{line, row}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// one loads one row. An error ends the import.
func (l *loader) one(ctx context.Context, row numbered) error {
	ticket, err := l.mapping.ticket(row.row)
	if err != nil {
		l.note(row.line, err)
		return nil
	}
	// The server derives the id from building and reference; the key does the same for
	// one that knows no references.
	key := record.DerivedID(derivedPurpose, l.building.String(), ticket.ExternalRef).String()
	for attempt := 0; ; attempt++ {
		made, err := l.client.CreateTicket(ctx, l.building, key, ticket)
		switch {
		case err == nil:
			l.count(made.Joined)
			return nil
		case !passing(err) && rowsFault(err):
			l.note(row.line, err)
			return nil
		case ctx.Err() != nil, !passing(err), attempt == retriesMax:
			return fmt.Errorf("line %d: %w", row.line, err)
		}
		if err := l.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// passing is a failure that a later attempt may not meet.
func passing(err error) bool {
	var refused *apiclient.Error
	if !errors.As(err, &refused) {
		return true // the way there
	}
	return refused.Status == 429 || refused.Status >= 500
}

// rowsFault is a refusal of what the row says, not of who asks.
func rowsFault(err error) bool {
	var refused *apiclient.Error
	return errors.As(err, &refused) && refused.Status != 401 && refused.Status != 403 && refused.Code != problem.NotFound
}

func (l *loader) note(line int, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.rows++
	l.out.bad = append(l.out.bad, badRow{line, reason})
	l.step()
}

func (l *loader) count(joined bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out.rows++
	l.out.made++
	if joined {
		l.out.joined++
	}
	l.step()
}
