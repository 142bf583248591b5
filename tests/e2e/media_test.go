package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strconv"
	"testing"

	"estate/internal/apiclient"
	"estate/internal/problem"
)

// TestMediaCrosses: a photo that was sent twice at a cut-off edge is one blob; a file whose
// bytes do not hash to what was announced is refused; the photo arrives whole over a line
// that breaks in the middle of it.
func TestMediaCrosses(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	atEdge, atCloud := w.as(e.Base(), "manager"), w.as(cloud.Base(), "manager")
	e.Line.Cut()
	made, err := atEdge.CreateTicket(t.Context(), e.Place.ID, "", apiclient.NewTicket{Title: "Broken window"})
	if err != nil {
		t.Fatal(err)
	}
	photo := apiclient.Photo{Ticket: made.Ticket.ID, Name: "window.png", Type: "image/png", Bytes: noise(t)}
	first, err := atEdge.Upload(t.Context(), e.Place.ID, photo)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := atEdge.Upload(t.Context(), e.Place.ID, photo); err != nil || again != first {
		t.Errorf("sent again it became %s, not %s: %v", again, first, err)
	}
	mismatch(t, atEdge, e.Place.ID.String(), made.Ticket.ID.String())
	files, err := atEdge.MediaOf(t.Context(), e.Place.ID, made.Ticket.ID)
	if err != nil || len(files) == 0 {
		t.Fatalf("%+v, %v", files, err)
	}
	// The first attempt breaks in the middle of the photo.
	e.Line.CloseAfter(int64(len(photo.Bytes)) / 2)
	e.Line.Restore()
	var got []byte
	until(t, "the photo to be whole at the cloud", every, func() (err error) {
		got, err = atCloud.Download(t.Context(), e.Place.ID, files[0].ID)
		return err
	})
	if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != files[0].Digest || files[0].Digest != first {
		t.Errorf("at the cloud it hashes to %x, its name is %s, the edge stored %s", sum, files[0].Digest, first)
	}
}

// noise is a picture of a size that takes a while.
func noise(t *testing.T) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, 500, 500))
	seed := uint32(7)
	for i := range picture.Pix {
		seed = seed*1664525 + 1013904223
		picture.Pix[i] = uint8(seed>>24) | uint8(i%4/3)*255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mismatch announces one hash and sends other bytes.
func mismatch(t *testing.T, client *apiclient.Client, building, ticket string) {
	t.Helper()
	body := noise(t)
	meta := ""
	for _, pair := range [][2]string{{"building", building}, {"ticket", ticket}, {"filename", "x.png"}, {"sha256", fmt.Sprintf("%064d", 1)}} {
		if meta != "" {
			meta += ","
		}
		meta += pair[0] + " " + base64.StdEncoding.EncodeToString([]byte(pair[1]))
	}
	header := http.Header{"Tus-Resumable": {"1.0.0"}, "Upload-Length": {strconv.Itoa(len(body))}, "Upload-Metadata": {meta},
		"Content-Type": {"application/offset+octet-stream"}}
	_, err := client.Do(t.Context(), http.MethodPost, "/media/uploads/", header, bytes.NewReader(body))
	if !apiclient.HasCode(err, problem.MediaHashMismatch) {
		t.Errorf("bytes that do not hash to their name: %v", err)
	}
}
