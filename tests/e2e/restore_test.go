package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"estate/internal/apiclient"
	"estate/sync/record"
)

// write makes tickets and gives their titles by id.
func write(t *testing.T, client *apiclient.Client, building record.ID, name string, count int) map[record.ID]string {
	t.Helper()
	acked := map[record.ID]string{}
	for n := range count {
		title := fmt.Sprintf("%s %d", name, n)
		got, err := client.CreateTicket(t.Context(), building, strings.ReplaceAll(title, " ", "-"), apiclient.NewTicket{Title: title, Category: "other", Priority: "normal"})
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		acked[got.Ticket.ID] = title
	}
	return acked
}

// holdAll compares both sides and then holds what they have against what was acknowledged.
func holdAll(t *testing.T, one, other *apiclient.Client, building record.ID, acked ...map[record.ID]string) {
	t.Helper()
	want := map[record.ID]string{}
	for _, a := range acked {
		for id, title := range a {
			want[id] = title
		}
	}
	until(t, "every acknowledged ticket on both sides", every, func() error {
		for _, client := range []*apiclient.Client{one, other} {
			held, err := tickets(t.Context(), client, building)
			if err != nil {
				return err
			}
			for id, title := range want {
				if held[id].Title != title {
					return fmt.Errorf("%s lacks %q", client.Base(), title)
				}
			}
		}
		return nil
	})
	if held := converged(t, one, other, building); len(held) != len(want) {
		t.Errorf("%d tickets, %d were acknowledged", len(held), len(want))
	}
}

// told waits until a side says what happened to an operator.
func told(t *testing.T, client *apiclient.Client, building record.ID, code string) {
	t.Helper()
	until(t, code+" to be said at "+client.Base(), every, func() error {
		state, err := client.SyncState(t.Context(), building)
		if err != nil {
			return err
		}
		for _, n := range state.Notices {
			if n.Code == code && n.Remedy != "" {
				return nil
			}
		}
		return fmt.Errorf("notices %+v", state.Notices)
	})
}

// TestRestoredEdge: a backup made while people write, restored after both sides have gone
// on, loses nothing that either acknowledged, and both say what happened.
func TestRestoredEdge(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), true)
	e := w.edge(cloud, "OAK")
	atEdge, atCloud := w.as(e.Base(), "technician"), w.as(cloud.Base(), "manager")
	building := e.Place.ID
	before := write(t, atEdge, building, "before the backup", 20)
	var during map[record.ID]string
	var writing sync.WaitGroup
	writing.Go(func() { during = write(t, atEdge, building, "during the backup", 60) })
	file := filepath.Join(w.Dir(), "oak.backup")
	out, err := run(t, nil, "backup", "edge", file, "--data", e.Dir())
	writing.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	since := write(t, atEdge, building, "since the backup at the edge", 20)
	also := write(t, atCloud, building, "since the backup at the cloud", 20)
	holdAll(t, atEdge, atCloud, building, before, during, since, also)

	if out, err := run(t, nil, "restore", "edge", file, "--data", e.Dir(), "--replace"); err == nil || !strings.Contains(out, "another process runs this edge") {
		t.Fatalf("restored under a running edge: %v\n%s", err, out)
	}
	if err := e.Kill9(); err != nil {
		t.Fatal(err)
	}
	cut := write(t, atCloud, building, "while the edge was down", 20)
	if out, err := run(t, nil, "restore", "edge", file, "--data", e.Dir()); err == nil || !strings.Contains(out, "--replace") {
		t.Fatalf("restored over data without being told to: %v\n%s", err, out)
	}
	if out, err = run(t, nil, "restore", "edge", file, "--data", e.Dir(), "--replace"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	atEdge = w.as(e.Base(), "technician") // a restore signs everybody out
	after := write(t, atEdge, building, "after the restore", 20)
	holdAll(t, atEdge, atCloud, building, before, during, since, also, cut, after)
	told(t, atEdge, building, "store_rewound")
	told(t, atCloud, building, "store_rewound")
}

// TestRestoredCloud: the database goes back to a backup; the edge brings back what the
// cloud has lost.
func TestRestoredCloud(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), true)
	e := w.edge(cloud, "OAK")
	atEdge, atCloud := w.as(e.Base(), "technician"), w.as(cloud.Base(), "manager")
	building := e.Place.ID
	before := write(t, atCloud, building, "before the backup", 20)
	environment := []string{"ESTATE_CLOUD_DATABASE_URL=" + w.DatabaseURL()}
	data, file := filepath.Join(w.Dir(), "cloud"), filepath.Join(w.Dir(), "cloud.backup")
	var during map[record.ID]string
	var writing sync.WaitGroup
	writing.Go(func() { during = write(t, atCloud, building, "during the backup", 60) })
	out, err := run(t, environment, "backup", "cloud", file, "--data", data)
	writing.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	since := write(t, atCloud, building, "since the backup at the cloud", 20)
	also := write(t, atEdge, building, "since the backup at the edge", 20)
	holdAll(t, atEdge, atCloud, building, before, during, since, also)

	if out, err := run(t, environment, "restore", "cloud", file, "--data", data); err == nil || !strings.Contains(out, "connected") {
		t.Fatalf("restored under running programs: %v\n%s", err, out)
	}
	if err := cloud.Kill9(); err != nil {
		t.Fatal(err)
	}
	cut := write(t, atEdge, building, "while the cloud was down", 20)
	// The same server and the same database go on: nothing but the tables themselves tells
	// that they are old.
	recreate(t, w.DatabaseURL())
	if out, err = run(t, environment, "restore", "cloud", file, "--data", data); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
	if cloud, err = w.StartCloud(t.Context(), "cloud-1"); err != nil {
		t.Fatal(err)
	}
	atCloud = w.as(cloud.Base(), "manager")
	after := write(t, atCloud, building, "after the restore", 20)
	holdAll(t, atEdge, atCloud, building, before, during, since, also, cut, after)
	told(t, atEdge, building, "store_rewound")
	told(t, atCloud, building, "store_rewound")
}

// TestClonedEdge: the disk of an edge is copied and both copies run, with one key. What
// either acknowledges reaches everybody, and an operator is told.
func TestClonedEdge(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), true)
	e := w.edge(cloud, "OAK")
	atEdge, atCloud := w.as(e.Base(), "technician"), w.as(cloud.Base(), "manager")
	building := e.Place.ID
	before := write(t, atEdge, building, "before the copy", 20)
	holdAll(t, atEdge, atCloud, building, before)
	if err := e.Kill9(); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(w.Dir(), "copy")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", e.Dir(), copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Remove(filepath.Join(copied, "edge.db.lock")); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	twin, err := w.StartCopy(t.Context(), e, copied, cloud)
	if err != nil {
		t.Fatal(err)
	}
	atTwin := w.as(twin.Base(), "technician")
	atEdge = w.as(e.Base(), "technician")
	acked := []map[record.ID]string{before}
	for round := range 3 {
		acked = append(acked, write(t, atEdge, building, fmt.Sprintf("original %d", round), 10), write(t, atTwin, building, fmt.Sprintf("copy %d", round), 10),
			write(t, atCloud, building, fmt.Sprintf("cloud %d", round), 5))
	}
	holdAll(t, atEdge, atCloud, building, acked...)
	holdAll(t, atTwin, atCloud, building, acked...)
	told(t, atCloud, building, "node_cloned")
}

// recreate empties a database.
func recreate(t *testing.T, url string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	if _, err := c.Exec(t.Context(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
}
