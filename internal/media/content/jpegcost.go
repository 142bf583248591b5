package content

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"io"
)

// coefficientBytes is what the standard decoder keeps for each sample of a picture that is
// sent in several passes, until the last has come.
const coefficientBytes = 4

// decodeJPEG decodes a picture, unless what its header claims would take more memory than
// one picture may. It returns ErrTooManyPixels and ErrDamaged.
func decodeJPEG(r io.Reader) (image.Image, error) {
	var head bytes.Buffer
	need, err := jpegMemory(io.TeeReader(r, &head))
	if err != nil {
		return nil, err
	}
	if need > decodedBytesMax {
		return nil, fmt.Errorf("%w: it takes %d MiB to decode", ErrTooManyPixels, need>>20)
	}
	return jpeg.Decode(io.MultiReader(&head, r))
}

// jpegMemory reads segments up to the frame's header and tells what the standard decoder
// takes for it.
func jpegMemory(r io.Reader) (int64, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil || b[0] != 0xFF || b[1] != markSOI {
		return 0, ErrDamaged
	}
	for range jpegSegmentsMax {
		mark, err := nextMark(r)
		if err != nil {
			return 0, err
		}
		if mark == 0x01 || mark >= 0xD0 && mark <= 0xD7 {
			continue // without a length
		}
		if _, err := io.ReadFull(r, b[:2]); err != nil {
			return 0, ErrDamaged
		}
		n := int64(binary.BigEndian.Uint16(b[:2])) - 2
		if n < 0 {
			return 0, ErrDamaged
		}
		if mark >= 0xC0 && mark <= 0xC2 {
			frame := make([]byte, n)
			if _, err := io.ReadFull(r, frame); err != nil {
				return 0, ErrDamaged
			}
			return frameMemory(frame, mark == 0xC2)
		}
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			return 0, ErrDamaged
		}
	}
	return 0, ErrDamaged
}

// nextMark reads up to the next mark, as loosely as the decoder: bytes between segments and
// fill bytes mean nothing.
func nextMark(r io.Reader) (byte, error) {
	var b [1]byte
	for after, skipped := false, 0; skipped < scanBytes; skipped++ {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, ErrDamaged
		}
		if after && b[0] != 0 && b[0] != 0xFF {
			return b[0], nil
		}
		after = b[0] == 0xFF
	}
	return 0, ErrDamaged
}

// frameMemory counts samples: of each component as often as it is sampled, once more where
// the colours are turned into another form, and the coefficients of several passes.
func frameMemory(frame []byte, passes bool) (int64, error) {
	const fixed = 6 // precision, height, width, number of components
	if len(frame) < fixed || len(frame) != fixed+3*int(frame[5]) || frame[5] == 0 {
		return 0, ErrDamaged
	}
	pixels := int64(binary.BigEndian.Uint16(frame[1:])) * int64(binary.BigEndian.Uint16(frame[3:]))
	components, sampled, most := int64(frame[5]), int64(0), int64(1)
	for c := frame[fixed:]; len(c) > 0; c = c[3:] {
		each := int64(c[1]>>4) * int64(c[1]&0x0f)
		sampled, most = sampled+each, max(most, each)
	}
	need := pixels * sampled / most
	if passes {
		need += coefficientBytes * pixels * sampled / most
	}
	if components == 4 || components == 3 && sampled == 3*most {
		need += 4 * pixels // to CMYK, or from plain RGB
	}
	return need, nil
}
