// Package content looks at bytes that people upload: what type they are, how many pixels
// they hold, where a location hides in them, and what a small preview of them looks like.
//
// It must never trust a name or a declared type, never decode an image whose size it has
// not checked first, and never let a location through because a structure was unreadable:
// what it cannot read it drops or refuses.
package content

import (
	"bytes"
	"net/http"
	"strings"
)

// HeadBytes is how much of the beginning of a file Sniff wants: what
// http.DetectContentType reads, which also covers the brands of an MP4 file.
const HeadBytes = 512

// The types that are accepted. What is not listed is refused.
const (
	JPEG      = "image/jpeg"
	PNG       = "image/png"
	WebP      = "image/webp"
	GIF       = "image/gif"
	MP4       = "video/mp4"
	ThreeGP   = "video/3gpp"
	QuickTime = "video/quicktime"
	WebM      = "video/webm"
	M4A       = "audio/mp4"
	Ogg       = "audio/ogg"
	PDF       = "application/pdf"
	// HEIC is recognised so that it can be refused with a remedy; nothing here decodes it.
	HEIC = "image/heic"
)

// Allowed reports whether a type is stored and served under its own name.
func Allowed(mediaType string) bool {
	switch mediaType {
	case JPEG, PNG, WebP, GIF, MP4, ThreeGP, QuickTime, WebM, M4A, Ogg, PDF:
		return true
	}
	return false
}

// IsImage reports whether a type is one that Measure and Thumbnail can read.
func IsImage(mediaType string) bool {
	switch mediaType {
	case JPEG, PNG, WebP, GIF:
		return true
	}
	return false
}

// Sniff names the type of a file by its first bytes, without parameters. The second
// result says whether it is an accepted one.
func Sniff(head []byte) (string, bool) {
	if len(head) > HeadBytes {
		head = head[:HeadBytes]
	}
	t := isoType(head)
	if t == "" {
		t, _, _ = strings.Cut(http.DetectContentType(head), ";")
		if t == "application/ogg" {
			t = Ogg
		}
	}
	return t, Allowed(t)
}

// isoType reads the brand of an ISO base media file (MP4, 3GP, QuickTime, HEIC), which
// the standard library tells apart too coarsely.
func isoType(head []byte) string {
	if len(head) < 12 || !bytes.Equal(head[4:8], []byte("ftyp")) {
		return ""
	}
	brand := string(head[8:12])
	switch {
	case brand == "qt  ":
		return QuickTime
	case brand == "M4A " || brand == "M4B ":
		return M4A
	case strings.HasPrefix(brand, "3gp"), strings.HasPrefix(brand, "3g2"):
		return ThreeGP
	case strings.HasPrefix(brand, "hei"), strings.HasPrefix(brand, "hev"), brand == "mif1", brand == "msf1":
		return HEIC
	case brand == "avif" || brand == "avis":
		return "image/avif"
	case strings.HasPrefix(brand, "iso"), strings.HasPrefix(brand, "mp4"), strings.HasPrefix(brand, "avc"),
		strings.HasPrefix(brand, "M4V"), brand == "MSNV", brand == "dash":
		return MP4
	}
	return "application/octet-stream"
}
