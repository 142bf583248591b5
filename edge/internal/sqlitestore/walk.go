package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// walk reads the rows of a query at the driver, whose blobs are fresh memory already: what
// lies between would copy each once more.
type walk struct {
	rows driver.Rows
	row  []driver.Value // nil after the last
}

// walk runs queries on this connection at once and ends them after fn. The arguments are the
// same for all.
func (c *conn) walk(args []any, fn func([]*walk) error, texts ...string) error {
	return c.c.Raw(func(at any) (err error) {
		named := c.bind(args)
		defer clear(named)
		walks := make([]*walk, 0, len(texts))
		defer func() {
			for _, w := range walks {
				err = errors.Join(err, translate(w.rows.Close()))
			}
		}()
		for _, text := range texts {
			w, err := c.begins(at, text, named)
			if err != nil {
				return translate(err)
			}
			walks = append(walks, w)
			if err := w.next(); err != nil {
				return err
			}
		}
		return fn(walks)
	})
}

// prepared gives the driver's form of a constant text, kept for the life of the connection.
func (c *conn) prepared(at any, text string) (walkStmt, error) {
	if s, ok := c.walked[text]; ok {
		return s, nil
	}
	prepare, fits := at.(driver.ConnPrepareContext)
	if !fits {
		return nil, fmt.Errorf("driver %T cannot prepare", at)
	}
	made, err := prepare.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, translate(err))
	}
	s, fits := made.(walkStmt)
	if !fits {
		return nil, errors.Join(fmt.Errorf("driver's statement %T cannot run", made), made.Close())
	}
	c.walked[text] = s
	return s, nil
}

// begins runs a query.
func (c *conn) begins(at any, text string, args []driver.NamedValue) (*walk, error) {
	s, err := c.prepared(at, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(context.Background(), args)
	if err != nil {
		return nil, err
	}
	return &walk{rows: rows, row: make([]driver.Value, len(rows.Columns()))}, nil
}

// walkStmt is what a driver's prepared statement can.
type walkStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

// next reads the next row over the last; the values of those before stay as they are.
func (w *walk) next() error {
	err := w.rows.Next(w.row)
	if errors.Is(err, io.EOF) {
		w.row, err = nil, nil
	}
	return translate(err)
}

// unwalk closes the prepared queries, before their connection goes.
func (c *conn) unwalk() error {
	if len(c.walked) == 0 {
		return nil
	}
	return c.c.Raw(func(any) error {
		var errs []error
		for _, s := range c.walked {
			errs = append(errs, s.Close())
		}
		clear(c.walked)
		return errors.Join(errs...)
	})
}

// number, text and blob are a column's value, empty where it holds none.
func number(v driver.Value) uint64 {
	n, _ := v.(int64)
	return uint64(n)
}

func text(v driver.Value) string {
	s, _ := v.(string)
	return s
}

func blob(v driver.Value) []byte {
	b, _ := v.([]byte)
	return b
}
