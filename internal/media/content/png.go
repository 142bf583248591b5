package content

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	pngHeaderBytes = 8
	pngChunkExtra  = 12 // length, type, checksum
	// metadataBytesMax bounds the text and EXIF chunks that are read into memory.
	metadataBytesMax = 1 << 20
	chunksMax        = 100_000
)

// planPNG cleans EXIF chunks, leaves out text chunks that carry EXIF or XMP with GPS, and
// cuts what follows the end chunk.
func planPNG(p *Plan, size int64) error {
	head, err := readAt(p.src, 0, pngHeaderBytes)
	if err != nil || string(head) != "\x89PNG\r\n\x1a\n" {
		return ErrDamaged
	}
	p.keep(0, pngHeaderBytes)
	pos := int64(pngHeaderBytes)
	for range chunksMax {
		if pos >= size {
			return nil // cut off: what is there is kept
		}
		head, err := readAt(p.src, pos, 8)
		if err != nil {
			return err
		}
		body := int64(binary.BigEndian.Uint32(head))
		total := body + pngChunkExtra
		kind := string(head[4:8])
		if pos+total > size {
			if kind != "IDAT" {
				return ErrDamaged
			}
			total = size - pos
		}
		switch kind {
		case "eXIf", "tEXt", "zTXt", "iTXt":
			if err := planPNGText(p, kind, pos, body); err != nil {
				return err
			}
		default:
			p.keep(pos, total)
		}
		pos += total
		if kind == "IEND" {
			if pos < size {
				p.drop()
			}
			return nil
		}
	}
	return ErrDamaged
}

func planPNGText(p *Plan, kind string, pos, n int64) error {
	if n > metadataBytesMax {
		p.Location = true
		p.drop()
		return nil
	}
	b, err := readAt(p.src, pos, int(n)+pngChunkExtra)
	if err != nil {
		return err
	}
	body := b[8 : 8+n]
	if kind != "eXIf" {
		// Compressed or hex profiles cannot be searched, so they go.
		profile := bytes.HasPrefix(body, []byte("Raw profile type")) || bytes.HasPrefix(body, []byte("XML:com.adobe.xmp"))
		if profile || speaksOfGPS(body) {
			p.Location = p.Location || speaksOfGPS(body)
			p.drop()
			return nil
		}
		p.keep(pos, int64(len(b)))
		return nil
	}
	clean, changed := p.cleanEXIF(body)
	switch {
	case !changed:
		p.keep(pos, int64(len(b)))
	case clean == nil:
		p.drop()
	default:
		binary.BigEndian.PutUint32(b[8+n:], crc32.ChecksumIEEE(b[4:8+n]))
		p.replace(b)
	}
	return nil
}
