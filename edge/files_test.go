package edge_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"strconv"
	"testing"

	"estate/internal/desk"
	"estate/internal/media"
	"estate/sync/record"
)

// picture makes a PNG that compresses badly.
func picture(t *testing.T) []byte {
	t.Helper()
	noise := make([]byte, 3*200*200)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	img := image.NewRGBA(image.Rect(0, 0, 200, 200))
	for i := range 200 * 200 {
		img.Set(i%200, i/200, color.RGBA{noise[3*i], noise[3*i+1], noise[3*i+2], 255})
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// upload sends a file to a ticket by tus, in one request.
func (b *box) upload(building, ticket string, file []byte) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, "http://"+b.Addr()+"/media/uploads/", bytes.NewReader(file))
	if err != nil {
		b.t.Fatal(err)
	}
	meta := media.Metadata{"building": building, "ticket": ticket, "filename": "leak.png", "filetype": "image/png"}
	for k, v := range map[string]string{"Authorization": "Bearer " + b.token, "Tus-Resumable": "1.0.0", "Upload-Length": strconv.Itoa(len(file)),
		"Upload-Metadata": meta.Encode(), "Content-Type": "application/offset+octet-stream"} {
		r.Header.Set(k, v)
	}
	answer, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusCreated {
		b.t.Fatalf("upload: %s %s", answer.Status, text)
	}
}

// TestPhotos: a photo taken in the building is whole at the cloud with its preview, and one
// that was added at the cloud comes to the building.
func TestPhotos(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	var made struct {
		Ticket desk.Ticket `json:"ticket"`
	}
	if status := b.call(http.MethodPost, "/buildings/"+building+"/tickets", map[string]string{"title": "Leak", "category": "plumbing"}, &made); status/100 != 2 {
		t.Fatalf("create ticket: %d", status)
	}
	id := made.Ticket.ID

	photo := picture(t)
	b.upload(building, id.String(), photo)
	hash := media.Hash(sha256.Sum256(photo))
	eventually(t, "the photo and its preview at the cloud", func() bool {
		if _, err := c.blobs.Stat(t.Context(), hash); err != nil {
			return false
		}
		blobs := 0
		err := c.blobs.List(t.Context(), func(media.BlobInfo) error { blobs++; return nil })
		return err == nil && blobs == 2
	})

	other := picture(t)
	otherHash := media.Hash(sha256.Sum256(other))
	eventually(t, "the ticket at the cloud", func() bool {
		_, err := c.desk.Ticket(t.Context(), desk.Caller{Person: c.manager}, c.building, id)
		return err == nil
	})
	if err := c.blobs.Put(t.Context(), otherHash, bytes.NewReader(other)); err != nil {
		t.Fatal(err)
	}
	added, err := c.desk.AddMedia(t.Context(), desk.Caller{Person: c.manager}, c.building, id,
		desk.NewMedia{Digest: record.Hash(otherHash), Size: int64(len(other)), ContentType: "image/png", Name: "other.png"})
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/buildings/%s/media/%s/content", building, added.ID)
	eventually(t, "the cloud's photo in the building", func() bool { return b.call(http.MethodGet, path, nil, nil) == http.StatusOK })
}
