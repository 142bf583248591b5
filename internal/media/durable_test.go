package media_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"estate/internal/media"
	"estate/internal/problem"
)

// openPatch starts a PATCH whose body the test feeds and whose connection it can cut. The
// answer, nil if none came, arrives after the cut.
func (n *node) openPatch(at string, offset int) (feed *io.PipeWriter, cut func(), ended chan *http.Response) {
	n.t.Helper()
	ctx, cancel := context.WithCancel(n.t.Context())
	reader, writer := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, n.server.URL+at, reader)
	must(n.t, err)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("X-Person", "ada")
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	r.Header.Set("Upload-Offset", strconv.Itoa(offset))
	ended = make(chan *http.Response, 1)
	go func() {
		answer, err := n.server.Client().Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		ended <- answer
	}()
	cut = func() {
		cancel()
		_ = writer.CloseWithError(context.Canceled) // the client waits for its body
	}
	n.t.Cleanup(cut)
	return writer, cut, ended
}

// arrived waits until the server has written so many bytes of an upload.
func (n *node) arrived(at string, size int64) {
	n.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		file, err := os.Stat(filepath.Join(n.dir, "media", "uploads", path.Base(at), "data"))
		if err == nil && file.Size() >= size {
			return
		}
		select {
		case <-tick.C:
		case <-n.t.Context().Done():
			n.t.Fatal("the bytes never arrived")
		}
	}
}

// TestCutConnection: what arrived before the cut is kept and the upload goes on there.
func TestCutConnection(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(300_000, 1)
	at := n.create(len(data), media.Metadata{"sha256": hashOf(data).String()})
	feed, cut, ended := n.openPatch(at, 0)
	_, err := feed.Write(data[:200_000])
	must(t, err)
	n.arrived(at, 100_000)
	cut()
	<-ended
	offset := n.offset(at)
	if offset < 100_000 || offset > 200_000 {
		t.Fatalf("offset %d after a cut", offset)
	}
	wantStatus(t, n.patch(at, offset, data[offset:]), http.StatusNoContent, "")
	if !bytes.Equal(n.content(hashOf(data)), data) {
		t.Fatal("the blob has other bytes")
	}
}

// TestLocked: a second writer is refused while the first is busy; a client that asks for
// the offset takes the upload over from its own dead connection.
func TestLocked(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(300_000, 1)
	at := n.create(len(data), nil)
	feed, cut, ended := n.openPatch(at, 0)
	_, err := feed.Write(data[:100_000])
	must(t, err)
	n.arrived(at, 50_000)
	wantStatus(t, n.patch(at, 0, data), http.StatusLocked, problem.UploadLocked)
	wantStatus(t, n.call(http.MethodDelete, at, nil), http.StatusLocked, problem.UploadLocked)
	offset := n.offset(at)
	cut()
	if answer := <-ended; answer != nil && answer.StatusCode == http.StatusNoContent {
		t.Fatal("the interrupted request was told that all is well")
	}
	wantStatus(t, n.patch(at, offset, data[offset:]), http.StatusNoContent, "")
	if !bytes.Equal(n.content(hashOf(data)), data) {
		t.Fatal("the blob has other bytes")
	}
}

func TestSilentConnection(t *testing.T) {
	t.Parallel()
	// Long beside what a busy machine takes from one part to the next.
	n := start(t, func(c *media.Config) { c.StallMax = time.Second })
	at := n.create(1000, nil)
	data := pdf(1000, 1)
	feed, _, _ := n.openPatch(at, 0)
	_, err := feed.Write(data[:500])
	must(t, err)
	n.arrived(at, 500)
	// The silent request is still open at our end: only the server can have ended it.
	answer := n.patch(at, 500, data[500:])
	for answer.StatusCode == http.StatusLocked || answer.StatusCode == http.StatusConflict {
		answer = n.patch(at, 500, data[500:])
	}
	wantStatus(t, answer, http.StatusNoContent, "")
}

// TestRestart: invariant 1. The process dies after any acknowledged part, with bytes in
// the file that were never acknowledged; the upload goes on at the acknowledged offset.
func TestRestart(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(100_000, 1)
	at := n.create(len(data), media.Metadata{"sha256": hashOf(data).String()})
	offset := 0
	for _, part := range []int{1, 999, 50_000, 30_000} {
		wantStatus(t, n.patch(at, offset, data[offset:offset+part]), http.StatusNoContent, "")
		offset += part
		file, err := os.OpenFile(filepath.Join(n.dir, "media", "uploads", path.Base(at), "data"), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteString("written but never acknowledged")
		must(t, errors.Join(err, file.Close()))
		n.open()
		if got := n.offset(at); got != offset {
			t.Fatalf("offset %d after the restart, acknowledged %d", got, offset)
		}
	}
	wantStatus(t, n.patch(at, offset, data[offset:]), http.StatusNoContent, "")
	if !bytes.Equal(n.content(hashOf(data)), data) {
		t.Fatal("the blob has other bytes")
	}
}

// TestKilledInMidRequest: invariant 1. What has come of a long request becomes durable while
// more arrives; a process that is killed then goes on there, whatever the file holds beyond.
func TestKilledInMidRequest(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(20<<20, 1)
	at := n.create(len(data), media.Metadata{"sha256": hashOf(data).String()})
	feed, cut, ended := n.openPatch(at, 0)
	folder := filepath.Join(n.dir, "media", "uploads", path.Base(at))
	for from := 0; from < 12<<20; from += 1 << 20 {
		_, err := feed.Write(data[from : from+1<<20])
		must(t, err)
		n.arrived(at, int64(from+1<<19))
	}
	n.arrived(at, 12<<20)
	durable := 0
	for tick := time.NewTicker(time.Millisecond); durable == 0; <-tick.C {
		var info struct{ Offset int }
		text, err := os.ReadFile(filepath.Join(folder, "info"))
		must(t, err)
		must(t, json.Unmarshal(text, &info))
		durable = info.Offset
	}
	killed := &node{t: t, dir: snapshot(t, folder), clock: n.clock}
	cut()
	<-ended
	killed.open()
	killed.server = httptest.NewServer(killed.handler)
	t.Cleanup(killed.server.Close)
	offset := killed.offset(at)
	if offset < durable || offset > 12<<20 {
		t.Fatalf("offset %d after the kill, %d were durable", offset, durable)
	}
	wantStatus(t, killed.patch(at, offset, data[offset:]), http.StatusNoContent, "")
	if !bytes.Equal(killed.content(hashOf(data)), data) {
		t.Fatal("the blob has other bytes")
	}
}

// snapshot copies an upload's folder, as a kill at this moment would leave it, into a new data
// folder and returns that. A file renamed while it was copied (info.new becomes info) makes no
// moment of the folder, so the copy begins anew.
func snapshot(t *testing.T, folder string) string {
	t.Helper()
	for {
		dir := t.TempDir()
		uploads := filepath.Join(dir, "media", "uploads")
		must(t, os.MkdirAll(uploads, 0o700))
		err := os.CopyFS(filepath.Join(uploads, filepath.Base(folder)), os.DirFS(folder))
		if !errors.Is(err, fs.ErrNotExist) {
			must(t, err)
			return dir
		}
	}
}

// TestCatalogueDown: a complete file is handed over after the catalogue, or the process,
// comes back, and only once.
func TestCatalogueDown(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.refuse = errCatalogueDown
	data := pdf(3000, 1)
	at := n.create(3000, nil)
	wantStatus(t, n.patch(at, 0, data), http.StatusNoContent, "")
	if n.uploads.Unfinished() != 1 {
		t.Fatal("an upload that is not recorded counts as finished")
	}
	n.uploads.Sweep(t.Context())
	n.open()
	n.refuse = nil
	n.uploads.Sweep(t.Context())
	n.uploads.Sweep(t.Context())
	if list := n.catalogue(); len(list) != 1 || list[0].Blob != hashOf(data) {
		t.Fatalf("catalogue has %+v", list)
	}
	if n.uploads.Unfinished() != 0 || n.offset(at) != 3000 {
		t.Fatal("the upload is not done")
	}

	n.refuse = problem.New(problem.Forbidden, "the ticket is closed")
	at = n.create(3000, nil)
	wantStatus(t, n.patch(at, 0, pdf(3000, 7)), http.StatusForbidden, problem.Forbidden)
	wantStatus(t, n.call(http.MethodHead, at, nil), http.StatusGone, "")
}

// TestAnySplit: any sequence of parts, with or without checksums and restarts, makes the
// same blob.
func TestAnySplit(t *testing.T) {
	t.Parallel()
	n := start(t)
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.IntRange(20, 200_000).Draw(r, "size")
		data := pdf(size, byte(rapid.IntRange(0, 250).Draw(r, "seed")))
		at := n.create(size, media.Metadata{"nonce": strconv.Itoa(size)})
		for offset := 0; offset < size; {
			part := data[offset : offset+rapid.IntRange(1, size-offset).Draw(r, "part")]
			var headers []string
			switch rapid.IntRange(0, 4).Draw(r, "how") {
			case 0:
				sum := sha256.Sum256(part)
				headers = []string{"Upload-Checksum", "sha256 " + base64.StdEncoding.EncodeToString(sum[:])}
			case 1: // damaged on the way: refused, nothing moves
				sum := sha256.Sum256(part)
				broken := append([]byte(nil), part...)
				broken[0] ^= 1
				answer := n.patch(at, offset, broken, "Upload-Checksum", "sha256 "+base64.StdEncoding.EncodeToString(sum[:]))
				wantStatus(t, answer, 460, problem.UploadChecksumMismatch)
			case 2:
				n.open()
			}
			wantStatus(t, n.patch(at, offset, part, headers...), http.StatusNoContent, "")
			offset += len(part)
		}
		if !bytes.Equal(n.content(hashOf(data)), data) {
			r.Fatal("the blob has other bytes")
		}
	})
}

// TestCorruptBlob: invariant 9. A file whose bytes changed on the disk is set aside, is
// not present, and can be stored again.
func TestCorruptBlob(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(3000, 1)
	hash := hashOf(data)
	must(t, n.blobs.Put(t.Context(), hash, bytes.NewReader(data)))
	name := filepath.Join(n.dir, "media", "blobs", hash.String()[:2], hash.String()[2:])
	broken := append([]byte(nil), data...)
	broken[1500] ^= 4
	must(t, os.WriteFile(name, broken, 0o600))
	n.open()
	if _, err := n.blobs.Open(t.Context(), hash); !errors.Is(err, media.ErrNoBlob) {
		t.Fatalf("open of a corrupt blob: %v", err)
	}
	wantStatus(t, n.call(http.MethodGet, "/blobs/"+hash.String(), nil), http.StatusNotFound, "")
	aside, err := os.ReadDir(filepath.Join(n.dir, "media", "quarantine"))
	must(t, err)
	if len(aside) != 1 || n.blobs.Corrupt() != 1 {
		t.Fatalf("%d files set aside, %d reported", len(aside), n.blobs.Corrupt())
	}
	if err := n.blobs.Put(t.Context(), hash, bytes.NewReader(broken)); !errors.Is(err, media.ErrHash) {
		t.Fatalf("put of wrong bytes: %v", err)
	}
	must(t, n.blobs.Put(t.Context(), hash, bytes.NewReader(data)))
	if !bytes.Equal(n.content(hash), data) {
		t.Fatal("not stored again")
	}
	must(t, n.blobs.Delete(t.Context(), hash))
	must(t, n.blobs.Delete(t.Context(), hash))
	if _, err := n.blobs.Stat(t.Context(), hash); !errors.Is(err, media.ErrNoBlob) {
		t.Fatalf("stat after delete: %v", err)
	}
}

func TestServeBlob(t *testing.T) {
	t.Parallel()
	n := start(t)
	data := pdf(3000, 1)
	hash := hashOf(data).String()
	must(t, n.blobs.Put(t.Context(), hashOf(data), bytes.NewReader(data)))
	part := n.call(http.MethodGet, "/blobs/"+hash+"?type=application/pdf", nil, "Range", "bytes=10-19")
	wantStatus(t, part, http.StatusPartialContent, "")
	if got, _ := io.ReadAll(part.Body); !bytes.Equal(got, data[10:20]) {
		t.Fatalf("range gave %q", got)
	}
	h := part.Header
	if h.Get("Etag") != `"`+hash+`"` || h.Get("X-Content-Type-Options") != "nosniff" ||
		h.Get("Content-Security-Policy") != "sandbox; default-src 'none'" || h.Get("Content-Disposition") != "inline" {
		t.Fatalf("headers %v", h)
	}
	same := n.call(http.MethodGet, "/blobs/"+hash+"?type=application/pdf", nil, "If-None-Match", `"`+hash+`"`)
	wantStatus(t, same, http.StatusNotModified, "")
	page := n.call(http.MethodGet, "/blobs/"+hash+"?type=text/html", nil)
	wantStatus(t, page, http.StatusOK, "")
	if page.Header.Get("Content-Type") != "application/octet-stream" || page.Header.Get("Content-Disposition") != "attachment" {
		t.Fatalf("a page is served as %v", page.Header)
	}
}
