package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"estate/internal/apiclient"
	"estate/sync/record"
)

const (
	// photoSide makes a noisy picture of some 40 KiB, photoPiece sends it in a few requests.
	photoSide  = 100
	photoPiece = 8 << 10
	// photoPauseMax is between two photos of a building.
	photoPauseMax = 1500 * time.Millisecond
)

// picture is a photo like no other.
func picture(random *rand.Rand) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, photoSide, photoSide))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return nil, fmt.Errorf("draw a photo: %w", err)
	}
	return out.Bytes(), nil
}

// photograph uploads photos by tus, at the edge and at the clouds, and goes on after each
// break where the server says that it was.
func (s *site) photograph(ctx context.Context, random *rand.Rand) {
	accounts := s.accounts("technician")
	for n := 0; ctx.Err() == nil; n++ {
		pause(ctx, between(random, photoPauseMax/5, photoPauseMax))
		a := accounts[n%len(accounts)]
		ticket, ok := s.pick(random)
		if !ok {
			continue
		}
		if _, err := s.ticketAt(ctx, a, ticket); err != nil {
			continue
		}
		body, err := picture(random)
		if err != nil {
			s.world.findings.add("photo", "%v", err)
			return
		}
		sum := sha256.Sum256(body)
		e := s.world.ledger.begin(&entry{kind: wrotePhoto, site: s, where: a.server.name, field: "digest", value: record.Bytes(sum[:]), once: true})
		u := upload{site: s, account: a, ticket: ticket, body: body, sum: sum}
		if blob := u.send(ctx); blob != nil {
			e.value = record.Bytes(blob)
			s.world.ledger.acknowledge(e, a.server.name)
		}
	}
}

// upload is one file on its way.
type upload struct {
	site    *site
	account *account
	ticket  record.ID
	body    []byte
	sum     [sha256.Size]byte
	path    string // of the upload, once it was created
	lost    bool   // an answer was lost: ask where it stands
}

// send gives the blob's name once the server has said that it is whole; nil if ctx ended
// before, or the upload was refused.
func (u *upload) send(ctx context.Context) []byte {
	for offset := 0; ctx.Err() == nil; {
		header, err := u.step(ctx, offset)
		switch {
		case err == nil:
			if blob, err := hex.DecodeString(header.Get("Media-Blob")); err == nil && len(blob) > 0 {
				return blob
			}
			if next, err := strconv.Atoi(header.Get("Upload-Offset")); err == nil {
				offset = next
			}
		case apiclient.HasStatus(err, http.StatusConflict), apiclient.HasStatus(err, http.StatusLocked):
			u.lost = true
			pause(ctx, againAfter)
		case decided(err):
			u.site.world.findings.add("upload refused", "%s after it was created at %q: %v", u.account.server.name, u.path, err)
			return nil
		default:
			u.lost = true
			pause(ctx, againAfter)
		}
	}
	return nil
}

// step creates the upload, asks where it stands, or sends the next piece.
func (u *upload) step(ctx context.Context, offset int) (header http.Header, err error) {
	method, path := http.MethodPatch, u.path
	send := http.Header{"Tus-Resumable": {"1.0.0"}}
	var body []byte
	switch {
	case u.path == "":
		method, path = http.MethodPost, "/media/uploads/"
		send.Set("Upload-Length", strconv.Itoa(len(u.body)))
		send.Set("Upload-Metadata", u.metadata())
	case u.lost:
		method = http.MethodHead
	default:
		body = u.body[offset:min(offset+photoPiece, len(u.body))]
		send.Set("Content-Type", "application/offset+octet-stream")
		send.Set("Upload-Offset", strconv.Itoa(offset))
	}
	err = u.account.ask(ctx, method == http.MethodHead, func(c *apiclient.Client) error {
		var in any
		if body != nil {
			in = bytes.NewReader(body)
		}
		answer, err := c.Do(ctx, method, path, send, in)
		if err != nil {
			return err
		}
		header = answer.Header
		return answer.Body.Close()
	})
	if err != nil {
		return nil, err
	}
	u.lost = false
	if u.path == "" {
		at, err := url.Parse(header.Get("Location"))
		if err != nil || at.Path == "" {
			return nil, errors.New("the upload has no place")
		}
		u.path = at.Path
	}
	return header, nil
}

func (u *upload) metadata() string {
	text := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return "building " + text(u.site.place.ID.String()) + ",filename " + text("photo.png") + ",filetype " + text("image/png") +
		",sha256 " + text(hex.EncodeToString(u.sum[:])) + ",ticket " + text(u.ticket.String())
}
