package content_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"estate/internal/lab/fuzztest"
	"estate/internal/lab/labtest"
	"estate/internal/media/content"
)

// secret stands for the bytes of a position: nothing of it may be left.
var secret = []byte("48.137154N011.576124E")

func sanitise(t *testing.T, b []byte, mediaType string, keep bool) ([]byte, *content.Plan) {
	t.Helper()
	plan, err := content.Sanitise(bytes.NewReader(b), int64(len(b)), mediaType, keep)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(plan.Reader())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(out, b) == plan.Changed {
		t.Fatalf("changed = %v, but that is not so", plan.Changed)
	}
	return out, plan
}

// exif builds an EXIF block with an orientation, a GPS directory and a camera name.
func exif(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II*\x00")
	if order.String() == "BigEndian" {
		b = []byte("MM\x00*")
	}
	entry := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint16(b, tag)
		b = order.AppendUint16(b, kind)
		b = order.AppendUint32(b, count)
		if kind == 3 {
			b = order.AppendUint16(b, uint16(value))
			b = order.AppendUint16(b, 0)
			return
		}
		b = order.AppendUint32(b, value)
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 3)
	entry(0x0112, 3, 1, uint32(orientation))
	entry(0x8825, 4, 1, 50)
	entry(0xA432, 2, 4, 0x41414100)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint16(b, 1) // at 50: the GPS directory
	entry(0x001B, 2, uint32(len(secret)), 68)
	b = order.AppendUint32(b, 0)
	return append(b, secret...)
}

func picture(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			c := color.RGBA{A: 255, B: 255}
			if y < height/2 {
				c = color.RGBA{A: 255, R: 255} // the upper half is red
			}
			img.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func segment(mark byte, body []byte) []byte {
	b := []byte{0xFF, mark}
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)+2))
	return append(b, body...)
}

func TestSanitiseJPEG(t *testing.T) {
	t.Parallel()
	plain := picture(t, 60, 40)
	xmp := append([]byte("http://ns.adobe.com/xap/1.0/\x00<x exif:GPSLatitude='"), secret...)
	cases := []struct {
		name  string
		block []byte
		trail []byte
		turn  int
	}{
		{"LittleEndian", segment(0xE1, append([]byte("Exif\x00\x00"), exif(binary.LittleEndian, 6)...)), nil, 6},
		{"BigEndian", segment(0xE1, append([]byte("Exif\x00\x00"), exif(binary.BigEndian, 3)...)), nil, 3},
		{"XMP", segment(0xE1, xmp), nil, 1},
		{"Unreadable", segment(0xE1, append([]byte("Exif\x00\x00II*\x00\xff\xff\xff\x00"), secret...)), nil, 1},
		{"AfterTheEnd", nil, secret, 1},
		{"Agency", segment(0xED, append([]byte("Photoshop 3.0\x00"), secret...)), nil, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := slices.Concat(plain[:2], c.block, plain[2:], c.trail)
			out, plan := sanitise(t, in, content.JPEG, false)
			if bytes.Contains(out, secret) || !bytes.Contains(in, secret) {
				t.Fatal("the location is still in the file")
			}
			if plan.Orientation != c.turn {
				t.Errorf("orientation %d, want %d", plan.Orientation, c.turn)
			}
			if _, err := jpeg.Decode(bytes.NewReader(out)); err != nil {
				t.Fatal(err)
			}
			again, second := sanitise(t, out, content.JPEG, false)
			if !bytes.Equal(out, again) || second.Orientation != c.turn {
				t.Error("sanitising twice changes something")
			}
			kept, plan := sanitise(t, in, content.JPEG, true)
			if !bytes.Equal(kept, in) || plan.Orientation != c.turn {
				t.Error("a building that allows locations did not get the file as it was")
			}
		})
	}
	if out, _ := sanitise(t, plain, content.JPEG, false); !bytes.Equal(out, plain) {
		t.Error("a photo without a location was changed")
	}
}

func box(kind string, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))
	return append(append(b, kind...), body...)
}

func TestSanitiseOther(t *testing.T) {
	t.Parallel()
	riff := func(chunks ...[]byte) []byte {
		body := append([]byte("WEBP"), slices.Concat(chunks...)...)
		return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
	}
	chunk := func(kind string, body []byte) []byte {
		b := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body)))
		return append(append(b, body...), make([]byte, len(body)%2)...)
	}
	png := func(kind string, body []byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
		return append(append(append(b, kind...), body...), 0, 0, 0, 0)
	}
	ftyp := box("ftyp", []byte("isom\x00\x00\x00\x00"))
	keys := box("meta", box("hdlr", make([]byte, 4)), box("keys", []byte("com.apple.quicktime.location.ISO6709")), box("ilst", secret))
	block := exif(binary.LittleEndian, 6)
	signature := []byte("\x89PNG\r\n\x1a\n")
	cases := []struct {
		name, mediaType string
		data            []byte
		samePlace       bool
	}{
		{"WebPEXIF", content.WebP, riff(chunk("VP8X", make([]byte, 10)), chunk("EXIF", block), chunk("VP8 ", []byte("abc"))), true},
		{"WebPXMP", content.WebP, riff(chunk("VP8 ", []byte("abcd")), chunk("XMP ", append([]byte("GPSLatitude"), secret...))), true},
		{"PNGEXIF", content.PNG, slices.Concat(signature, png("IHDR", make([]byte, 13)), png("eXIf", block), png("IEND", nil)), true},
		{"PNGText", content.PNG, slices.Concat(signature, png("iTXt", append([]byte("XML:com.adobe.xmp\x00"), secret...)), png("IEND", nil)), false},
		{"PNGTail", content.PNG, slices.Concat(signature, png("IEND", nil), secret), false},
		{"MP4", content.MP4, slices.Concat(ftyp, box("mdat", []byte("film")), box("moov", box("mvhd"), box("udta", box("\xa9xyz", secret)))), true},
		{"3GP", content.ThreeGP, slices.Concat(ftyp, box("moov", box("udta", box("loci", secret))), box("mdat", []byte("film"))), true},
		{"QuickTime", content.QuickTime, slices.Concat(ftyp, box("moov", keys)), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out, _ := sanitise(t, c.data, c.mediaType, false)
			if bytes.Contains(out, secret) || !bytes.Contains(c.data, secret) {
				t.Fatal("the location is still in the file")
			}
			if c.samePlace && len(out) != len(c.data) {
				t.Errorf("the length went from %d to %d", len(c.data), len(out))
			}
			if again, _ := sanitise(t, out, c.mediaType, false); !bytes.Equal(out, again) {
				t.Error("sanitising twice changes something")
			}
		})
	}
}

func TestThumbnail(t *testing.T) {
	t.Parallel()
	// Where the red half of the picture is after each orientation: top, bottom, left, right.
	red := map[int]string{1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
	source := picture(t, 800, 400)
	for turn, want := range red {
		small, err := content.Thumbnail(bytes.NewReader(source), content.JPEG, turn)
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(bytes.NewReader(small))
		if err != nil {
			t.Fatal(err)
		}
		size := content.Size{Width: 320, Height: 160}.Upright(turn)
		if b := img.Bounds(); b.Dx() != size.Width || b.Dy() != size.Height {
			t.Fatalf("orientation %d: %v", turn, b)
		}
		spots := map[string]image.Point{"top": {size.Width / 2, 5}, "bottom": {size.Width / 2, size.Height - 5},
			"left": {5, size.Height / 2}, "right": {size.Width - 5, size.Height / 2}}
		if r, _, b, _ := img.At(spots[want].X, spots[want].Y).RGBA(); r < b {
			t.Errorf("orientation %d: red is not at the %s", turn, want)
		}
	}
	if _, err := content.Thumbnail(bytes.NewReader(source[:300]), content.JPEG, 1); !errors.Is(err, content.ErrDamaged) {
		t.Errorf("a cut picture gives %v", err)
	}
}

// TestRealPhotos reads photos of defects, some of which carry a position.
func TestRealPhotos(t *testing.T) {
	t.Parallel()
	files := labtest.Data(t, "defect_photos/*/images/*.jpg")
	located := 0
	for _, name := range files {
		in, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out, plan := sanitise(t, in, content.JPEG, false)
		if plan.Location {
			located++
		}
		if _, second := sanitise(t, out, content.JPEG, false); second.Location || second.Changed {
			t.Errorf("%s: something was left to remove", filepath.Base(name))
		}
		before, err := jpeg.Decode(bytes.NewReader(in))
		if err != nil {
			t.Fatal(err)
		}
		after, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		if a, ok := after.(*image.YCbCr); ok && !bytes.Equal(a.Y, before.(*image.YCbCr).Y) {
			t.Errorf("%s: the picture itself changed", filepath.Base(name))
		}
	}
	if located != 35 {
		t.Errorf("%d of %d photos carried a location, 35 are known to", located, len(files))
	}
}

// pictures are small valid files of each type, as seeds.
func pictures(f *testing.F) map[string][]byte {
	f.Helper()
	img := image.NewPaletted(image.Rect(0, 0, 24, 16), color.Palette{color.Black, color.White, color.RGBA{R: 200, A: 255}})
	for i := range img.Pix {
		img.Pix[i] = uint8(i % 3)
	}
	out := map[string][]byte{content.WebP: tinyWebP()}
	for kind, encode := range map[string]func(io.Writer) error{
		content.JPEG: func(w io.Writer) error { return jpeg.Encode(w, img, nil) },
		content.PNG:  func(w io.Writer) error { return png.Encode(w, img) },
		content.GIF:  func(w io.Writer) error { return gif.Encode(w, img, nil) },
	} {
		var b bytes.Buffer
		if err := encode(&b); err != nil {
			f.Fatal(err)
		}
		out[kind] = b.Bytes()
	}
	return out
}

// tinyWebP is a picture of one pixel.
func tinyWebP() []byte {
	return []byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00")
}

// FuzzPicture measures and decodes any bytes under any type: no panic but what the caller
// guards against, memory within what the header was let through for, coded refusals.
func FuzzPicture(f *testing.F) {
	for _, b := range pictures(f) {
		f.Add(b, 1)
	}
	f.Add(progressive(64, 64), 6)
	f.Add([]byte("RIFF\x0c\x00\x00\x00WEBPVP8X"), 3)
	f.Fuzz(func(t *testing.T, b []byte, orientation int) {
		mediaType, allowed := content.Sniff(b)
		if allowed != content.Allowed(mediaType) {
			t.Fatalf("%s is both allowed and not", mediaType)
		}
		if !content.IsImage(mediaType) {
			return
		}
		var size content.Size
		var err error
		fuzztest.Bounded(t, len(b), 64, func() { size, err = content.Measure(bytes.NewReader(b), mediaType) })
		if err != nil {
			if !errors.Is(err, content.ErrDamaged) && !errors.Is(err, content.ErrTooManyPixels) {
				t.Fatalf("%v has no code", err)
			}
			return
		}
		pixels := size.Width * size.Height
		if pixels > 1<<22 {
			return // as bounded, and slower than it is worth here
		}
		const perPixel = 16                                      // the picture, its passes, its preview
		whole := func(side int) int { return (side + 15) &^ 15 } // in blocks of a picture whose colours are halved
		fuzztest.Bounded(t, whole(size.Width)*whole(size.Height)*perPixel+len(b)*64, 1, func() {
			small, err := content.Thumbnail(bytes.NewReader(b), mediaType, orientation)
			if err != nil {
				return
			}
			if got, err := content.Measure(bytes.NewReader(small), content.JPEG); err != nil || max(got.Width, got.Height) > content.ThumbnailSide {
				t.Fatalf("preview of %+v, %v", got, err)
			}
		})
	})
}

func FuzzSanitise(f *testing.F) {
	f.Add(append([]byte{0xFF, 0xD8}, segment(0xE1, append([]byte("Exif\x00\x00"), exif(binary.LittleEndian, 6)...))...), 0)
	f.Add(box("moov", box("udta", box("loci", secret))), 3)
	f.Add([]byte("RIFF\x18\x00\x00\x00WEBPXMP \x0b\x00\x00\x00GPSLatitude\x00"), 2)
	for kind, b := range pictures(f) {
		f.Add(b, slices.Index([]string{content.JPEG, content.PNG, content.WebP, content.MP4}, kind))
	}
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x04tEXtGPSL\x00\x00\x00\x00\x00\x00\x00\x00IEND\x00\x00\x00\x00"), 1)
	types := []string{content.JPEG, content.PNG, content.WebP, content.MP4}
	f.Fuzz(func(t *testing.T, b []byte, kind int) {
		mediaType := types[(kind%4+4)%4]
		var plan *content.Plan
		var err error
		fuzztest.Bounded(t, len(b), 64, func() { plan, err = content.Sanitise(bytes.NewReader(b), int64(len(b)), mediaType, false) })
		if err != nil {
			if !errors.Is(err, content.ErrDamaged) {
				t.Fatalf("%v has no code", err)
			}
			return
		}
		out, err := io.ReadAll(plan.Reader())
		if err != nil || len(out) > len(b) {
			t.Fatalf("%d bytes became %d: %v", len(b), len(out), err)
		}
		again, err := content.Sanitise(bytes.NewReader(out), int64(len(out)), mediaType, false)
		if err != nil || again.Changed {
			t.Fatalf("not stable: %v", err)
		}
	})
}
