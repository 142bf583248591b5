package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/internal/apiclient"
)

// TestVerify: an export of the cloud verifies offline, against the edge's heads too; one
// that was changed or cut does not, and the first bad link is named.
func TestVerify(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	atCloud, atEdge := w.as(cloud.Base(), "manager"), w.as(e.Base(), "manager")
	export := func(client *apiclient.Client) []byte {
		t.Helper()
		var b bytes.Buffer
		if err := client.ExportAudit(t.Context(), e.Place.ID, &b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	early := export(atCloud)
	if _, err := atEdge.CreateTicket(t.Context(), e.Place.ID, "", apiclient.NewTicket{Title: "A broken step"}); err != nil {
		t.Fatal(err)
	}
	converged(t, atCloud, atEdge, e.Place.ID)
	dir := t.TempDir()
	save := func(name string, text []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The heads first: what the edge has received from the cloud by then, the cloud has afterwards.
	heads := save("edge.jsonl", export(atEdge))
	whole := export(atCloud)
	lines := strings.SplitAfter(string(whole), "\n")
	middle := len(lines) / 2
	for name, test := range map[string]struct {
		text  []byte
		heads bool
		want  string
	}{
		"Whole":        {whole, false, "verifies"},
		"WithHeads":    {whole, true, "claims of other nodes hold"},
		"EarlierState": {early, false, "verifies"},
		// What a node that lost or hid its tail would show.
		"HiddenTail": {early, true, "first bad link"},
		"LineGone":   {[]byte(strings.Join(append(append([]string{}, lines[:middle]...), lines[middle+1:]...), "")), false, "first bad link"},
		"Cut":        {whole[:len(whole)/2], false, "first bad link"},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := []string{"verify", save(name+".jsonl", test.text)}
			if test.heads {
				arguments = append(arguments, "--heads", heads)
			}
			output, err := run(t, nil, arguments...)
			if bad := strings.Contains(test.want, "bad"); (err != nil) != bad || !strings.Contains(output, test.want) {
				t.Errorf("want %q, got %v: %s", test.want, err, output)
			}
		})
	}
}
