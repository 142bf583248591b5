package pgstore

import (
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

func (g *group) saveRecords(rows []replica.RecordRow) []statement {
	rows = recordsOnce(rows)
	fresh, rest := split(rows, func(r *replica.RecordRow) bool { return r.New })
	if len(rest) >= replaceRowsMin {
		return g.replaced(rows, rest)
	}
	var out []statement
	if len(fresh) > 0 {
		out = append(append(out, copyRecordRows(fresh)), g.projected(fresh, true)...)
	}
	if len(rest) > 0 {
		out = append(append(out, upsertRecordRows(g.building, rest)), g.projected(rest, false)...)
	}
	return out
}

// recordsOnce keeps the last of rows of one record.
func recordsOnce(rows []replica.RecordRow) []replica.RecordRow {
	if rising(rows, func(a, b *replica.RecordRow) int { return a.Key.Compare(b.Key) }) {
		return rows
	}
	return lastOf(rows, func(r *replica.RecordRow) record.Key { return r.Key })
}

// split parts rows that the store does not hold from the others, if they are enough to be
// copied.
func split[R any](rows []R, fresh func(*R) bool) (toCopy, rest []R) {
	n := 0
	for i := range rows {
		if fresh(&rows[i]) {
			n++
		}
	}
	switch {
	case n < copyRowsMin:
		return nil, rows
	case n == len(rows):
		return rows, nil
	}
	toCopy, rest = make([]R, 0, n), make([]R, 0, len(rows)-n)
	for i := range rows {
		if fresh(&rows[i]) {
			toCopy = append(toCopy, rows[i])
		} else {
			rest = append(rest, rows[i])
		}
	}
	return toCopy, rest
}

// replaced deletes what is there of some rows, and copies all.
func (g *group) replaced(rows, rest []replica.RecordRow) []statement {
	kinds, ids := make([]string, len(rest)), make([]record.ID, len(rest))
	for i := range rest {
		kinds[i], ids[i] = rest[i].Key.Kind, rest[i].Key.ID
	}
	out := []statement{{text: deleteRecords, args: []any{[16]byte(g.building), kinds, uuids(ids)}, first: true}}
	for _, of := range byKind(rest) {
		if table, ok := g.store.tables[of[0].Key.Kind]; ok {
			out = append(out, table.deleteRows(g.building, of))
		}
	}
	return append(append(out, copyRecordRows(rows)), g.projected(rows, true)...)
}

// projected writes the tables of kinds, kind by kind.
func (g *group) projected(rows []replica.RecordRow, fresh bool) []statement {
	var out []statement
	for _, of := range byKind(rows) {
		table, ok := g.store.tables[of[0].Key.Kind]
		switch {
		case !ok:
		case fresh && len(of) >= copyRowsMin:
			out = append(out, table.copyRows(of))
		default:
			out = append(out, table.upsertRows(g.building, of))
		}
	}
	return out
}

// byKind parts rows by kind, in the order in which the kinds come.
func byKind(rows []replica.RecordRow) [][]replica.RecordRow {
	if !slices.ContainsFunc(rows, func(r replica.RecordRow) bool { return r.Key.Kind != rows[0].Key.Kind }) {
		return [][]replica.RecordRow{rows} // as on most pages
	}
	at := map[string]int{}
	var out [][]replica.RecordRow
	for i := range rows {
		kind := rows[i].Key.Kind
		of, known := at[kind]
		if !known {
			of = len(out)
			at[kind], out = of, append(out, nil)
		}
		out[of] = append(out[of], rows[i])
	}
	return out
}

func upsertRecordRows(building record.ID, rows []replica.RecordRow) statement {
	kinds, ids, at, bodies := make([]string, len(rows)), make([]record.ID, len(rows)), make([]int64, len(rows)), make([][]byte, len(rows))
	for i := range rows {
		r := &rows[i]
		kinds[i], ids[i], at[i], bodies[i] = r.Key.Kind, r.Key.ID, bits(r.Position), r.Body
	}
	return statement{text: upsertRecords, args: []any{[16]byte(building), kinds, uuids(ids), at, bodies}}
}
