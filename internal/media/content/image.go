package content

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"github.com/disintegration/imaging"
	"golang.org/x/image/webp"
)

const (
	// PixelsMax is the largest picture that is accepted: above what phones take, and about
	// as much as a small box can decode.
	PixelsMax = 50_000_000
	// decodedBytesMax bounds the memory of one decoded picture; a box has 1 GiB in all.
	decodedBytesMax = 256 << 20
	// ThumbnailSide is the longer side of a preview in pixels.
	ThumbnailSide = 320
	// thumbnailQuality keeps a preview near 15 KiB.
	thumbnailQuality = 80
)

// ErrTooManyPixels is returned for a picture that is larger than this system opens.
var ErrTooManyPixels = errors.New("the picture has too many pixels")

// Size is the size of a picture in pixels, as it is shown.
type Size struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

// Measure reads the size of a picture from its header and refuses what would take too
// much memory to decode. Its errors are ErrTooManyPixels and ErrDamaged.
func Measure(r io.Reader, mediaType string) (Size, error) {
	var config image.Config
	var err error
	switch mediaType {
	case JPEG:
		config, err = jpeg.DecodeConfig(r)
	case PNG:
		config, err = png.DecodeConfig(r)
	case GIF:
		config, err = gif.DecodeConfig(r)
	case WebP:
		config, err = webp.DecodeConfig(r)
	default:
		return Size{}, fmt.Errorf("measure %s: not a picture", mediaType)
	}
	if err != nil {
		return Size{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if config.Width <= 0 || config.Height <= 0 {
		return Size{}, ErrDamaged
	}
	pixels := int64(config.Width) * int64(config.Height)
	if pixels > PixelsMax || pixels*pixelBytes(config.ColorModel) > decodedBytesMax {
		return Size{}, fmt.Errorf("%w: %d × %d", ErrTooManyPixels, config.Width, config.Height)
	}
	return Size{Width: config.Width, Height: config.Height}, nil
}

// pixelBytes is what the standard decoders use per pixel.
func pixelBytes(model color.Model) int64 {
	switch model {
	case color.RGBA64Model, color.NRGBA64Model:
		return 8
	case color.YCbCrModel:
		return 3
	case color.GrayModel:
		return 1
	case color.Gray16Model:
		return 2
	}
	if _, ok := model.(color.Palette); ok {
		return 1
	}
	return 4
}

// Thumbnail decodes a picture that Measure accepted and returns a JPEG preview that is
// upright, at most ThumbnailSide long and carries no metadata. It refuses what takes too
// much memory to decode for another reason than its size: such a picture has no preview.
func Thumbnail(r io.Reader, mediaType string, orientation int) ([]byte, error) {
	var img image.Image
	var err error
	switch mediaType {
	case JPEG:
		img, err = decodeJPEG(r)
	case PNG:
		img, err = png.Decode(r)
	case GIF:
		img, err = gif.Decode(r) // the first frame
	case WebP:
		img, err = webp.Decode(r)
	default:
		return nil, fmt.Errorf("preview of %s: not a picture", mediaType)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if img.Bounds().Empty() { // a GIF's first frame may be
		return nil, fmt.Errorf("%w: its picture is empty", ErrDamaged)
	}
	small := upright(imaging.Fit(img, ThumbnailSide, ThumbnailSide, imaging.Box), orientation)
	page := imaging.New(small.Bounds().Dx(), small.Bounds().Dy(), color.White)
	page = imaging.Overlay(page, small, image.Point{}, 1)
	var out bytes.Buffer
	if err := jpeg.Encode(&out, page, &jpeg.Options{Quality: thumbnailQuality}); err != nil {
		return nil, fmt.Errorf("encode preview: %w", err)
	}
	return out.Bytes(), nil
}

// upright applies an EXIF orientation.
func upright(img *image.NRGBA, orientation int) *image.NRGBA {
	switch orientation {
	case 2:
		return imaging.FlipH(img)
	case 3:
		return imaging.Rotate180(img)
	case 4:
		return imaging.FlipV(img)
	case 5:
		return imaging.Transpose(img)
	case 6:
		return imaging.Rotate270(img)
	case 7:
		return imaging.Transverse(img)
	case 8:
		return imaging.Rotate90(img)
	}
	return img
}

// Upright is the size as it is shown after an EXIF orientation.
func (s Size) Upright(orientation int) Size {
	if orientation >= 5 && orientation <= 8 {
		return Size{Width: s.Height, Height: s.Width}
	}
	return s
}
