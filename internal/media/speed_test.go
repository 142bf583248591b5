package media_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"estate/internal/media"
)

// benchmarkBytes is a long video.
const benchmarkBytes = 64 << 20

// BenchmarkSend is one file from node to node, durable and verified at both ends.
func BenchmarkSend(b *testing.B) {
	edge, cloud := start(b), start(b)
	cloud.uploader = media.Uploader{Verbatim: true}
	sender := &media.Sender{Peer: media.Peer{HTTP: &http.Client{Transport: asNode{next: cloud.server.Client().Transport}}},
		Blobs: edge.blobs, Endpoint: cloud.server.URL + "/media/uploads/"}
	benchmarkMove(b, edge.blobs, cloud.blobs, func(i media.Item) error {
		return sender.Move(b.Context(), i, func(string) error { return nil })
	})
}

// BenchmarkFetch is one file in the other direction.
func BenchmarkFetch(b *testing.B) {
	edge, cloud := start(b), start(b)
	fetcher := &media.Fetcher{Peer: media.Peer{HTTP: cloud.server.Client()}, Blobs: edge.blobs, Dir: filepath.Join(edge.dir, "fetch"),
		Address: func(i media.Item) string { return cloud.server.URL + "/blobs/" + i.Hash.String() }}
	benchmarkMove(b, cloud.blobs, edge.blobs, func(i media.Item) error { return fetcher.Move(b.Context(), i, nil) })
}

// benchmarkMove times how another file each time comes from one place to another.
func benchmarkMove(b *testing.B, from, to media.BlobStore, move func(media.Item) error) {
	b.Helper()
	data := pdf(benchmarkBytes, 1)
	b.SetBytes(benchmarkBytes)
	for seed := 0; b.Loop(); seed++ {
		b.StopTimer()
		data[100], data[101] = byte(seed), byte(seed>>8)
		hash := hashOf(data)
		must(b, from.Put(b.Context(), hash, bytes.NewReader(data)))
		b.StartTimer()
		must(b, move(media.Item{Hash: hash, Bytes: benchmarkBytes}))
		b.StopTimer()
		must(b, from.Delete(b.Context(), hash))
		must(b, to.Delete(b.Context(), hash))
		b.StartTimer()
	}
}

// BenchmarkDisk is the limit: the same bytes written to one file and made durable.
func BenchmarkDisk(b *testing.B) {
	data := pdf(benchmarkBytes, 1)
	b.SetBytes(benchmarkBytes)
	for b.Loop() {
		f, err := os.Create(filepath.Join(b.TempDir(), "plain"))
		must(b, err)
		for part := range slices.Chunk(data, 1<<20) {
			_, err := f.Write(part)
			must(b, err)
		}
		must(b, f.Sync())
		must(b, f.Close())
	}
}
