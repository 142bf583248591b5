package crash

import (
	"encoding/base64"
	"strings"
	"testing"

	"estate/internal/lab/stack"
	"estate/schema"
	"estate/sync/record"
)

// past is a building's audit with one ticket, whose title several events wrote.
type past struct {
	*history
	id record.ID
}

func newPast() past {
	return past{&history{hashes: map[record.Dot]string{}, cards: map[record.ReplicaID]record.Card{}, marks: map[written][]mark{}, replaced: map[place]map[record.Dot][]overwrite{},
		refused: map[mark]string{}, codes: map[string]int{}}, record.DerivedID("ticket", "1")}
}

func dot(n uint64) record.Dot { return record.Dot{Replica: record.DerivedID("replica", "edge"), N: n} }

func (p past) write(n uint64, value string, replaced ...record.Dot) {
	e := record.Event{Replica: dot(n).Replica, N: n, Touches: []record.Touch{{Kind: "ticket", ID: p.id, Field: "title", Replaced: replaced}}}
	p.take(e, record.Details{{New: []record.Value{record.Text(value)}}}, "")
}

// TestFate: each way in which a write can end is told from the others.
func TestFate(t *testing.T) {
	t.Parallel()
	p := newPast()
	p.write(1, "shown")
	p.write(2, "beside")
	p.write(3, "seen and replaced")
	p.write(4, "unseen and replaced")
	p.write(5, "later", dot(3), dot(4))
	p.write(6, "gone")
	p.write(7, "refused")
	p.refused[mark{place: place{"ticket", p.id, "title"}, dot: dot(7)}] = "clock_ahead"
	key := record.Key{Building: record.DerivedID("building", "oak"), Kind: "ticket", ID: p.id}
	var r record.Record
	r = r.With("title", []record.Sibling{
		{Dot: dot(2), Stamp: 2, Class: record.Person, Value: record.Text("beside")},
		{Dot: dot(5), Stamp: 5, Class: record.Person, Value: record.Text("later")},
		{Dot: dot(1), Stamp: 9, Class: record.Person, Value: record.Text("shown")},
	})
	shownToAuthor, err := (record.Record{Context: record.Context{Vector: []record.Dot{dot(3)}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	seen := base64.RawURLEncoding.EncodeToString(shownToAuthor)
	w := &world{ledger: newLedger(), findings: newList(), notes: newList()}
	s := &site{world: w, place: &stack.Place{ID: key.Building}}
	l := look{site: s, records: map[record.Key]record.Record{key: r}, past: p.history, table: schema.Default(), entries: map[written][]*entry{}}
	later := &entry{kind: wroteField, site: s, key: key, field: "title", value: record.Text("later"), seen: seen, acked: true}
	l.entries[written{"ticket", "title", string(later.value)}] = []*entry{later}
	for value, want := range map[string]struct {
		fate     fate
		findings string
	}{
		"shown":               {shown, ""},
		"beside":              {inConflict, ""},
		"seen and replaced":   {overwritten, ""},
		"unseen and replaced": {overwritten, "overwritten unseen"},
		"refused":             {refused, ""},
		"gone":                {lost, "LOST"},
		"never written":       {lost, "LOST"},
	} {
		w.findings = newList()
		got := l.fate(&entry{kind: wroteField, site: s, key: key, field: "title", value: record.Text(value), acked: true})
		all := w.findings.all()
		if got != want.fate || (want.findings == "") != (len(all) == 0) || want.findings != "" && !strings.HasPrefix(all[0], want.findings) {
			t.Errorf("%s: fate %d, want %d; findings %q", value, got, want.fate, all)
		}
	}
	p.take(record.Event{Replica: dot(8).Replica, N: 8, Touches: []record.Touch{{Kind: "ticket", ID: record.DerivedID("ticket", "2"), Field: "title"}}},
		record.Details{{New: []record.Value{record.Text("shown")}}}, "")
	w.findings = newList()
	l.fate(&entry{kind: wroteTicket, site: s, key: key, field: "title", value: record.Text("shown"), acked: true, once: true})
	if all := w.findings.all(); len(all) != 1 || !strings.HasPrefix(all[0], "doubled") {
		t.Errorf("a write in two records: %q", all)
	}
}
