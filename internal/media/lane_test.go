package media_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/media"
)

// queue is a media.Queue in memory; closed is closed when only the stuck items are left.
type queue struct {
	mu     sync.Mutex
	rows   []row
	order  []string
	left   int
	closed chan struct{}
}

type row struct {
	media.Item
	retryAt time.Time
	code    string
}

func newQueue(stuck int, items ...media.Item) *queue {
	q := &queue{left: stuck, closed: make(chan struct{})}
	for _, item := range items {
		q.rows = append(q.rows, row{Item: item})
	}
	return q
}

func (q *queue) Next(_ context.Context, now time.Time) (media.Item, bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	slices.SortStableFunc(q.rows, func(a, b row) int {
		if a.Thumb != b.Thumb {
			if a.Thumb {
				return -1
			}
			return 1
		}
		return a.Added.Compare(b.Added)
	})
	for _, r := range q.rows {
		if !r.retryAt.After(now) {
			return r.Item, true, nil
		}
	}
	return media.Item{}, false, nil
}

func (q *queue) change(id string, f func(*row)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.rows {
		if q.rows[i].ID == id {
			f(&q.rows[i])
		}
	}
}

func (q *queue) Started(_ context.Context, item media.Item, resume string) error {
	q.change(item.ID, func(r *row) { r.Resume = resume })
	return nil
}

func (q *queue) Failed(_ context.Context, item media.Item, code string, retryAt time.Time) error {
	q.change(item.ID, func(r *row) { r.retryAt, r.code, r.Attempts = retryAt, code, r.Attempts+1 })
	return nil
}

func (q *queue) Done(_ context.Context, item media.Item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.order = append(q.order, item.ID)
	q.rows = slices.DeleteFunc(q.rows, func(r row) bool { return r.ID == item.ID })
	if len(q.rows) == q.left {
		close(q.closed)
	}
	return nil
}

func (q *queue) Status(context.Context, time.Time) (media.Status, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := media.Status{Items: len(q.rows)}
	for _, r := range q.rows {
		if s.Oldest.IsZero() || r.Added.Before(s.Oldest) {
			s.Oldest = r.Added
		}
		if s.NextAt.IsZero() || r.retryAt.Before(s.NextAt) {
			s.NextAt = r.retryAt
		}
	}
	return s, nil
}

func (q *queue) row(id string) row {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.rows {
		if r.ID == id {
			return r
		}
	}
	return row{}
}

// asNode is the edge's client: it signs its requests.
type asNode struct {
	next http.RoundTripper
	fail func(*http.Request) error
}

func (a asNode) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Person", "edge-1")
	if a.fail != nil {
		if err := a.fail(r); err != nil {
			return nil, err
		}
	}
	return a.next.RoundTrip(r)
}

// cutBody is a request on a line that breaks after some bytes.
type cutBody struct {
	io.ReadCloser
	left int
	sent *atomic.Int64
}

func (c *cutBody) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(b[:min(len(b), c.left)])
	c.left -= n
	c.sent.Add(int64(n))
	return n, err
}

func runLane(t *testing.T, q *queue, mover media.Mover) *media.Lane {
	t.Helper()
	lane := media.NewLane(q, mover, slog.New(slog.NewTextHandler(io.Discard, nil)), time.Now)
	lane.RetryMin, lane.RetryMax = time.Millisecond, 20*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- lane.Run(ctx) }()
	select {
	case <-q.closed:
	case <-t.Context().Done():
		t.Error("the lane did not finish")
	}
	s, err := lane.Status(t.Context())
	must(t, err)
	if s.Items != q.left || (q.left > 0) == s.Oldest.IsZero() {
		t.Errorf("status %+v", s)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the lane ended with %v", err)
	}
	return lane
}

// TestSendLane: previews first, then by age; a line that is cut again and again resumes in
// mid-file; one file that cannot be sent holds up none of the others.
func TestSendLane(t *testing.T) {
	t.Parallel()
	edge, cloud := start(t), start(t)
	cloud.uploader = media.Uploader{Verbatim: true}
	at := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	put := func(id string, data []byte, thumb bool, minutes int) media.Item {
		must(t, edge.blobs.Put(t.Context(), hashOf(data), bytes.NewReader(data)))
		return media.Item{ID: id, Hash: hashOf(data), Bytes: int64(len(data)), Thumb: thumb,
			Added: at.Add(time.Duration(minutes) * time.Minute), Metadata: media.Metadata{"media": id}}
	}
	film := pdf(17<<20, 1)
	items := []media.Item{put("film", film, false, 1), put("photo", pdf(5000, 2), false, 2), put("thumb", pdf(300, 3), true, 3),
		{ID: "missing", Hash: hashOf([]byte("nobody has it")), Bytes: 5, Added: at}}

	var sent atomic.Int64
	var offsets []string // of the film: one goroutine sends
	client := &http.Client{Transport: asNode{next: cloud.server.Client().Transport, fail: func(r *http.Request) error {
		if r.Method != http.MethodPatch {
			return nil
		}
		if r.ContentLength > 1<<20 {
			offsets = append(offsets, r.Header.Get("Upload-Offset"))
		}
		r.Body = &cutBody{ReadCloser: r.Body, left: 5 << 20, sent: &sent}
		return nil
	}}}
	q := newQueue(1, items...)
	sender := &media.Sender{Peer: media.Peer{HTTP: client, Rate: media.NewRate(200 << 20)}, Blobs: edge.blobs,
		Endpoint: cloud.server.URL + "/media/uploads/"}
	runLane(t, q, sender)
	if q.order[0] != "thumb" || len(q.order) != 3 {
		t.Errorf("moved in order %v", q.order)
	}
	if r := q.row("missing"); r.code != "not_found" || r.Attempts == 0 {
		t.Errorf("the missing file is noted as %+v", r)
	}
	if !bytes.Equal(cloud.content(hashOf(film)), film) {
		t.Error("the film has other bytes at the cloud")
	}
	if len(offsets) < 3 || offsets[0] != "0" || slices.Contains(offsets[1:], "0") || len(slices.Compact(offsets)) != len(offsets) {
		t.Errorf("the film was sent from %v: not resumed", offsets)
	}
	if got := cloud.catalogue(); len(got) != 3 || got[0].Metadata["media"] != "thumb" {
		t.Errorf("catalogue has %+v", got)
	}

	// The acknowledgement of all was lost: by the catalogue's leave nothing is sent again.
	cloud.uploader.MayReuse = func(context.Context, media.Hash) bool { return true }
	sent.Store(0)
	must(t, sender.Move(t.Context(), items[0], func(string) error { return errors.New("started again") }))
	if sent.Load() != 0 {
		t.Error("a present file was sent again")
	}
}

// TestAlteredOnTheWay: what alters bytes costs the file once and then one part, and the file
// arrives.
func TestAlteredOnTheWay(t *testing.T) {
	t.Parallel()
	edge, cloud := start(t), start(t)
	cloud.uploader = media.Uploader{Verbatim: true}
	film := pdf(9<<20, 1)
	must(t, edge.blobs.Put(t.Context(), hashOf(film), bytes.NewReader(film)))
	var patches, checked int
	client := &http.Client{Transport: asNode{next: cloud.server.Client().Transport, fail: func(r *http.Request) error {
		if r.Method == http.MethodPatch {
			if r.Header.Get("Upload-Checksum") != "" {
				checked++
			}
			if patches++; patches == 1 || patches == 3 { // the whole file, and the second part with a checksum
				r.Body = &altered{ReadCloser: r.Body}
			}
		}
		return nil
	}}}
	q := newQueue(0, media.Item{ID: "film", Hash: hashOf(film), Bytes: int64(len(film)), Added: time.Unix(1, 0)})
	runLane(t, q, &media.Sender{Peer: media.Peer{HTTP: client}, Blobs: edge.blobs, Endpoint: cloud.server.URL + "/media/uploads/"})
	if !bytes.Equal(cloud.content(hashOf(film)), film) {
		t.Error("the film has other bytes at the cloud")
	}
	if checked != 2 || patches != 4 {
		t.Errorf("%d parts, %d of them with a checksum", patches, checked)
	}
}

// altered changes one byte of each read.
type altered struct{ io.ReadCloser }

func (a *altered) Read(b []byte) (int, error) {
	n, err := a.ReadCloser.Read(b)
	if n > 0 {
		b[0] ^= 1
	}
	return n, err
}

// TestFetchLane: a download goes on where it broke off; wrong bytes are never present.
func TestFetchLane(t *testing.T) {
	t.Parallel()
	edge, cloud := start(t), start(t)
	data := pdf(3<<20, 1)
	must(t, cloud.blobs.Put(t.Context(), hashOf(data), bytes.NewReader(data)))
	var requests, served atomic.Int64
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) {
		case 1: // half of it, then the line is cut
			w.Header().Set("Content-Length", "3145728")
			n, _ := w.Write(data[:2<<20])
			served.Add(int64(n))
			panic(http.ErrAbortHandler)
		default:
			must(t, media.ServeBlob(w, r, cloud.blobs, hashOf(data), "application/pdf"))
			served.Add(1 << 20)
		}
	}))
	t.Cleanup(flaky.Close)
	dir := filepath.Join(edge.dir, "fetch")
	fetcher := &media.Fetcher{Peer: media.Peer{HTTP: flaky.Client()}, Blobs: edge.blobs, Dir: dir,
		Address: func(media.Item) string { return flaky.URL }}
	q := newQueue(0, media.Item{ID: "a", Hash: hashOf(data), Bytes: int64(len(data)), Added: time.Unix(1, 0)})
	runLane(t, q, fetcher)
	if !bytes.Equal(edge.content(hashOf(data)), data) || requests.Load() != 2 || served.Load() != int64(len(data)) {
		t.Errorf("%d requests, %d bytes served", requests.Load(), served.Load())
	}
	other := media.Item{ID: "b", Hash: hashOf([]byte("x")), Bytes: int64(len(data))}
	if err := fetcher.Move(t.Context(), other, nil); !errors.Is(err, media.ErrHash) {
		t.Fatalf("wrong bytes give %v", err)
	}
	small := media.Item{ID: "c", Hash: hashOf([]byte("y")), Bytes: 10}
	if err := fetcher.Move(t.Context(), small, nil); err == nil {
		t.Fatal("more bytes than announced were taken")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 1 {
		t.Fatalf("left behind: %v %v", left, err)
	}
	if _, err := edge.blobs.Stat(t.Context(), other.Hash); !errors.Is(err, media.ErrNoBlob) {
		t.Fatal("wrong bytes are present")
	}
}
