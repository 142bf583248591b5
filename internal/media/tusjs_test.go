package media_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTusJSClient: a tus client that we did not write uploads a file in parts, is cut off
// and resumes.
func TestTusJSClient(t *testing.T) {
	t.Parallel()
	if os.Getenv("ESTATE_SKIP_NODE") != "" {
		t.Log("ESTATE_SKIP_NODE is set: the protocol is not tried with tus-js-client")
		return
	}
	folder, err := filepath.Abs("../../tests/tus")
	must(t, err)
	if !installed(folder) {
		t.Fatal("tus-js-client is not installed: run npm ci at the top of the checkout, or set ESTATE_SKIP_NODE=1")
	}
	n := start(t)
	data := pdf(5<<20, 3)
	name := filepath.Join(t.TempDir(), "film.pdf")
	must(t, os.WriteFile(name, data, 0o600))
	command := exec.CommandContext(t.Context(), "node", filepath.Join(folder, "upload.mjs"), n.server.URL+"/media/uploads/", name)
	var failure bytes.Buffer
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		t.Fatalf("tus-js-client: %v\n%s", err, failure.String())
	}
	var said struct{ ResumedAt int }
	must(t, json.Unmarshal(out, &said))
	if said.ResumedAt < len(data)/2 {
		t.Fatalf("resumed at %d", said.ResumedAt)
	}
	list := n.catalogue()
	if len(list) != 1 || list[0].Metadata["filename"] != "Wasserschaden Küche.pdf" || !bytes.Equal(n.content(list[0].Blob), data) {
		t.Fatalf("catalogue has %+v", list)
	}
}

// installed looks for the package as node does: in the folder and in those above it.
func installed(folder string) bool {
	for {
		if _, err := os.Stat(filepath.Join(folder, "node_modules", "tus-js-client", "package.json")); err == nil {
			return true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false
		}
		folder = parent
	}
}
