package synclink_test

import (
	"bytes"
	"reflect"
	"testing"

	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/wire"
)

// TestPagesKeepTheirBytes reads pages and small messages in turn: what one of them holds must
// not be the memory that the next is read into, compressed or not.
func TestPagesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	c := codec(t)
	var frames [][]byte
	var want []wire.Message
	for i, size := range []int{100_000, 10, 300_000, 290_000, 2000, 100_000, 5000, 1 << 20, 20_000} {
		page := wire.Page{ID: uint64(i + 1), Records: []wire.RecordItem{{Kind: "ticket", ID: record.DerivedID("ticket", string(rune('a'+i))), Body: bytes.Repeat([]byte{byte('a' + i)}, size)}}}
		ping := wire.Ping{ID: uint64(i + 1), Time: int64(size)}
		for _, encode := range []func(wire.Message) ([]byte, error){wire.Encode, c.Encode} {
			for _, m := range []wire.Message{page, ping} {
				frame, err := encode(m)
				if err != nil {
					t.Fatal(err)
				}
				frames, want = append(frames, frame), append(want, m)
			}
		}
	}
	got, err := synclink.ReadMessages(c, frames...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("message %d of %d bytes was changed by those after it", i, len(frames[i]))
		}
	}
}
