package content

import (
	"bytes"
	"encoding/binary"
)

const (
	boxHeaderBytes = 8
	// moovBytesMax bounds the index of a video that is read into memory: an hour of video
	// has about 2 MiB.
	moovBytesMax = 16 << 20
	boxDepthMax  = 8
)

// planMP4 overwrites the location boxes of a video with free space of the same length, so
// that no offset into the media data moves.
func planMP4(p *Plan, size int64) error {
	pos := int64(0)
	for range chunksMax {
		if pos+boxHeaderBytes > size {
			p.keep(pos, size-pos)
			return nil
		}
		head, err := readAt(p.src, pos, int(min(16, size-pos)))
		if err != nil {
			return err
		}
		n := int64(binary.BigEndian.Uint32(head))
		switch {
		case n == 0:
			n = size - pos
		case n == 1 && len(head) == 16:
			n = int64(binary.BigEndian.Uint64(head[8:]))
		}
		kind := string(head[4:8])
		if n < boxHeaderBytes || n > size-pos && kind != "mdat" {
			return ErrDamaged
		}
		n = min(n, size-pos)
		if err := planBox(p, kind, pos, n); err != nil {
			return err
		}
		pos += n
	}
	return ErrDamaged
}

func planBox(p *Plan, kind string, pos, n int64) error {
	if kind != "moov" && kind != "meta" && kind != "uuid" && kind != "moof" && kind != "udta" {
		p.keep(pos, n)
		return nil
	}
	if n > moovBytesMax {
		return ErrDamaged
	}
	b, err := readAt(p.src, pos, int(n))
	if err != nil {
		return err
	}
	changed, err := freeLocations(b, 0)
	if err != nil {
		return err
	}
	if !changed {
		p.keep(pos, n)
		return nil
	}
	p.Location = true
	p.replace(b)
	return nil
}

// freeLocations empties the location boxes inside one box, given with its header.
func freeLocations(box []byte, depth int) (bool, error) {
	if depth > boxDepthMax || len(box) < boxHeaderBytes {
		return false, ErrDamaged
	}
	kind := string(box[4:8])
	switch kind {
	case "\xa9xyz", "loci", "GPS ", "gps ", "gps0":
		freeBox(box)
		return true, nil
	case "uuid": // XMP
		if speaksOfGPS(box) {
			freeBox(box)
			return true, nil
		}
		return false, nil
	case "keys":
		return hideLocationKeys(box), nil
	case "moov", "udta", "trak", "meta", "moof", "traf":
	default:
		return false, nil
	}
	body := box[boxHeaderBytes:]
	if binary.BigEndian.Uint32(box) == 1 {
		body = box[min(16, len(box)):]
	}
	// "meta" has a version field in MP4 and none in QuickTime; its first child tells.
	if kind == "meta" && len(body) >= 8 && !bytes.Equal(body[4:8], []byte("hdlr")) {
		body = body[4:]
	}
	changed := false
	for len(body) >= boxHeaderBytes {
		n := int(binary.BigEndian.Uint32(body))
		if n == 0 && kind == "udta" {
			break // QuickTime ends a list of user data with a zero
		}
		if n < boxHeaderBytes || n > len(body) {
			return changed, ErrDamaged
		}
		c, err := freeLocations(body[:n], depth+1)
		changed = changed || c
		if err != nil {
			return changed, err
		}
		if kind == "meta" && string(body[4:8]) == "keys" && c {
			// Which value belongs to which key is by number; emptying all values is
			// simpler and certain, and a player needs none of them.
			if at := bytes.Index(box, []byte("ilst")); at >= 4 {
				emptyList(box[at-4:])
			}
		}
		body = body[n:]
	}
	return changed, nil
}

func freeBox(box []byte) {
	copy(box[4:8], "free")
	clear(box[boxHeaderBytes:])
}

// hideLocationKeys renames the keys of Apple's metadata list that name a place.
func hideLocationKeys(box []byte) bool {
	changed := false
	name := []byte("com.apple.quicktime.location.")
	for {
		at := bytes.Index(box, name)
		if at < 0 {
			return changed
		}
		copy(box[at:], "com.apple.quicktime.removed..")
		changed = true
	}
}

// emptyList turns the list of values that starts here into free space.
func emptyList(b []byte) {
	n := int(binary.BigEndian.Uint32(b))
	if n >= boxHeaderBytes && n <= len(b) {
		freeBox(b[:n])
	}
}
