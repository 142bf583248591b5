package pgstore

import (
	"fmt"
	"strings"
	"testing"

	"estate/internal/lab/pglab/pgtest"
	"estate/internal/projection"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/storetest"
)

// A row shows what its record has and nothing else, whichever columns the statement that wrote
// it sent.
func TestRowsShowTheirRecords(t *testing.T) {
	t.Parallel()
	s := openTest(t, pgtest.Database(t))
	fields := []string{"code", "title", "description", "resolution", "external_ref"}
	// Each bit of a number is a field that the ticket has.
	put := func(position uint64, tickets map[int]int) {
		t.Helper()
		err := s.Update(t.Context(), readBuilding, func(tx replica.Tx) error {
			have, err := tx.Load(t.Context(), replica.Need{})
			if err != nil {
				return err
			}
			e := replica.Effects{State: have.State}
			for n, has := range tickets {
				e.State.Position++
				dot := record.Dot{Replica: readAuthor, N: e.State.Position}
				r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}
				for i, field := range fields {
					if has&(1<<i) != 0 {
						r = r.With(field, []record.Sibling{{Dot: dot, Stamp: 1, Class: record.Person, Value: record.Text(fmt.Sprintf("%s %d %d", field, n, position))}})
					}
				}
				e.Records = append(e.Records, storetest.Row(readTicket(n), e.State.Position, r))
			}
			return tx.Save(t.Context(), e)
		})
		if err != nil {
			t.Fatal(err)
		}
		for n, has := range tickets {
			for i, field := range fields {
				var shown *string
				err := s.Pool().QueryRow(t.Context(), "SELECT "+quote(field)+" FROM ticket WHERE building = $1 AND id = $2", [16]byte(readBuilding), [16]byte(readTicket(n).ID)).Scan(&shown)
				if want := fmt.Sprintf("%s %d %d", field, n, position); err != nil || (shown != nil) != (has&(1<<i) != 0) || shown != nil && *shown != want {
					t.Fatalf("ticket %d at %d with %05b shows %v as %s, %v", n, position, has, shown, field, err)
				}
			}
		}
	}
	for has := range 1 << len(fields) { // more forms than are kept
		put(uint64(has), map[int]int{0: has})
	}
	put(99, map[int]int{1: 0b00011, 2: 0b11000, 3: 0}) // together
	put(100, map[int]int{1: 0b11000, 2: 0b00011, 3: 0b10101})
	if forms := len(s.tables["ticket"].upserts.texts); forms > upsertsMax+1 {
		t.Errorf("%d forms of a statement are kept", forms)
	}
}

func TestUpsertSendsWhatRowsHave(t *testing.T) {
	t.Parallel()
	for _, table := range projection.Tables(schema.Kinds()) {
		if table.Kind != "ticket" {
			continue
		}
		r := storetest.MakeRecord(readAuthor, 1, "a title")
		s := newTableText(table).upsertRows(readBuilding, []replica.RecordRow{storetest.Row(readTicket(1), 1, r)})
		into, _, _ := strings.Cut(s.text, " SELECT ")
		if !strings.Contains(into, `"title"`) || strings.Contains(into, `"resolution"`) || !strings.Contains(s.text, `"resolution" = excluded."resolution"`) {
			t.Errorf("%d arguments for %s", len(s.args), s.text)
		}
	}
}
