package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	mediaFull, mediaQuick = 100_000_000, 2_000_000
	goalOfDisk            = 0.35
	// pieceBytes is written at once where the disk's own speed is measured.
	pieceBytes = 1 << 20
	diskRuns   = 3
)

// media uploads a large file to the edge as a phone would, and follows it to the cloud,
// beside a plain write of the same bytes to the same disk.
func media(ctx context.Context, s *site) error {
	if err := s.holding(ctx, 1); err != nil {
		return err
	}
	file := pdf(s.how.size(mediaFull, mediaQuick))
	sum := sha256.Sum256(file)
	disk, err := s.writeRate(file)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.upload(ctx, file, sum); err != nil {
		return fmt.Errorf("upload to the edge: %w", err)
	}
	uploaded := time.Since(began)
	began = began.Add(uploaded)
	arrived, err := s.present(ctx, s.atCloud[0], sum)
	if err != nil {
		return fmt.Errorf("at the cloud: %w", err)
	}
	// Reading it back at the edge meanwhile would be measured as the line's work.
	if _, err := s.present(ctx, s.atEdge[0], sum); err != nil {
		return fmt.Errorf("at the edge: %w", err)
	}
	size := float64(len(file)) / mega
	what := fmt.Sprintf("media: a file of %s MB", short(size))
	s.add(
		beside(what+", phone to edge", size/uploaded.Seconds(), "MB/s", "write and fsync", disk).ratioAtLeast(goalOfDisk),
		beside(what+", edge to cloud", size/arrived.Sub(began).Seconds(), "MB/s", "write and fsync", disk).ratioAtLeast(goalOfDisk),
	)
	return nil
}

// pdf is bytes of a type that is taken as it is: by their first bytes a PDF, and
// noise, which no compression makes smaller.
func pdf(size int) []byte {
	out := make([]byte, size)
	source := rand.NewChaCha8([32]byte{textSeed})
	_, _ = source.Read(out) // never fails
	copy(out, "%PDF-1.7\n")
	return out
}

// writeRate is the limit of the machine: megabytes per second of a plain write, made
// durable once at the end.
func (s *site) writeRate(file []byte) (float64, error) {
	var rates []float64
	for i := range diskRuns {
		began := time.Now()
		if err := writeDurably(filepath.Join(s.Dir(), "plain-"+strconv.Itoa(i)), file); err != nil {
			return 0, fmt.Errorf("write a plain file: %w", err)
		}
		rates = append(rates, float64(len(file))/mega/time.Since(began).Seconds())
	}
	return median(rates), nil
}

func writeDurably(path string, bytes []byte) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	for from := 0; from < len(bytes); from += pieceBytes {
		if _, err := file.Write(bytes[from:min(from+pieceBytes, len(bytes))]); err != nil {
			return err
		}
	}
	return file.Sync()
}

// upload sends the file by tus in one piece, as tus clients do where nothing fails.
func (s *site) upload(ctx context.Context, file []byte, sum [sha256.Size]byte) error {
	pair := func(name, value string) string { return name + " " + base64.StdEncoding.EncodeToString([]byte(value)) }
	header := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {strconv.Itoa(len(file))}}
	header.Set("Upload-Metadata", pair("building", s.edge.Place.ID.String())+","+pair("ticket", s.written[0].String())+","+
		pair("filename", "plan.pdf")+","+pair("filetype", "application/pdf")+","+pair("sha256", hex.EncodeToString(sum[:])))
	answer, err := s.atEdge[0].Do(ctx, http.MethodPost, "/media/uploads/", header, nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	at, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || at.Path == "" {
		return errors.New("the answer names no place")
	}
	header = http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Offset": {"0"}, "Content-Type": {"application/offset+octet-stream"}}
	answer, err = s.atEdge[0].Do(ctx, http.MethodPatch, at.Path, header, bytes.NewReader(file))
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if got := answer.Header.Get("Media-Blob"); got != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("the file is stored as %q", got)
	}
	return nil
}

// present waits until a server gives the whole file, and says when it began to.
func (s *site) present(ctx context.Context, at *apiclient.Client, sum [sha256.Size]byte) (when time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, reconcileTimeout)
	defer cancel()
	var id record.ID
	err = stack.PollEvery(ctx, lookEvery, "the file to arrive", func() (bool, error) {
		if id.IsZero() {
			found, err := at.MediaOf(ctx, s.edge.Place.ID, s.written[0])
			id = named(found, hex.EncodeToString(sum[:]))
			return false, err
		}
		when = time.Now()
		err := s.readBack(ctx, at, id, sum)
		if apiclient.HasStatus(err, http.StatusNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	return when, err
}

// readBack reads a file and checks every byte.
func (s *site) readBack(ctx context.Context, at *apiclient.Client, id record.ID, sum [sha256.Size]byte) error {
	answer, err := at.Do(ctx, http.MethodGet, "/buildings/"+s.edge.Place.ID.String()+"/media/"+id.String()+"/content", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, answer.Body); err != nil {
		return fmt.Errorf("read the file back: %w", err)
	}
	if got := hash.Sum(nil); !bytes.Equal(got, sum[:]) {
		return fmt.Errorf("the file hashes to %x, not %x", got, sum)
	}
	return nil
}

// named finds the file of a digest; zero where there is none yet.
func named(all []desk.Media, digest string) record.ID {
	for _, m := range all {
		if m.Digest == digest {
			return m.ID
		}
	}
	return record.ID{}
}
