package media_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"estate/internal/media"
	"estate/internal/problem"
)

// node is one media server on real files, restartable in place.
type node struct {
	t       testing.TB
	dir     string
	blobs   *media.FileStore
	uploads *media.Uploads
	server  *httptest.Server
	clock   *clock

	mu        sync.Mutex
	handler   http.Handler
	completed []media.Upload
	refuse    error // what the catalogue answers
	uploader  media.Uploader
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func start(t testing.TB, adjust ...func(*media.Config)) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), clock: &clock{at: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)}}
	n.open(adjust...)
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		h := n.handler
		n.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(n.server.Close)
	return n
}

// open is also the restart: everything in memory is gone, the files are what they were.
func (n *node) open(adjust ...func(*media.Config)) {
	n.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	blobs, err := media.OpenFileStore(filepath.Join(n.dir, "media"), log)
	must(n.t, err)
	config := media.Config{Dir: filepath.Join(n.dir, "media", "uploads"), Blobs: blobs, Authorizer: n, Catalogue: n,
		Log: log, Now: n.clock.now}
	for _, f := range adjust {
		f(&config)
	}
	uploads, err := media.OpenUploads(config)
	must(n.t, err)
	mux := http.NewServeMux()
	mux.Handle("/media/uploads/", uploads)
	mux.HandleFunc("GET /blobs/{hash}", func(w http.ResponseWriter, r *http.Request) {
		hash, err := media.ParseHash(r.PathValue("hash"))
		if err == nil {
			err = media.ServeBlob(w, r, blobs, hash, r.URL.Query().Get("type"))
		}
		if err != nil {
			http.Error(w, err.Error(), problem.From(err).Status())
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blobs, n.uploads, n.handler = blobs, uploads, mux
}

func (n *node) Authorize(r *http.Request, _ media.Metadata) (media.Uploader, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	who := n.uploader
	if who.Person = r.Header.Get("X-Person"); who.Person == "" {
		return who, problem.New(problem.Unauthenticated, "")
	}
	who.Building = "oak"
	return who, nil
}

func (n *node) Completed(_ context.Context, upload media.Upload) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil {
		return n.refuse
	}
	n.completed = append(n.completed, upload)
	return nil
}

func (n *node) catalogue() []media.Upload {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]media.Upload(nil), n.completed...)
}

// call sends one tus request as person ada; headers come in pairs, an empty value removes.
func (n *node) call(method, path string, body io.Reader, headers ...string) *http.Response {
	n.t.Helper()
	if path == "" || path[0] == '/' {
		path = n.server.URL + path
	}
	r, err := http.NewRequestWithContext(n.t.Context(), method, path, body)
	must(n.t, err)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("X-Person", "ada")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/offset+octet-stream")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := n.server.Client().Do(r)
	must(n.t, err)
	n.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// create starts an upload and returns its path.
func (n *node) create(size int, meta media.Metadata, headers ...string) string {
	n.t.Helper()
	answer := n.call(http.MethodPost, "/media/uploads/", nil, append(headers,
		"Upload-Length", strconv.Itoa(size), "Upload-Metadata", meta.Encode())...)
	wantStatus(n.t, answer, http.StatusCreated, "")
	return answer.Header.Get("Location")
}

func (n *node) patch(at string, offset int, body []byte, headers ...string) *http.Response {
	n.t.Helper()
	return n.call(http.MethodPatch, at, bytes.NewReader(body), append(headers, "Upload-Offset", strconv.Itoa(offset))...)
}

func (n *node) offset(at string) int {
	n.t.Helper()
	answer := n.call(http.MethodHead, at, nil)
	wantStatus(n.t, answer, http.StatusOK, "")
	offset, err := strconv.Atoi(answer.Header.Get("Upload-Offset"))
	must(n.t, err)
	return offset
}

// content reads a present blob.
func (n *node) content(hash media.Hash) []byte {
	n.t.Helper()
	blob, err := n.blobs.Open(n.t.Context(), hash)
	must(n.t, err)
	defer blob.Close()
	b, err := io.ReadAll(blob)
	must(n.t, err)
	return b
}

func wantStatus(t testing.TB, answer *http.Response, status int, code problem.Code) {
	t.Helper()
	if answer.StatusCode != status {
		body, _ := io.ReadAll(answer.Body)
		t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, body)
	}
	if code == "" {
		return
	}
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	if want := fmt.Sprintf(`"code":%q`, code); !bytes.Contains(body, []byte(want)) {
		t.Fatalf("answer %s, want %s", body, want)
	}
	if !bytes.Contains(body, []byte(`"remedy":"`)) || bytes.Contains(body, []byte(`"remedy":""`)) {
		t.Fatalf("no remedy in %s", body)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pdf is a small accepted file of a given length whose bytes differ by seed.
func pdf(length int, seed byte) []byte {
	b := bytes.Repeat([]byte{seed, 'x', seed + 1}, length/3+1)[:length]
	copy(b, "%PDF-1.7\n")
	for i := 16; i+1 < length; i += 509 {
		b[i], b[i+1] = byte(i>>8), byte(i>>16)
	}
	return b
}

func photo(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for x := range width {
		for y := range height {
			img.Set(x, y, color.RGBA{R: uint8(x), G: uint8(y), B: uint8(x * y), A: 255})
		}
	}
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, img, nil))
	return b.Bytes()
}

func hashOf(b []byte) media.Hash {
	h, _, err := media.HashOf(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	return h
}

var errCatalogueDown = errors.New("the catalogue is down")
