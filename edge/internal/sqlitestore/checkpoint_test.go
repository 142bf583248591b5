package sqlitestore

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// TestLogBeginsAnew: the log of writers who never rest does not grow beyond its bound, though
// none of them moves all of it, and nothing of it is lost.
func TestLogBeginsAnew(t *testing.T) {
	t.Parallel()
	path, building, author := filepath.Join(t.TempDir(), "edge.db"), record.DerivedID("building"), record.DerivedID("author")
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each, pages = 4, 25, 150
	long := strings.Repeat("It drips. ", 4000) // ten pages
	keys := make([][]record.Key, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				err := s.Update(t.Context(), building, func(tx replica.Tx) error {
					have, err := tx.Load(t.Context(), replica.Need{})
					if err != nil {
						return err
					}
					e := replica.Effects{State: have.State}
					e.State.Building = building
					for k := range pages / 10 {
						key := record.Key{Building: building, Kind: "note", ID: record.DerivedID(strconv.Itoa(w), strconv.Itoa(i), strconv.Itoa(k))}
						e.State.N, e.State.Position = e.State.N+1, e.State.Position+1
						e.Records = append(e.Records, storetest.Row(key, e.State.Position, storetest.MakeRecord(author, e.State.N, long)))
						keys[w] = append(keys[w], key)
					}
					return tx.Save(t.Context(), e)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	const pageBytes = 4096 + 24
	log, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if written := writers * each * pages; log.Size() > logPagesFar*3/4*pageBytes || written < logPagesFar*3/4 {
		t.Errorf("the log has %d pages, of %d or more that were written", log.Size()/pageBytes, written)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, path)
	for _, need := range keys {
		have, err := s.Load(t.Context(), building, replica.Need{Keys: need})
		if err != nil || len(have.Records) != len(need) {
			t.Errorf("%d of %d records are there: %v", len(have.Records), len(need), err)
		}
	}
}
