package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"estate/internal/lab/pglab/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDatabasesShareNothing(t *testing.T) {
	t.Parallel()
	first, second := connect(t, pgtest.Database(t)), connect(t, pgtest.Database(t))
	if _, err := first.Exec(t.Context(), "CREATE TABLE only_here (n int)"); err != nil {
		t.Fatal(err)
	}
	var found bool
	if err := second.QueryRow(t.Context(), "SELECT to_regclass('only_here') IS NOT NULL").Scan(&found); err != nil {
		t.Fatal(err)
	}
	if found {
		t.Fatal("one test sees another's table")
	}
}

func TestCopyHasTheRows(t *testing.T) {
	t.Parallel()
	template := pgtest.Database(t)
	conn := connect(t, template)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	name := conn.Config().Database
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := connect(t, pgtest.Copy(t, name)).QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 7 {
		t.Fatalf("the copy holds %d, want 7", n)
	}
}
