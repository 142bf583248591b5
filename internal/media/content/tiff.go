package content

import (
	"encoding/binary"
	"errors"
)

// The TIFF tags that matter here.
const (
	tagOrientation = 0x0112
	tagExifIFD     = 0x8769
	tagGPSIFD      = 0x8825
	tagInteropIFD  = 0xA005
)

const (
	tiffHeaderBytes = 8
	ifdEntryBytes   = 12
	// ifdsMax bounds the walk: cameras write four at most, a loop would never end.
	ifdsMax = 16
)

var errTIFF = errors.New("unreadable EXIF structure")

// tiff is the body of an EXIF block, edited in place so that its length never changes and
// nothing else in the file has to move.
type tiff struct {
	b     []byte
	order binary.ByteOrder
}

func parseTIFF(b []byte) (*tiff, error) {
	if len(b) < tiffHeaderBytes {
		return nil, errTIFF
	}
	t := &tiff{b: b}
	switch string(b[:4]) {
	case "II*\x00":
		t.order = binary.LittleEndian
	case "MM\x00*":
		t.order = binary.BigEndian
	default:
		return nil, errTIFF
	}
	return t, nil
}

// ifd returns the number of entries at an offset, checked to lie inside the block.
func (t *tiff) ifd(off int) (int, error) {
	if off < tiffHeaderBytes || off+2 > len(t.b) {
		return 0, errTIFF
	}
	n := int(t.order.Uint16(t.b[off:]))
	if off+2+n*ifdEntryBytes > len(t.b) {
		return 0, errTIFF
	}
	return n, nil
}

// next returns the offset of the directory that follows, 0 at the end of the chain. A
// block that stops right after its last entry is common and means the end.
func (t *tiff) next(off, n int) int {
	at := off + 2 + n*ifdEntryBytes
	if at+4 > len(t.b) {
		return 0
	}
	return int(t.order.Uint32(t.b[at:]))
}

// stripGPS removes every pointer to a GPS directory and zeroes what it pointed to. It
// reports whether it changed anything; an error means the block cannot be trusted and is
// to be dropped whole.
func (t *tiff) stripGPS() (bool, error) {
	changed := false
	queue := []int{int(t.order.Uint32(t.b[4:]))}
	for seen := 0; len(queue) > 0; seen++ {
		if seen == ifdsMax {
			return changed, errTIFF
		}
		off := queue[0]
		queue = queue[1:]
		n, err := t.ifd(off)
		if err != nil {
			return changed, err
		}
		for i := 0; i < n; {
			at := off + 2 + i*ifdEntryBytes
			value := int(t.order.Uint32(t.b[at+8:]))
			switch t.order.Uint16(t.b[at:]) {
			case tagGPSIFD:
				if err := t.zeroIFD(value); err != nil {
					return changed, err
				}
				t.dropEntry(off, n, i)
				n--
				changed = true
				continue
			case tagExifIFD, tagInteropIFD:
				queue = append(queue, value)
			}
			i++
		}
		if following := t.next(off, n); following != 0 {
			queue = append(queue, following)
		}
	}
	return changed, nil
}

// zeroIFD overwrites a directory and the values it keeps elsewhere in the block.
func (t *tiff) zeroIFD(off int) error {
	n, err := t.ifd(off)
	if err != nil {
		return err
	}
	for i := range n {
		at := off + 2 + i*ifdEntryBytes
		size := int64(typeBytes(t.order.Uint16(t.b[at+2:]))) * int64(t.order.Uint32(t.b[at+4:]))
		from := int64(t.order.Uint32(t.b[at+8:]))
		if size > 4 && from >= tiffHeaderBytes && from+size <= int64(len(t.b)) {
			clear(t.b[from : from+size])
		}
	}
	clear(t.b[off : off+2+n*ifdEntryBytes])
	return nil
}

// dropEntry closes the gap of one entry; the freed bytes after the directory are zeroed.
func (t *tiff) dropEntry(off, n, i int) {
	at := off + 2 + i*ifdEntryBytes
	end := min(off+2+n*ifdEntryBytes+4, len(t.b)) // entries and the offset of the next directory
	copy(t.b[at:], t.b[at+ifdEntryBytes:end])
	clear(t.b[end-ifdEntryBytes : end])
	t.order.PutUint16(t.b[off:], uint16(n-1))
}

// orientation reads the EXIF orientation, 1 to 8; 1 where there is none.
func (t *tiff) orientation() int {
	off := int(t.order.Uint32(t.b[4:]))
	n, err := t.ifd(off)
	if err != nil {
		return 1
	}
	for i := range n {
		at := off + 2 + i*ifdEntryBytes
		if t.order.Uint16(t.b[at:]) == tagOrientation {
			if v := int(t.order.Uint16(t.b[at+8:])); v >= 1 && v <= 8 {
				return v
			}
		}
	}
	return 1
}

// typeBytes is the size of one value of a TIFF type; unknown types count as 8, the most.
func typeBytes(kind uint16) int {
	switch kind {
	case 1, 2, 6, 7:
		return 1
	case 3, 8:
		return 2
	case 4, 9, 11:
		return 4
	}
	return 8
}
