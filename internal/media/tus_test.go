package media_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"estate/internal/media"
	"estate/internal/problem"
)

func TestUpload(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := photo(t, 640, 480)
	at := n.create(len(data), media.Metadata{"filename": "Küche.jpg", "sha256": hashOf(data).String()})
	wantStatus(t, n.patch(at, 0, data[:1000]), http.StatusNoContent, "")
	if got := n.offset(at); got != 1000 {
		t.Fatalf("offset %d after 1000 bytes", got)
	}
	answer := n.patch(at, 1000, data[1000:])
	wantStatus(t, answer, http.StatusNoContent, "")
	if got := answer.Header.Get("Media-Blob"); got != hashOf(data).String() {
		t.Fatalf("blob %s", got)
	}
	list := n.catalogue()
	if len(list) != 1 || list[0].Type != "image/jpeg" || list[0].Size.Width != 640 || list[0].Metadata["filename"] != "Küche.jpg" {
		t.Fatalf("catalogue has %+v", list)
	}
	if !bytes.Equal(n.content(list[0].Blob), data) {
		t.Fatal("the blob has other bytes")
	}
	if small := n.content(list[0].Thumb); len(small) == 0 || len(small) > 40_000 || int64(len(small)) != list[0].ThumbBytes {
		t.Fatalf("preview of %d bytes", len(small))
	}
	if got := n.offset(at); got != len(data) {
		t.Fatalf("offset %d after completion", got)
	}
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	n := start(t, func(c *media.Config) { c.BytesMax = 5000 })
	at := n.create(3000, nil)
	sum := sha1.Sum([]byte("something else"))
	wrong := "sha1 " + base64.StdEncoding.EncodeToString(sum[:])
	unknown := path.Join(path.Dir(at), "00000000000000000000000000000000")
	cases := []struct {
		name, method, path string
		body               []byte
		headers            []string
		status             int
		code               problem.Code
	}{
		{"NoVersion", "POST", "/media/uploads/", nil, []string{"Tus-Resumable", ""}, 412, problem.TusVersion},
		{"OtherVersion", "PATCH", at, nil, []string{"Tus-Resumable", "0.2.2"}, 412, problem.TusVersion},
		{"NoLength", "POST", "/media/uploads/", nil, nil, 400, problem.InvalidInput},
		{"NegativeLength", "POST", "/media/uploads/", nil, []string{"Upload-Length", "-1"}, 400, problem.InvalidInput},
		{"Empty", "POST", "/media/uploads/", nil, []string{"Upload-Length", "0"}, 400, problem.InvalidInput},
		{"Oversize", "POST", "/media/uploads/", nil, []string{"Upload-Length", "5001"}, 413, problem.MediaTooLarge},
		{"BadMetadata", "POST", "/media/uploads/", nil, []string{"Upload-Length", "1", "Upload-Metadata", "a !"}, 400, problem.InvalidInput},
		{"HEIC", "POST", "/media/uploads/", nil, []string{"Upload-Length", "1", "Upload-Metadata", media.Metadata{"filetype": "image/heic"}.Encode()}, 415, problem.MediaTypeRefused},
		{"SignedOut", "POST", "/media/uploads/", nil, []string{"Upload-Length", "1", "X-Person", ""}, 401, problem.Unauthenticated},
		{"SignedOutPatch", "PATCH", at, []byte("x"), []string{"Upload-Offset", "0", "X-Person", ""}, 401, problem.Unauthenticated},
		{"OtherPersonPatch", "PATCH", at, []byte("x"), []string{"Upload-Offset", "0", "X-Person", "bob"}, 404, problem.NotFound},
		{"OtherPersonDelete", "DELETE", at, nil, []string{"X-Person", "bob"}, 404, problem.NotFound},
		{"Unknown", "PATCH", unknown, []byte("x"), []string{"Upload-Offset", "0"}, 404, problem.NotFound},
		{"Traversal", "PATCH", "/media/uploads/%2e%2e%2fblobs", []byte("x"), []string{"Upload-Offset", "0"}, 404, problem.NotFound},
		{"ContentType", "PATCH", at, []byte("x"), []string{"Upload-Offset", "0", "Content-Type", "image/jpeg"}, 415, problem.UploadContentType},
		{"NoOffset", "PATCH", at, []byte("x"), nil, 400, problem.InvalidInput},
		{"OtherOffset", "PATCH", at, []byte("x"), []string{"Upload-Offset", "7"}, 409, problem.UploadOffsetConflict},
		{"BeyondLength", "PATCH", at, make([]byte, 3001), []string{"Upload-Offset", "0"}, 413, problem.MediaTooLarge},
		{"UnknownChecksum", "PATCH", at, []byte("x"), []string{"Upload-Offset", "0", "Upload-Checksum", "crc32 AAAA"}, 400, problem.InvalidInput},
		{"WrongChecksum", "PATCH", at, make([]byte, 2000), []string{"Upload-Offset", "0", "Upload-Checksum", wrong}, 460, problem.UploadChecksumMismatch},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer := n.call(c.method, c.path, bytes.NewReader(c.body), c.headers...)
			wantStatus(t, answer, c.status, c.code)
			if answer.Header.Get("Tus-Resumable") != "1.0.0" {
				t.Error("no Tus-Resumable in the answer")
			}
		})
	}
	if got := n.offset(at); got != 0 {
		t.Fatalf("refused requests moved the offset to %d", got)
	}
	wantStatus(t, n.call(http.MethodHead, at, nil, "X-Person", "bob"), http.StatusNotFound, "")
	wantStatus(t, n.call(http.MethodDelete, at, nil), http.StatusNoContent, "")
	wantStatus(t, n.call(http.MethodHead, at, nil), http.StatusNotFound, "")
	options := n.call(http.MethodOptions, "/media/uploads/", nil, "Tus-Resumable", "")
	wantStatus(t, options, http.StatusNoContent, "")
	if options.Header.Get("Tus-Max-Size") != "5000" || options.Header.Get("Tus-Extension") == "" {
		t.Fatalf("options %v", options.Header)
	}
}

func TestUploadAtCreation(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(4000, 1)
	answer := n.call(http.MethodPost, "/media/uploads/", bytes.NewReader(data), "Upload-Length", "4000",
		"Content-Type", "application/offset+octet-stream")
	wantStatus(t, answer, http.StatusCreated, "")
	if answer.Header.Get("Upload-Offset") != "4000" || !bytes.Equal(n.content(hashOf(data)), data) {
		t.Fatalf("offset %s", answer.Header.Get("Upload-Offset"))
	}
}

// TestHashMismatch: invariant 9. Wrong bytes never become present, and the same upload
// can be sent again.
func TestHashMismatch(t *testing.T) {
	t.Parallel()
	n := start(t)
	data, other := pdf(3000, 1), pdf(3000, 9)
	at := n.create(3000, media.Metadata{"sha256": hashOf(data).String()})
	wantStatus(t, n.patch(at, 0, other), 460, problem.MediaHashMismatch)
	for _, b := range [][]byte{data, other} {
		if _, err := n.blobs.Stat(t.Context(), hashOf(b)); err == nil {
			t.Fatal("a blob of a mismatched upload is present")
		}
	}
	if got := n.offset(at); got != 0 {
		t.Fatalf("offset %d after a mismatch", got)
	}
	wantStatus(t, n.patch(at, 0, data), http.StatusNoContent, "")
	if !bytes.Equal(n.content(hashOf(data)), data) {
		t.Fatal("the second attempt was not stored")
	}
}

func TestRefusedContent(t *testing.T) {
	t.Parallel()
	bomb := pngHeader(60_000, 60_000)
	heic := append([]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), make([]byte, 100)...)
	cases := []struct {
		name   string
		data   []byte
		status int
		code   problem.Code
	}{
		{"PixelBomb", bomb, 422, problem.MediaTooManyPixels},
		{"HEIC", heic, 415, problem.MediaTypeRefused},
		{"HTML", []byte("<!doctype html><script>alert(1)</script>"), 415, problem.MediaTypeRefused},
		{"SVG", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), 415, problem.MediaTypeRefused},
		{"ELF", []byte("\x7fELF\x02\x01\x01"), 415, problem.MediaTypeRefused},
		{"CutJPEG", photo(t, 64, 64)[:30], 422, problem.MediaDamaged},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := start(t)
			at := n.create(len(c.data), media.Metadata{"filename": "harmless.jpg", "filetype": "image/jpeg"})
			wantStatus(t, n.patch(at, 0, c.data), c.status, c.code)
			wantStatus(t, n.call(http.MethodHead, at, nil), http.StatusGone, "")
			wantStatus(t, n.patch(at, 0, c.data), http.StatusGone, problem.UploadGone)
			if len(n.catalogue()) != 0 {
				t.Fatal("refused content reached the catalogue")
			}
		})
	}
}

// TestLocationRemoved: the announced hash is that of the bytes sent, the stored name that
// of the bytes kept; a building that allows locations keeps what was sent.
func TestLocationRemoved(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		n := start(t)
		n.uploader = media.Uploader{KeepLocation: keep}
		plain := photo(t, 64, 48)
		xmp := []byte("http://ns.adobe.com/xap/1.0/\x00<x exif:GPSLatitude='48.1'/>")
		data := append([]byte{0xFF, 0xD8, 0xFF, 0xE1, 0, byte(len(xmp) + 2)}, xmp...)
		data = append(data, plain[2:]...)
		at := n.create(len(data), media.Metadata{"sha256": hashOf(data).String()})
		wantStatus(t, n.patch(at, 0, data), http.StatusNoContent, "")
		got := n.catalogue()[0]
		want := plain
		if keep {
			want = data
		}
		if got.Sent != hashOf(data) || got.Blob != hashOf(want) || got.LocationRemoved == keep || !bytes.Equal(n.content(got.Blob), want) {
			t.Errorf("keep %v: %+v", keep, got)
		}
		_, err := n.blobs.Stat(t.Context(), hashOf(data))
		if present := err == nil; present != keep {
			t.Errorf("keep %v: the bytes with the location are present: %v", keep, present)
		}
		// Sent again after a lost answer, it is known by what was sent.
		again := n.call(http.MethodPost, "/media/uploads/", nil, "Upload-Length", strconv.Itoa(len(data)),
			"Upload-Metadata", media.Metadata{"sha256": hashOf(data).String()}.Encode())
		if again.Header.Get("Upload-Offset") != strconv.Itoa(len(data)) {
			t.Errorf("keep %v: offset %s when sent again", keep, again.Header.Get("Upload-Offset"))
		}
	}
}

func TestDuplicate(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(3000, 1)
	meta := media.Metadata{"sha256": hashOf(data).String(), "ticket": "one"}
	at := n.create(3000, meta)
	wantStatus(t, n.patch(at, 0, data), http.StatusNoContent, "")

	meta["ticket"] = "two"
	length := []string{"Upload-Length", "3000", "Upload-Metadata", meta.Encode()}
	again := n.call(http.MethodPost, "/media/uploads/", nil, length...)
	wantStatus(t, again, http.StatusCreated, "")
	if again.Header.Get("Upload-Offset") != "3000" {
		t.Fatal("the same person had to send the same bytes twice")
	}
	// Knowing a hash is no right to the bytes.
	foreign := n.call(http.MethodPost, "/media/uploads/", nil, append(length, "X-Person", "bob")...)
	wantStatus(t, foreign, http.StatusCreated, "")
	if foreign.Header.Get("Upload-Offset") != "0" {
		t.Fatal("another person completed an upload by naming a hash")
	}
	at = foreign.Header.Get("Location")
	wantStatus(t, n.patch(at, 0, data, "X-Person", "bob"), http.StatusNoContent, "")
	list := n.catalogue()
	if len(list) != 3 || list[1].Metadata["ticket"] != "two" || list[2].Person != "bob" {
		t.Fatalf("catalogue has %+v", list)
	}
	count := 0
	must(t, n.blobs.List(t.Context(), func(media.BlobInfo) error { count++; return nil }))
	if count != 1 {
		t.Fatalf("%d blobs for one content", count)
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	n := start(t)
	at := n.create(3000, nil)
	wantStatus(t, n.patch(at, 0, pdf(1000, 1)), http.StatusNoContent, "")
	n.clock.advance(6 * 24 * time.Hour)
	n.uploads.Sweep(t.Context())
	if got := n.offset(at); got != 1000 {
		t.Fatalf("offset %d before the expiry", got)
	}
	n.clock.advance(25 * time.Hour)
	n.uploads.Sweep(t.Context())
	wantStatus(t, n.call(http.MethodHead, at, nil), http.StatusNotFound, "")
	if _, err := os.Stat(filepath.Join(n.dir, "media", "uploads", path.Base(at))); !os.IsNotExist(err) {
		t.Fatalf("the expired upload is still on the disk: %v", err)
	}
}

func TestTooManyUploads(t *testing.T) {
	t.Parallel()
	n := start(t)
	for range 500 {
		n.create(10, nil)
	}
	answer := n.call(http.MethodPost, "/media/uploads/", nil, "Upload-Length", strconv.Itoa(10))
	wantStatus(t, answer, http.StatusTooManyRequests, problem.UploadTooMany)
	n.create(10, nil, "X-Person", "bob")
}

// pngHeader is the beginning of a PNG that claims a size.
func pngHeader(width, height uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, width)
	chunk = binary.BigEndian.AppendUint32(chunk, height)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}
