package pglab_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"estate/internal/lab/child"
	"estate/internal/lab/pglab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func query(t *testing.T, url, statement string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if len(into) == 0 {
		_, err = conn.Exec(t.Context(), statement)
	} else {
		err = conn.QueryRow(t.Context(), statement).Scan(into...)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// enterableDir is a folder that the server's account can enter, unlike
// t.TempDir.
func enterableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "estate-pglab-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, options pglab.Options) *pglab.Cluster {
	t.Helper()
	cluster, err := pglab.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return cluster
}

func TestCommittedRowsSurviveKill(t *testing.T) {
	t.Parallel()
	cluster := start(t, pglab.Options{FullDurability: true})
	if err := cluster.CreateDatabase(t.Context(), "kept", ""); err != nil {
		t.Fatal(err)
	}
	query(t, cluster.URL("kept"), "CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
	idle, err := pgx.Connect(t.Context(), cluster.URL("kept"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close(context.Background()) }()
	port, pid := cluster.Port(), cluster.PID()
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if left := child.WorkingIn(filepath.Join(cluster.Dir(), "data")); len(left) != 0 || child.Alive(pid) || cluster.PID() != 0 {
		t.Fatalf("still running after Kill: %v", left)
	}
	if err := cluster.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var rows int
	query(t, cluster.URL("kept"), "SELECT count(*) FROM t", &rows)
	if rows != 1000 || cluster.Port() != port {
		t.Fatalf("after recovery: %d rows on port %d, want 1000 on %d", rows, cluster.Port(), port)
	}
	log, err := os.ReadFile(cluster.LogPath())
	if err != nil || !strings.Contains(string(log), "was not properly shut down") {
		t.Fatalf("the log shows no crash recovery (%v):\n%s", err, log)
	}
}

func TestReopenEndsTheLeftoverServer(t *testing.T) {
	t.Parallel()
	dir := enterableDir(t)
	first := start(t, pglab.Options{Dir: dir, FullDurability: true})
	if err := first.CreateDatabase(t.Context(), "kept", ""); err != nil {
		t.Fatal(err)
	}
	second := start(t, pglab.Options{Dir: dir, FullDurability: true})
	if child.Alive(first.PID()) {
		t.Fatal("the leftover server still runs")
	}
	found, err := second.HasDatabase(t.Context(), "kept")
	if err != nil || !found {
		t.Fatalf("database kept: %v, %v", found, err)
	}
	if found, err = second.HasDatabase(t.Context(), "never"); err != nil || found {
		t.Fatalf("database never: %v, %v", found, err)
	}
}

func TestStopRemovesTheTemporaryFolder(t *testing.T) {
	t.Parallel()
	cluster := start(t, pglab.Options{})
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cluster.Dir()); !os.IsNotExist(err) {
		t.Fatalf("the folder is still there: %v", err)
	}
}

func TestPasswordIsAsked(t *testing.T) {
	t.Parallel()
	cluster := start(t, pglab.Options{})
	config, err := pgx.ParseConfig(cluster.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "wrong"
	if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("a wrong password was taken")
	}
}

func TestBinariesNamesTheRemedy(t *testing.T) {
	t.Setenv("ESTATE_PG_BIN", t.TempDir())
	if _, err := pglab.Binaries(); err == nil || !strings.Contains(err.Error(), "ESTATE_PG_BIN") {
		t.Fatalf("got %v, want an error that names ESTATE_PG_BIN", err)
	}
}

func TestClosedAncestorIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // only root runs the server as somebody else
	}
	closed := enterableDir(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := pglab.Start(t.Context(), pglab.Options{Dir: filepath.Join(closed, "cluster")})
	if err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
		t.Fatalf("got %v, want an error that names %s", err, closed)
	}
}
