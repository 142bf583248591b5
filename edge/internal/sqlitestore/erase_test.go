package sqlitestore

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// Erased values are overwritten in the file: those beside the event in its page, and those
// that filled pages of their own. The log goes when the store is closed. Cites SPEC R32.
func TestErasedValuesAreNotInTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	building, from := record.DerivedID("building"), record.DerivedID("replica")
	secrets := []string{"a short secret of one cell", strings.Repeat("a secret of many pages ", 4096)}
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	save := func(fill func(*replica.Effects)) {
		t.Helper()
		err := s.Update(t.Context(), building, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			e.State.Building = building
			fill(&e)
			return tx.Save(t.Context(), e)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	inFile := func(text string) bool {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(b, []byte(text))
	}
	reopen := func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
			t.Errorf("the log stays behind: %v", err)
		}
		if s, err = Open(t.Context(), path, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	save(func(e *replica.Effects) {
		for i, secret := range secrets {
			body := []byte{byte(i)}
			e.State.Position++
			e.Events = append(e.Events, replica.EventRow{Replica: from, N: uint64(i + 1), Hash: record.HashEvent(body), Body: body, Details: []byte(secret), Position: e.State.Position})
		}
	})
	reopen()
	for _, secret := range secrets {
		if !inFile(secret[:20]) {
			t.Fatal("the values never were in the file: this test could not fail")
		}
	}
	save(func(e *replica.Effects) {
		for i := range secrets {
			e.Erasures = append(e.Erasures, replica.Erasure{Dot: record.Dot{Replica: from, N: uint64(i + 1)}, By: record.Dot{Replica: from, N: 9}})
		}
	})
	reopen()
	for _, secret := range secrets {
		if inFile(secret[:20]) {
			t.Errorf("%.20q is still in the file", secret)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
