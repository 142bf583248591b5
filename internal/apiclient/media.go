package apiclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"estate/sync/record"
)

const (
	uploadsPath = "/media/uploads/"
	tusVersion  = "1.0.0"
	// pieceBytes is sent at once: small enough that a photo takes several requests.
	pieceBytes = 64 << 10
	// blobBytesMax is the largest file that Download takes.
	blobBytesMax = 64 << 20
)

// Photo is a file to attach to a ticket.
type Photo struct {
	Ticket record.ID
	Name   string
	Type   string
	Bytes  []byte
}

// Upload sends a file by tus 1.0 in pieces and gives the name of the stored blob, its
// SHA-256 in hexadecimal.
func (c *Client) Upload(ctx context.Context, building record.ID, photo Photo) (string, error) {
	sum := sha256.Sum256(photo.Bytes)
	header := tusHeader()
	header.Set("Upload-Length", strconv.Itoa(len(photo.Bytes)))
	header.Set("Upload-Metadata", metadata(map[string]string{"building": building.String(), "ticket": photo.Ticket.String(),
		"filename": photo.Name, "filetype": photo.Type, "sha256": hex.EncodeToString(sum[:])}))
	answer, err := c.Do(ctx, http.MethodPost, uploadsPath, header, nil)
	if err != nil {
		return "", fmt.Errorf("begin the upload: %w", err)
	}
	_ = answer.Body.Close()
	at, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || at.Path == "" {
		return "", errors.New("begin the upload: the answer names no place")
	}
	blob := answer.Header.Get("Media-Blob") // set where the bytes are there already
	for offset := 0; offset < len(photo.Bytes) && blob == ""; {
		piece := photo.Bytes[offset:min(offset+pieceBytes, len(photo.Bytes))]
		header := tusHeader()
		header.Set("Content-Type", "application/offset+octet-stream")
		header.Set("Upload-Offset", strconv.Itoa(offset))
		answer, err := c.Do(ctx, http.MethodPatch, at.Path, header, bytes.NewReader(piece))
		if err != nil {
			return "", fmt.Errorf("send the file at byte %d: %w", offset, err)
		}
		_ = answer.Body.Close()
		if offset, err = strconv.Atoi(answer.Header.Get("Upload-Offset")); err != nil {
			return "", fmt.Errorf("send the file: understand the answer: %w", err)
		}
		blob = answer.Header.Get("Media-Blob")
	}
	return blob, nil
}

func tusHeader() http.Header {
	h := http.Header{}
	h.Set("Tus-Resumable", tusVersion)
	return h
}

func metadata(values map[string]string) string {
	pairs := make([]string, 0, len(values))
	for name, value := range values {
		pairs = append(pairs, name+" "+base64.StdEncoding.EncodeToString([]byte(value)))
	}
	sort.Strings(pairs)
	return strings.Join(pairs, ",")
}

// Download reads a file whole. One that has not arrived yet is not found.
func (c *Client) Download(ctx context.Context, building, file record.ID) ([]byte, error) {
	answer, err := c.Do(ctx, http.MethodGet, under(building, "/media/"+file.String()+"/content"), nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, blobBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read file %s: %w", file, err)
	}
	if len(body) > blobBytesMax {
		return nil, fmt.Errorf("read file %s: more than %d bytes", file, blobBytesMax)
	}
	return body, nil
}
