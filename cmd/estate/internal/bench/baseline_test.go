package bench

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"estate/internal/desk"
	"estate/sync/record"
)

func TestUpsertOfRows(t *testing.T) {
	t.Parallel()
	id, other := [16]byte{1}, [16]byte{2}
	rows := table{name: "event", columns: []string{"building", "replica", "n", "details"}, rows: [][]any{
		{id, other, int64(7), []byte("why")},
		{id, other, int64(8), nil},
	}}
	statement, args := rows.upsert(0, 2)
	want := "INSERT INTO bench_event (building, replica, n, details) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[])" +
		" ON CONFLICT (building, replica, n) DO UPDATE SET building = excluded.building, replica = excluded.replica, n = excluded.n, details = excluded.details"
	if statement != want {
		t.Errorf("got\n%s\nwant\n%s", statement, want)
	}
	if wanted := []any{[][16]byte{id, id}, [][16]byte{other, other}, []int64{7, 8}, [][]byte{[]byte("why"), nil}}; !reflect.DeepEqual(args, wanted) {
		t.Errorf("got %v, want %v", args, wanted)
	}
}

// TestPeerGetsTheSameTickets: a line each, by an id of its own.
func TestPeerGetsTheSameTickets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tickets.ndjson")
	if err := writeDocuments(path, 3); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines, ids := bufio.NewScanner(file), map[string]bool{}
	for n := 0; lines.Scan(); n++ {
		var got document
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if want := ticket(words(), n); got.Title != want.Title || got.Description != want.Description {
			t.Errorf("document %d is %q, the ticket %q", n, got.Title, want.Title)
		}
		ids[got.ID] = true
	}
	if len(ids) != 3 {
		t.Errorf("got %d ids", len(ids))
	}
}

func TestFileIsOfAnAdmissibleType(t *testing.T) {
	t.Parallel()
	one, again := pdf(1000), pdf(1000)
	if len(one) != 1000 || string(one[:5]) != "%PDF-" || sha256.Sum256(one) != sha256.Sum256(again) {
		t.Errorf("got %d bytes that begin with %q", len(one), one[:5])
	}
}

func TestNamedFile(t *testing.T) {
	t.Parallel()
	all := []desk.Media{{ID: record.ID{1}, Digest: "aa"}, {ID: record.ID{2}, Digest: "bb"}}
	if got := named(all, "bb"); got != (record.ID{2}) {
		t.Errorf("got %s", got)
	}
	if got := named(all, "cc"); !got.IsZero() {
		t.Errorf("got %s for a file that is not there", got)
	}
}
