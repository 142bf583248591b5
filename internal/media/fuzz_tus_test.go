package media_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"estate/internal/media"
	"estate/internal/problem"
)

// FuzzTus sends any headers and body as the creation and the first part of an upload, then
// asks where it stands and cancels it: no panic, no answer of 500, each refusal with code
// and remedy, and never an offset beyond what was announced and sent.
func FuzzTus(f *testing.F) {
	n := &node{uploader: media.Uploader{}}
	blobs, err := media.OpenFileStore(filepath.Join(f.TempDir(), "media"), slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)
	uploads, err := media.OpenUploads(media.Config{Dir: filepath.Join(f.TempDir(), "uploads"), Blobs: blobs, Authorizer: n, Catalogue: n,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	const part = "application/offset+octet-stream"
	file := pdf(64, 1)
	f.Add("64", "filename d29ybGQ=,filetype YXBwbGljYXRpb24vcGRm", "", part, "0", "", "PATCH", file)
	f.Add("64", "sha256 "+media.Metadata{"sha256": hashOf(file).String()}.Encode()[7:], "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "", "00", "sha256 ", "HEAD", file)
	f.Add("-1", "a YQ==,a Yg==", "md5 x", part, "9223372036854775808", "sha1", "POST", []byte{})
	f.Add("9223372036854775807", " ,", "", part, "0", "", "DELETE", file)
	f.Fuzz(func(t *testing.T, length, metadata, sum, contentType, offset, sum2, override string, body []byte) {
		call := func(method, path string, headers map[string]string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, bytes.NewReader(body))
			r.Header.Set("Tus-Resumable", "1.0.0")
			r.Header.Set("X-Person", "ada")
			for name, value := range headers {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			w := httptest.NewRecorder()
			uploads.ServeHTTP(w, r)
			coded(t, w)
			return w
		}
		created := call(http.MethodPost, "/media/uploads/", map[string]string{"Upload-Length": length, "Upload-Metadata": metadata, "Upload-Checksum": sum, "Content-Type": contentType})
		at := created.Header().Get("Location")
		if at == "" {
			return
		}
		most, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			t.Fatalf("an upload of length %q was created", length)
		}
		call(http.MethodPatch, at, map[string]string{"Upload-Offset": offset, "Upload-Checksum": sum2, "Content-Type": part})
		call(http.MethodPost, at, map[string]string{"X-Http-Method-Override": override, "Upload-Offset": offset, "Content-Type": part})
		stands := call(http.MethodHead, at, nil)
		if text := stands.Header().Get("Upload-Offset"); text != "" {
			if got, err := strconv.ParseInt(text, 10, 64); err != nil || got < 0 || got > most || got > 3*int64(len(body)) {
				t.Fatalf("%d bytes of %q stand at %q", len(body), length, text)
			}
		}
		call(http.MethodDelete, at, nil)
	})
}

func coded(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code < http.StatusBadRequest || w.Code == http.StatusMethodNotAllowed {
		return
	}
	var said struct {
		Code            problem.Code
		Message, Remedy string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || said.Code == "" || said.Remedy == "" || said.Code == problem.Internal {
		t.Fatalf("status %d: %s, %v", w.Code, w.Body, err)
	}
}
