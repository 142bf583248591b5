package content

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrDamaged is returned for a file whose structure cannot be followed, so that nobody
// can say where a location may hide in it.
var ErrDamaged = errors.New("the file is damaged or cut off")

// Plan says how the stored bytes are made from the bytes that were sent: pieces of the
// source and replaced blocks, in order. It holds no image data, so a plan for a large file
// is small.
type Plan struct {
	// Changed is false where the source can be stored as it is.
	Changed bool
	// Location is true where a location was found and is removed.
	Location bool
	// Orientation is the EXIF orientation, 1 to 8.
	Orientation int

	src    io.ReaderAt
	pieces []piece
}

type piece struct {
	off, n int64
	bytes  []byte // replaces the source when not nil
}

func newPlan(src io.ReaderAt) *Plan { return &Plan{Orientation: 1, src: src} }

func (p *Plan) keep(off, n int64) {
	if n <= 0 {
		return
	}
	if k := len(p.pieces); k > 0 && p.pieces[k-1].bytes == nil && p.pieces[k-1].off+p.pieces[k-1].n == off {
		p.pieces[k-1].n += n
		return
	}
	p.pieces = append(p.pieces, piece{off: off, n: n})
}

func (p *Plan) replace(b []byte) {
	p.Changed = true
	p.pieces = append(p.pieces, piece{n: int64(len(b)), bytes: b})
}

// drop notes that something was left out on purpose.
func (p *Plan) drop() { p.Changed = true }

// Reader reads the bytes to store. It can be called again to read them twice.
func (p *Plan) Reader() io.Reader {
	readers := make([]io.Reader, 0, len(p.pieces))
	for _, piece := range p.pieces {
		if piece.bytes != nil {
			readers = append(readers, bytes.NewReader(piece.bytes))
			continue
		}
		readers = append(readers, io.NewSectionReader(p.src, piece.off, piece.n))
	}
	return io.MultiReader(readers...)
}

// Sanitise plans the removal of locations from a file of an accepted type. With
// keepLocation the bytes stay as they are and only the orientation is read. Sanitising
// what was sanitised changes nothing.
func Sanitise(src io.ReaderAt, size int64, mediaType string, keepLocation bool) (*Plan, error) {
	p := newPlan(src)
	var err error
	switch mediaType {
	case JPEG:
		err = planJPEG(p, size)
	case PNG:
		err = planPNG(p, size)
	case WebP:
		err = planWebP(p, size)
	case MP4, ThreeGP, QuickTime, M4A:
		err = planMP4(p, size)
	default:
		p.keep(0, size)
	}
	if keepLocation {
		p.Changed, p.Location = false, false
		p.pieces = nil
		p.keep(0, size)
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s for locations: %w", mediaType, err)
	}
	return p, nil
}

// readAt reads exactly n bytes, or says that the file is damaged.
func readAt(src io.ReaderAt, off int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if k, err := src.ReadAt(b, off); k < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = ErrDamaged
		}
		return nil, err
	}
	return b, nil
}

// cleanEXIF edits one TIFF block and records what it says. It returns the block to store,
// nil to drop it, and whether it differs from what was given.
func (p *Plan) cleanEXIF(block []byte) ([]byte, bool) {
	t, err := parseTIFF(block)
	if err != nil {
		p.Location = true // it may well hold one: nobody can read it
		return nil, true
	}
	p.Orientation = t.orientation()
	changed, err := t.stripGPS()
	if err != nil {
		p.Location = true
		return nil, true
	}
	p.Location = p.Location || changed
	return block, changed
}

// speaksOfGPS reports whether a block of XML or text names a GPS property.
func speaksOfGPS(b []byte) bool {
	lower := bytes.ToLower(b)
	return bytes.Contains(lower, []byte("gpsl")) || bytes.Contains(lower, []byte("gpsdest")) ||
		bytes.Contains(lower, []byte("gpsposition")) || bytes.Contains(lower, []byte("iso6709"))
}
