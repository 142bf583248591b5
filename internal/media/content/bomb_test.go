package content_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"estate/internal/lab/fuzztest"
	"estate/internal/media/content"
)

// progressive is a JPEG of a few bytes whose header claims a large picture that is sent in
// several passes, with full colour: the decoder keeps every coefficient of all passes.
func progressive(width, height int) []byte {
	frame := []byte{8}
	frame = binary.BigEndian.AppendUint16(frame, uint16(height))
	frame = binary.BigEndian.AppendUint16(frame, uint16(width))
	frame = append(frame, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0)
	var b []byte
	b = append(b, 0xFF, 0xD8)
	b = append(b, segment(0xDB, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...))...)
	b = append(b, segment(0xC2, frame)...)
	b = append(b, segment(0xC4, append([]byte{0}, append(append([]byte{1}, make([]byte, 15)...), 0)...))...)
	b = append(b, segment(0xDA, []byte{3, 1, 0, 2, 0, 3, 0, 0, 0, 0})...)
	return append(b, make([]byte, 64)...)
}

// A box has 1 GiB in all. What a picture's decoder takes must stay within what Measure let
// through, whatever form its header names: a progressive JPEG takes five times what a plain
// one does.
func TestPictureOfManyPassesIsBounded(t *testing.T) {
	const side = 7000 // 49 megapixels: Measure takes them
	bomb := progressive(side, side)
	if _, err := content.Measure(bytes.NewReader(bomb), content.JPEG); err != nil {
		t.Fatal(err)
	}
	fuzztest.Bounded(t, content.PixelsMax, 6, func() { _, _ = content.Thumbnail(bytes.NewReader(bomb), content.JPEG, 1) })
}
