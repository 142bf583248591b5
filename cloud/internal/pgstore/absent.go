package pgstore

import (
	"slices"

	"github.com/jackc/pgx/v5"

	"estate/sync/record"
)

// Most of what a page brings is new, and a decision asks for all of it. To find nothing, once
// for each of thousands of keys, would cost a tenth of writing them: what is asked for is
// looked up in stretches, each of which one look at the index can show to be empty.

const (
	// stretchedMin is from how many keys on they are looked up in stretches: below it the
	// larger statement costs more than it spares.
	stretchedMin = 64
	// stretchKeys is how many neighbouring keys are shown at once to be absent. One that is
	// present has only those of its stretch looked up one by one.
	stretchKeys = 64
)

const (
	// selectStretches looks for any record between the first and the last id of a stretch,
	// and for each of them only where there is one.
	selectStretches = `SELECT s.kind, k.id, r.position, r.body FROM unnest($2::text[], $3::integer[], $4::integer[]) AS s (kind, first, last), LATERAL
		(SELECT s.first, s.last FROM record WHERE building = $1 AND kind = s.kind AND id BETWEEN ($5::uuid[])[s.first] AND ($5::uuid[])[s.last] ORDER BY id LIMIT 1) found, LATERAL
		unnest(($5::uuid[])[found.first:found.last]) AS k (id), LATERAL
		(SELECT position, body FROM record WHERE building = $1 AND kind = s.kind AND id = k.id OFFSET 0) r`
	selectHashes = `SELECT e.replica, e.n, e.hash FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS k (replica, first, last), LATERAL
		(SELECT replica, n, hash FROM event WHERE building = $1 AND replica = k.replica AND n BETWEEN k.first AND k.last OFFSET 0) e`
	selectErasures = `SELECT e.replica, e.n, e.by_replica, e.by_n FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS k (replica, first, last), LATERAL
		(SELECT replica, n, by_replica, by_n FROM erasure WHERE building = $1 AND replica = k.replica AND n BETWEEN k.first AND k.last OFFSET 0) e`
)

// queueKeys queues the look-up of records, whose rows go to scan.
func queueKeys(b *pgx.Batch, of [16]byte, keys []record.Key, scan func(pgx.Rows) error) {
	if len(keys) < stretchedMin {
		kinds, ids := columns(keys)
		query(b, scan, selectRecords, of, kinds, ids)
		return
	}
	if !slices.IsSortedFunc(keys, record.Key.Compare) {
		keys = slices.Clone(keys)
		slices.SortFunc(keys, record.Key.Compare)
	}
	var kinds []string
	var first, last []int32
	for i := range keys {
		k, n := &keys[i], len(kinds)
		if n == 0 || kinds[n-1] != k.Kind || last[n-1]-first[n-1] == stretchKeys-1 {
			kinds, first, last = append(kinds, k.Kind), append(first, int32(i)+1), append(last, int32(i)+1)
			continue
		}
		last[n-1]++
	}
	query(b, scan, selectStretches, of, kinds, first, last, uuidsOf(keys))
}

// ranges are the numbers of events, from the first to the last of each unbroken row.
func ranges(dots []record.Dot) (ids []record.ID, first, last []int64) {
	dots = slices.Clone(dots)
	slices.SortFunc(dots, record.Dot.Compare)
	for i, d := range dots {
		n := len(ids)
		switch {
		case i > 0 && dots[i-1] == d:
		case i > 0 && dots[i-1].Replica == d.Replica && dots[i-1].N+1 == d.N:
			last[n-1] = bits(d.N)
		default:
			ids, first, last = append(ids, d.Replica), append(first, bits(d.N)), append(last, bits(d.N))
		}
	}
	return ids, first, last
}
