package ingest

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// TestWire: what is written arrives whole and in order, a goodbye right before the end too, and
// an end that is gone shows.
func TestWire(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	w := newWire(ours, tap{})
	var want bytes.Buffer
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(theirs)
		got <- all
	}()
	for n := range 5000 {
		part := bytes.Repeat([]byte{byte(n)}, n%90+1)
		if n == 100 {
			part = bytes.Repeat([]byte{7}, 3*writeBufferMax) // more than may wait goes alone
		}
		want.Write(part)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, want.Bytes()) {
		t.Error("what arrived is not what was written")
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("written to a closed connection")
	}

	ours, theirs = net.Pipe()
	w = newWire(ours, tap{})
	_ = theirs.Close()
	for {
		if _, err := w.Write([]byte("x")); err != nil {
			break // the write that failed is seen by one of the next
		}
	}
	_ = w.Close()
}
