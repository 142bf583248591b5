package pgstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

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

func (g *group) copy(ctx context.Context, s statement) error {
	_, err := g.conn.PgConn().CopyFrom(ctx, &copyReader{rows: *s.copied, ready: []byte(copyHead)}, s.text)
	if err != nil {
		return fmt.Errorf("copy %d rows: %w", s.copied.rows, err)
	}
	return nil
}

// copyReader gives the rows as they are asked for: what waits to be sent takes no memory
// beside the rows themselves.
type copyReader struct {
	rows  copied
	next  int
	ended bool
	row   []byte // room for one that may not fit where it is to go
	// longest is that of the rows so far.
	longest int
	ready   []byte // of it, what is still to be read
}

// Read implements io.Reader.
func (r *copyReader) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.ready) == 0 {
			switch {
			case r.next < r.rows.rows && len(p)-n >= 2*r.longest:
				// Most fit where they are to go. One that does not comes back in other memory.
				row := r.rows.row(p[n:n:len(p)], r.next)
				r.next++
				r.longest = max(r.longest, len(row))
				if len(row) <= len(p)-n {
					n += len(row)
				} else {
					r.ready = row
				}
				continue
			case r.next < r.rows.rows:
				r.row = r.rows.row(r.row[:0], r.next)
				r.ready = r.row
				r.next++
			case !r.ended:
				r.ready, r.ended = []byte(copyTail), true
			case n == 0:
				return 0, io.EOF
			default:
				return n, nil
			}
		}
		moved := copy(p[n:], r.ready)
		n, r.ready = n+moved, r.ready[moved:]
	}
	return n, nil
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
