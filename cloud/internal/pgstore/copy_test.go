package pgstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	"estate/internal/lab/pglab/pgtest"
)

// TestCopyWriter: the messages of each chunk are whole and in order, and its rows come in
// order between head and tail, be they smaller than what is sent at a time, or larger.
func TestCopyWriter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := make([][]byte, rapid.IntRange(1, 40).Draw(t, "rows"))
		for i := range rows {
			rows[i] = bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{1, 40, 3000, sendBytes - 30, sendBytes, 2 * sendBytes}).Draw(t, "size"))
		}
		cut := rapid.IntRange(0, len(rows)-1).Draw(t, "cut")
		s := statement{text: "COPY", copied: &copied{rows: len(rows), row: func(b []byte, i int) []byte { return append(b, rows[i]...) }}}
		var sent bytes.Buffer
		w := copyWriter{to: &sent}
		w.copy(s, 0, cut)
		w.copy(s, cut, len(rows))
		w.flush()
		if w.err != nil {
			t.Fatal(w.err)
		}
		server := pgproto3.NewBackend(&sent, io.Discard)
		for _, part := range [][][]byte{rows[:cut], rows[cut:]} {
			want := append(bytes.Join(append([][]byte{[]byte(copyHead)}, part...), nil), copyTail...)
			if got := readChunk(t, server); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes, want %d, of %d rows", len(got), len(want), len(part))
			}
		}
		if sent.Len() > 0 {
			t.Fatalf("%d bytes too many", sent.Len())
		}
	})
}

// readChunk reads one statement and its data.
func readChunk(t *rapid.T, server *pgproto3.Backend) (data []byte) {
	for first := true; ; first = false {
		message, err := server.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch message := message.(type) {
		case *pgproto3.Query:
			if !first {
				t.Fatal("a statement within the data of another")
			}
		case *pgproto3.CopyData:
			data = append(data, message.Data...)
		case *pgproto3.CopyDone:
			return data
		default:
			t.Fatalf("%T", message)
		}
	}
}

// TestCopyAll: all rows of all statements are there, in chunks; where one is refused, whatever
// chunk it stands in, the first reason is told and the connection is fit for the next
// transaction.
func TestCopyAll(t *testing.T) {
	t.Parallel()
	store := openTest(t, pgtest.Database(t))
	c, err := store.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	g := &group{store: store, conn: c.Conn(), ctx: t.Context()}
	if _, err := g.conn.Exec(t.Context(), "CREATE TEMPORARY TABLE a (n bigint PRIMARY KEY); CREATE TEMPORARY TABLE b (n bigint PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	numbers := func(table string, from, to int) statement {
		return statement{text: copyText(table, "n"), copied: &copied{rows: to - from, row: func(b []byte, i int) []byte {
			return appendInt(appendFields(b, 1), uint64(from+i))
		}}}
	}
	const many = 3*chunkRows + 7
	for _, c := range []struct {
		name string
		list []statement
		code string // of what is refused
		a, b int    // how many rows are there then
	}{
		{"two tables", []statement{numbers("a", 0, many), numbers("b", 0, 5)}, "", many, 5},
		{"refused in the first chunk", []statement{numbers("a", many-1, 2*many), numbers("b", 5, 9)}, "23505", many, 5},
		{"refused in a later one", []statement{numbers("a", -2*chunkRows-1, 1), numbers("b", 5, 9)}, "23505", many, 5},
		{"refused in the last", []statement{numbers("a", many, 2*many), numbers("b", 4, 9)}, "23505", many, 5},
		{"no such table, and refused", []statement{numbers("none", 0, many), numbers("a", 0, many)}, "42P01", many, 5},
		{"again", []statement{numbers("a", many, 2*many), numbers("b", 5, 9)}, "", 2 * many, 9},
	} {
		err := pgx.BeginFunc(t.Context(), g.conn, func(pgx.Tx) error { return g.run(c.list, &pgx.Batch{}) })
		var refused *pgconn.PgError
		switch {
		case c.code == "" && err != nil, c.code != "" && (!errors.As(err, &refused) || refused.Code != c.code):
			t.Errorf("%s: %v", c.name, err)
		}
		var a, b int
		if err := g.conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)").Scan(&a, &b); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", c.name, err))
		}
		if a != c.a || b != c.b {
			t.Errorf("%s: %d and %d rows, want %d and %d", c.name, a, b, c.a, c.b)
		}
	}
}

// TestCopyLost: rows for a connection that is gone end in an error, and the connection is seen
// to be closed.
func TestCopyLost(t *testing.T) {
	t.Parallel()
	store := openTest(t, pgtest.Database(t))
	c, err := store.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if _, err := store.pool.Exec(t.Context(), "SELECT pg_terminate_backend($1::int, 60000)", c.Conn().PgConn().PID()); err != nil {
		t.Fatal(err)
	}
	g := &group{store: store, conn: c.Conn(), ctx: t.Context()}
	row := make([]byte, 3*sendBytes)
	s := statement{text: copyText("none", "n"), copied: &copied{rows: 2 * chunkRows, row: func(b []byte, _ int) []byte { return append(b, row...) }}}
	if err := g.run([]statement{s}, &pgx.Batch{}); err == nil || !c.Conn().IsClosed() {
		t.Fatalf("%v; closed: %v", err, c.Conn().IsClosed())
	}
}
