package content

import (
	"bytes"
	"encoding/binary"
	"io"
)

const (
	markSOI   = 0xD8
	markEOI   = 0xD9
	markSOS   = 0xDA
	markAPP1  = 0xE1
	markAPP2  = 0xE2
	markAPP13 = 0xED
	// jpegSegmentsMax bounds the headers of one picture; cameras write a few dozen.
	jpegSegmentsMax = 10_000
	scanBytes       = 32 << 10
)

var (
	exifPrefix        = []byte("Exif\x00\x00")
	xmpPrefix         = []byte("http://ns.adobe.com/xap/1.0/\x00")
	xmpExtendedPrefix = []byte("http://ns.adobe.com/xmp/extension/\x00")
	multiPicture      = []byte("MPF\x00")
)

// planJPEG walks the segments of a JPEG file up to its end mark. GPS directories are
// emptied in place, XMP packets that speak of GPS and text blocks of picture agencies are
// left out, and so is everything after the end mark: phones append further pictures and
// whole videos there, each with its own location.
func planJPEG(p *Plan, size int64) error {
	head, err := readAt(p.src, 0, 2)
	if err != nil || head[0] != 0xFF || head[1] != markSOI {
		return ErrDamaged
	}
	p.keep(0, 2)
	pos := int64(2)
	for range jpegSegmentsMax {
		head, err := readAt(p.src, pos, 4)
		if err != nil {
			return endOfJPEG(p, pos, size)
		}
		if head[0] != 0xFF {
			return ErrDamaged
		}
		mark := head[1]
		switch {
		case mark == 0xFF: // a fill byte means nothing
			p.drop()
			pos++
			continue
		case mark == markEOI:
			return endOfJPEG(p, pos, size)
		case mark == 0x01 || mark >= 0xD0 && mark <= 0xD7: // without a length, nor a meaning here
			p.drop()
			pos += 2
			continue
		}
		n := int64(binary.BigEndian.Uint16(head[2:])) + 2
		if n < 4 || pos+n > size {
			return ErrDamaged
		}
		if err := planSegment(p, mark, pos, n); err != nil {
			return err
		}
		pos += n
		if mark == markSOS {
			end, err := skipScan(p.src, pos, size)
			if err != nil {
				return err
			}
			p.keep(pos, end-pos)
			pos = end
		}
	}
	return ErrDamaged
}

// endOfJPEG closes the plan at an end mark, or where the file was cut off: a cut-off
// photo is still worth keeping.
func endOfJPEG(p *Plan, pos, size int64) error {
	if end, err := readAt(p.src, pos, 2); err == nil && end[0] == 0xFF && end[1] == markEOI {
		p.keep(pos, 2)
		pos += 2
	}
	if pos < size {
		p.drop()
	}
	return nil
}

func planSegment(p *Plan, mark byte, pos, n int64) error {
	if mark != markAPP1 && mark != markAPP2 && mark != markAPP13 {
		p.keep(pos, n)
		return nil
	}
	b, err := readAt(p.src, pos, int(n))
	if err != nil {
		return err
	}
	body := b[4:]
	switch {
	case mark == markAPP1 && bytes.HasPrefix(body, exifPrefix):
		clean, changed := p.cleanEXIF(body[len(exifPrefix):])
		switch {
		case !changed:
			p.keep(pos, n)
		case clean == nil:
			p.drop()
		default:
			p.replace(b) // edited in place
		}
	case mark == markAPP1 && bytes.HasPrefix(body, xmpPrefix):
		if speaksOfGPS(body) {
			p.Location = true
			p.drop()
			return nil
		}
		p.keep(pos, n)
	case mark == markAPP1 && bytes.HasPrefix(body, xmpExtendedPrefix),
		mark == markAPP2 && bytes.HasPrefix(body, multiPicture),
		mark == markAPP13:
		// Split over segments, or an index of what is cut off at the end, or place names.
		p.drop()
	default:
		p.keep(pos, n)
	}
	return nil
}

// skipScan finds the next marker after compressed data, where 0xFF is followed by neither
// a stuffed zero nor a restart mark.
func skipScan(src io.ReaderAt, pos, size int64) (int64, error) {
	buf := make([]byte, scanBytes)
	for pos < size {
		n, err := src.ReadAt(buf[:min(int64(len(buf)), size-pos)], pos)
		if n == 0 {
			return 0, err
		}
		chunk := buf[:n]
		for i := 0; ; {
			k := bytes.IndexByte(chunk[i:], 0xFF)
			if k < 0 {
				pos += int64(n)
				break
			}
			i += k
			if i+1 == n {
				if pos+int64(n) == size {
					return size, nil
				}
				pos += int64(i) // look at the pair together
				break
			}
			if m := chunk[i+1]; m != 0 && m != 0xFF && (m < 0xD0 || m > 0xD7) {
				return pos + int64(i), nil
			}
			i++
		}
	}
	return size, nil
}
