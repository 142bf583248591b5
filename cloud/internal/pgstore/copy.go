package pgstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"estate/internal/projection"
	"estate/sync/record"
	"estate/sync/replica"
)

// copyRowsMin is from how many new rows on COPY is worth the round trip that it costs: about
// where the server's work for an upsert of as many rows passes one.
const copyRowsMin = 32

// replaceRowsMin is from how many rows on that may be there they are deleted and copied, and
// not upserted: a change writes the row and its entries in indexes anew in either way, but an
// upsert reads each row twice, locks it, and takes its columns out of as many arrays. For few
// rows that is less than the round trip which the deletion takes.
const replaceRowsMin = 64

// copied is rows that a table does not hold yet, sent by binary COPY. Against an upsert from
// arrays that spares both sides the arrays and the server the look for a conflict.
type copied struct {
	rows int
	// row appends one row's fields, each with its length.
	row func(b []byte, i int) []byte
}

// The form of binary COPY: a signature with no flags and no extension, per row the number of
// fields, per field its length and bytes, and in the end a number of fields that is none.
const (
	copyHead  = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	copyTail  = "\xff\xff"
	fieldNull = math.MaxUint32
)

// copyText is the statement for some columns of a table.
func copyText(table string, columns ...string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = quote(c)
	}
	return "COPY " + quote(table) + " (" + strings.Join(quoted, ", ") + ") FROM STDIN BINARY"
}

// sendBytes is about how much is handed to the kernel at a time.
const sendBytes = 60 << 10

// chunkRows is how many rows one statement copies at most. The server keeps a slot for each row
// that it has not written yet, up to a thousand of them, and finds each slot's mark in a hash in
// which all of them collide: a thousand cost it sixteen times what 250 do.
const chunkRows = 256

// copyAll copies the rows of several statements in one round trip: the server ignores what
// follows on a statement that it refused, so nothing waits for an answer until all is sent.
// What it answers meanwhile is a few bytes for each statement.
func (g *group) copyAll(ctx context.Context, list []statement) error {
	c := g.conn.PgConn()
	out := copyWriter{to: c.Conn(), buffer: make([]byte, 0, sendBytes+sendBytes/16)}
	deadline, _ := ctx.Deadline()
	if err := c.Conn().SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("copy rows: %w", err)
	}
	chunks, failed := 0, error(nil)
	for _, s := range list {
		for at := 0; at < s.copied.rows; at += chunkRows {
			out.copy(s, at, min(at+chunkRows, s.copied.rows))
			chunks++
		}
	}
	out.flush()
	if out.err != nil {
		_ = c.Conn().Close() // and with it the connection, once it is to be read
		failed = fmt.Errorf("copy rows: %w", out.err)
	} else if err := c.Conn().SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("copy rows: %w", err)
	}
	for chunks > 0 {
		message, err := c.ReceiveMessage(ctx)
		if err != nil {
			return cmp.Or(failed, fmt.Errorf("copy rows: %w", err))
		}
		switch message := message.(type) {
		case *pgproto3.ReadyForQuery:
			chunks--
		case *pgproto3.ErrorResponse: // the first says why, the others only that there was one
			failed = cmp.Or(failed, fmt.Errorf("copy rows: %w", pgconn.ErrorResponseToPgError(message)))
		}
	}
	return failed
}

// copyWriter puts messages of the protocol together and hands them on in large parts.
type copyWriter struct {
	to     io.Writer
	buffer []byte
	err    error
}

// messageHead is the type of a message and its length, which counts itself.
const messageHead = 5

// copy sends some of a statement's rows.
func (w *copyWriter) copy(s statement, from, to int) {
	w.append(&pgproto3.Query{String: s.text})
	began := w.begin()
	w.buffer = append(w.buffer, copyHead...)
	for i := from; i < to; i++ {
		w.buffer = s.copied.row(w.buffer, i)
		if len(w.buffer) >= sendBytes {
			w.end(began)
			w.flush()
			began = w.begin()
		}
	}
	w.buffer = append(w.buffer, copyTail...)
	w.end(began)
	w.append(&pgproto3.CopyDone{})
}

func (w *copyWriter) append(m pgproto3.FrontendMessage) {
	b, err := m.Encode(w.buffer)
	if err != nil {
		w.err = cmp.Or(w.err, err)
		return
	}
	w.buffer = b
}

// begin opens a message of data, and end writes its length once that is known.
func (w *copyWriter) begin() int {
	w.buffer = append(w.buffer, 'd', 0, 0, 0, 0)
	return len(w.buffer) - messageHead
}

func (w *copyWriter) end(began int) {
	binary.BigEndian.PutUint32(w.buffer[began+1:], uint32(len(w.buffer)-began-1))
}

func (w *copyWriter) flush() {
	if w.err == nil {
		_, w.err = w.to.Write(w.buffer)
	}
	w.buffer = w.buffer[:0]
}

func appendFields(b []byte, n int) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }

func appendNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, fieldNull) }

func appendBytes[T ~[]byte | ~string](b []byte, v T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

func appendID(b []byte, id record.ID) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(id))), id[:]...)
}

func appendInt(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), n)
}

var (
	copyRecords = copyText("record", "building", "kind", "id", "position", "body")
	copyEvents  = copyText("event", "building", "replica", "n", "hash", "body", "details", "position")
)

func copyRecordRows(rows []replica.RecordRow) statement {
	return statement{text: copyRecords, copied: &copied{rows: len(rows), row: func(b []byte, i int) []byte {
		r := &rows[i]
		b = appendID(appendBytes(appendID(appendFields(b, 5), r.Key.Building), r.Key.Kind), r.Key.ID)
		return appendBytes(appendInt(b, r.Position), r.Body)
	}}}
}

func copyEventRows(building record.ID, rows []replica.EventRow) statement {
	return statement{text: copyEvents, copied: &copied{rows: len(rows), row: func(b []byte, i int) []byte {
		return appendEvent(b, building, &rows[i])
	}}}
}

func appendEvent(b []byte, building record.ID, r *replica.EventRow) []byte {
	b = appendInt(appendID(appendID(appendFields(b, 7), building), r.Replica), r.N)
	b = appendBytes(appendBytes(b, r.Hash[:]), r.Body)
	if len(r.Details) == 0 {
		b = appendNull(b)
	} else {
		b = appendBytes(b, r.Details)
	}
	return appendInt(b, r.Position)
}

// copyRows is the statement that projects records that are new in this kind's table.
func (t tableText) copyRows(rows []replica.RecordRow) statement {
	var cells []projection.Cell
	return statement{text: t.copy, copied: &copied{rows: len(rows), row: func(b []byte, i int) []byte {
		r := &rows[i]
		b = appendInt(appendID(appendID(appendFields(b, len(t.Columns)+3), r.Key.Building), r.Key.ID), r.Position)
		cells = t.Cells(&r.Record, cells)
		for j := range cells {
			b = appendShown(b, &cells[j])
		}
		return b
	}}}
}

func copyColumns(t projection.Table) []string {
	names := []string{"building", "id", "position"}
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return names
}

// jsonbVersion is the first byte of jsonb's binary form, before its text.
const jsonbVersion = "\x01"

// appendShown appends a projected value in the form of its column's type.
func appendShown(b []byte, c *projection.Cell) []byte {
	switch c.Holds {
	case projection.Text, projection.Bytes:
		return appendBytes(b, c.Bytes)
	case projection.List:
		return append(append(binary.BigEndian.AppendUint32(b, uint32(len(jsonbVersion)+len(c.Bytes))), jsonbVersion...), c.Bytes...)
	case projection.Int:
		return appendInt(b, bitsBack(c.Int))
	case projection.Float:
		return appendInt(b, math.Float64bits(c.Float))
	case projection.Bool:
		if c.Bool {
			return appendBytes(b, "\x01")
		}
		return appendBytes(b, "\x00")
	case projection.ID:
		return appendID(b, c.ID)
	case projection.Null:
	}
	return appendNull(b)
}

// bitsBack is the other way of bits.
func bitsBack(n int64) uint64 { return uint64(n) }
