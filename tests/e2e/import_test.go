package e2e_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/internal/lab/labtest"
)

// TestImportOffline: violations of a city are imported at an edge that is cut off, twice,
// and every row is at the cloud once the link is back.
func TestImportOffline(t *testing.T) {
	t.Parallel()
	path := labtest.Data(t, "nyc_hpd_violations/dev.csv")[0]
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(file).ReadAll()
	_ = file.Close()
	if err != nil || len(rows) < 2 || rows[0][0] != "text" || rows[0][3] != "id" {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	atEdge, atCloud := w.as(e.Base(), "manager"), w.as(cloud.Base(), "manager")
	e.Line.Cut()
	for range 2 {
		output, err := run(t, w.credentials(e.Base(), "manager"), "import", "--building", "OAK", "--csv", path, "--quiet",
			"--map", "description=text,external_ref=id,priority=priority,reported_at=inspection_date", "--set", "category=structure", "--dates", "mdy",
			"--value", "priority:A (non-hazardous)=low", "--value", "priority:B (hazardous)=high",
			"--value", "priority:C (immediately hazardous)=urgent", "--value", "priority:*=normal")
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		t.Log(output)
	}
	e.Line.Restore()
	held := converged(t, atEdge, atCloud, e.Place.ID)
	byRef := map[string]string{}
	for _, ticket := range held {
		text := ticket.Description
		if text == "" {
			text = ticket.Title
		}
		byRef[ticket.ExternalRef] = ticket.Priority + " " + text
	}
	priorities := map[string]string{"A (non-hazardous)": "low", "B (hazardous)": "high", "C (immediately hazardous)": "urgent", "I (information order)": "normal"}
	for _, row := range rows[1:] {
		if want := priorities[row[2]] + " " + strings.TrimSpace(row[0]); byRef[row[3]] != want {
			t.Errorf("row %s is %q at the cloud, want %q", row[3], byRef[row[3]], want)
		}
	}
	if len(held) != len(rows)-1 {
		t.Errorf("%d tickets of %d rows", len(held), len(rows)-1)
	}
}

// TestImportBadRows: bad rows are named by line and reason and counted; the others arrive.
func TestImportBadRows(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	path := filepath.Join(t.TempDir(), "rows.csv")
	text := "\ufefftext,id,class\nBroken lamp,1,high\n,2,high\nNo class known,3,terrible\nToo,many,cells,here\nNo id,,low\n\"Two\nlines\",6,low\nBad \xff byte,7,low\nLast,8,low\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := run(t, w.credentials(cloud.Base(), "manager"), "import", "--building", "OAK", "--csv", path, "--quiet",
		"--map", "title=text,external_ref=id,priority=class")
	if err == nil {
		t.Error("bad rows left no trace in the exit code")
	}
	for _, want := range []string{"line 3:", "line 4:", "terrible", "line 5:", "4 cells", "line 6:", "line 9:", "UTF-8", "8 rows: 3 imported", "5 bad"} {
		if !strings.Contains(output, want) {
			t.Errorf("the output lacks %q:\n%s", want, output)
		}
	}
	all, err := w.as(cloud.Base(), "manager").Tickets(t.Context(), w.State.Building("OAK").ID, nil)
	if err != nil || len(all) != 3 {
		t.Errorf("%d tickets, %v", len(all), err)
	}
}
