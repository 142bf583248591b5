package e2e_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // reads the edge's file beside the edge

	"estate/internal/apiclient"
	"estate/internal/desk"
)

// TestErasure: an admin erases at the cloud what the audit keeps of a ticket. Neither
// database has the values beside its events any more, both exports verify and say by whom
// it was done, and the ticket shows what it is now. Cites SPEC R32.
func TestErasure(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	building := e.Place.ID
	atCloud, atEdge, admin := w.as(cloud.Base(), "manager"), w.as(e.Base(), "manager"), w.as(cloud.Base(), "admin")
	const secret = "Mrs Miller has lost her keys"
	made, err := atEdge.CreateTicket(t.Context(), building, "", apiclient.NewTicket{Title: secret})
	if err != nil {
		t.Fatal(err)
	}
	converged(t, atCloud, atEdge, building)
	title := "A lock to be changed"
	if _, err := atCloud.UpdateTicket(t.Context(), building, made.Ticket.ID, apiclient.TicketChange{Title: &title}); err != nil {
		t.Fatal(err)
	}
	converged(t, atCloud, atEdge, building)
	if here, there := detailsInSQLite(t, e.Dir(), secret), detailsInPostgres(t, w.DatabaseURL(), secret); here != 2 || there != 2 {
		t.Fatalf("%d events at the edge and %d at the cloud have the value, 2 expected: this test could not fail", here, there)
	}
	var out desk.Erasure
	path := "/buildings/" + building.String() + "/audit/erasures"
	request := map[string]any{"kind": "ticket", "id": made.Ticket.ID, "reason": "request"}
	if err := admin.Post(t.Context(), path, request, &out); err != nil || out.Erased < 2 {
		t.Fatalf("erase: %+v, %v", out, err)
	}
	if err := atEdge.Post(t.Context(), path, request, nil); err == nil || !strings.Contains(err.Error(), "cloud_only") {
		t.Errorf("at the edge: %v", err)
	}
	until(t, "the erasure to reach the edge", every, func() error {
		if n := detailsInSQLite(t, e.Dir(), secret); n > 0 {
			return errStill(n)
		}
		return nil
	})
	if n := detailsInPostgres(t, w.DatabaseURL(), secret); n != 0 {
		t.Errorf("%d events of the cloud have the value yet", n)
	}
	for name, client := range map[string]*apiclient.Client{"cloud": atCloud, "edge": atEdge} {
		var file bytes.Buffer
		if err := client.ExportAudit(t.Context(), building, &file); err != nil {
			t.Fatal(err)
		}
		export := filepath.Join(t.TempDir(), name+".jsonl")
		if err := os.WriteFile(export, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		output, err := run(t, nil, "verify", export)
		if err != nil || !strings.Contains(output, "whose values were erased") || !strings.Contains(output, "erase.request") {
			t.Errorf("export of the %s: %v: %s", name, err, output)
		}
	}
	if held := converged(t, atCloud, atEdge, building); held[made.Ticket.ID].Title != title {
		t.Errorf("the ticket: %+v", held[made.Ticket.ID])
	}
}

type errStill int

func (n errStill) Error() string { return "some events have the value yet" }

// detailsInSQLite counts the events of an edge's store whose values contain a text.
func detailsInSQLite(t *testing.T, dir, text string) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "edge.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("stores in %s: %v, %v", dir, files, err)
	}
	db, err := sql.Open("sqlite", "file:"+files[0]+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM event WHERE instr(details, ?) > 0 OR instr(body, ?) > 0`, []byte(text), []byte(text)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func detailsInPostgres(t *testing.T, url, text string) (n int) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	if err := c.QueryRow(t.Context(), `SELECT count(*) FROM event WHERE position($1::bytea IN details) > 0 OR position($1::bytea IN body) > 0`, []byte(text)).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
