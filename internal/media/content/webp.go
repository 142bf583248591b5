package content

import (
	"bytes"
	"encoding/binary"
)

const (
	webpHeaderBytes = 12
)

// planWebP cleans the EXIF chunk in place and overwrites an XMP chunk that speaks of GPS
// with an unknown chunk of the same length, so that no offset moves.
func planWebP(p *Plan, size int64) error {
	head, err := readAt(p.src, 0, webpHeaderBytes)
	if err != nil {
		return err
	}
	end := int64(binary.LittleEndian.Uint32(head[4:])) + 8
	if string(head[:4]) != "RIFF" || string(head[8:]) != "WEBP" || end < webpHeaderBytes || end > size {
		return ErrDamaged
	}
	p.keep(0, webpHeaderBytes)
	pos := int64(webpHeaderBytes)
	for range chunksMax {
		if pos+8 > end {
			if end < size {
				p.drop()
			}
			p.keep(pos, end-pos)
			return nil
		}
		head, err := readAt(p.src, pos, 8)
		if err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		total := min(8+n+n&1, end-pos)
		if 8+n > total {
			return ErrDamaged
		}
		kind := string(head[:4])
		if kind != "EXIF" && kind != "XMP " {
			p.keep(pos, total)
		} else if err := planWebPMetadata(p, kind, pos, n, total); err != nil {
			return err
		}
		pos += total
	}
	return ErrDamaged
}

func planWebPMetadata(p *Plan, kind string, pos, n, total int64) error {
	if n > metadataBytesMax {
		return ErrDamaged
	}
	b, err := readAt(p.src, pos, int(total))
	if err != nil {
		return err
	}
	body := b[8 : 8+n]
	clean, changed := body, false
	if kind == "EXIF" {
		clean, changed = p.cleanEXIF(bytes.TrimPrefix(body, exifPrefix))
	} else if speaksOfGPS(body) {
		p.Location = true
		clean, changed = nil, true
	}
	switch {
	case !changed:
		p.keep(pos, total)
	case clean == nil:
		copy(b, "free")
		clear(body)
		p.replace(b)
	default:
		p.replace(b)
	}
	return nil
}
