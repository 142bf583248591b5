package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// exec runs a statement that answers nothing, at the driver: package sql takes as long around
// a short one as SQLite in it.
func (c *conn) exec(text string, args ...any) error {
	return c.c.Raw(func(at any) error {
		s, err := c.prepared(at, text)
		if err != nil {
			return err
		}
		_, err = s.ExecContext(context.Background(), c.bind(args))
		clear(c.args)
		return translate(err)
	})
}

// one runs a query and gives row the first row of its answer, where there is one. Its blobs
// are fresh memory.
func (c *conn) one(text string, args []any, row func([]driver.Value) error) error {
	return c.c.Raw(func(at any) (err error) {
		w, err := c.begins(at, text, c.bind(args))
		clear(c.args)
		if err != nil {
			return translate(err)
		}
		defer func() { err = errors.Join(err, translate(w.rows.Close())) }()
		if err := w.rows.Next(w.row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return translate(err)
		}
		return row(w.row)
	})
}

// bind gives arguments the driver's form. They are good until the next statement.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, v := range args {
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}
