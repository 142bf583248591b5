package storetest

import (
	"fmt"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
)

// sums: digests are those of the stored bytes under the salt, for any number of keys of any
// kinds at once; what is not stored has none.
func sums(t *testing.T, s replica.Store) {
	const many = 5000 // more than a stretch of digests
	var keys []record.Key
	var rows []replica.RecordRow
	mustUpdate(t, s, building1, func(w *writer) {
		for i := range many {
			keys = append(keys, w.record([]string{"ticket", "unit", "of a later release"}[i%3], id("r", i), fmt.Sprint(i)))
		}
		rows = w.effects.Records
	})
	mustUpdate(t, s, building2, func(w *writer) { w.record("ticket", id("r", many), "elsewhere") })
	absent := record.Key{Building: building1, Kind: "ticket", ID: id("r", many)}
	need := replica.Need{Sums: replica.SumNeed{Keys: append(keys, absent), Salt: []byte("salt")}}
	have := mustLoad(t, s, building1, need)
	if len(have.Sums) != many || len(have.Records) != 0 {
		t.Fatalf("%d digests and %d records of %d", len(have.Sums), len(have.Records), many)
	}
	for i, k := range keys {
		equal(t, "digest", have.Sums[k], replica.SumRow{Sum: replica.SumRecord([]byte("salt"), k, rows[i].Body), Position: rows[i].Position})
	}
	need.Sums.Keys[0].Building = building2
	_, err := s.Load(testContext(t), building1, need)
	wantError(t, err, replica.ErrScope)
}
