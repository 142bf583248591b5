package pgstore

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"
)

// TestCopyReader: the rows come whole and in order, however much is asked for at once: where
// they fit into what is asked for, and where they do not.
func TestCopyReader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 0, 20).Draw(t, "rows")
		want := append(bytes.Join(append([][]byte{[]byte(copyHead)}, rows...), nil), copyTail...)
		r := &copyReader{ready: []byte(copyHead), rows: copied{rows: len(rows), row: func(b []byte, i int) []byte {
			half := len(rows[i]) / 2 // as a row grows, part by part
			return append(append(b, rows[i][:half]...), rows[i][half:]...)
		}}}
		var got []byte
		for {
			room := make([]byte, rapid.IntRange(1, 200).Draw(t, "room")+8)
			guard := room[len(room)-8:]
			n, err := r.Read(room[:len(room)-8])
			got = append(got, room[:n]...)
			if !bytes.Equal(guard, make([]byte, 8)) {
				t.Fatal("written beyond what was asked for")
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("read %x, want %x", got, want)
		}
	})
}
