package reading_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"estate/internal/reading"
)

// FuzzBatch reads what an edge sends the cloud: no panic, and what is taken can be kept, and is
// the same when it is packed again.
func FuzzBatch(f *testing.F) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	series := reading.Series{Hardware: "z2m:0x1", Key: "temperature", Kind: "temperature", Unit: "°C", Type: reading.Number}
	good, err := json.Marshal(reading.NewBatch([]reading.Rollup{{Series: series, Bucket: at, N: 2, Low: 1, High: 3, Sum: 4, Last: 3, LastAt: at}},
		[]reading.Reading{{Series: series, Value: 3, At: at, Arrival: at}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"series":[{"hardware":"x","key":"k","type":1}],"readings":[{"s":7,"at":1,"v":1e308}]}`))
	f.Add([]byte(`{"series":[{"hardware":"x","key":"k","type":1}],"rollups":[{"s":0,"b":-1,"n":-1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b reading.Batch
		if json.Unmarshal(text, &b) != nil {
			return
		}
		rollups, readings, err := b.Rows()
		if err != nil {
			return
		}
		for _, r := range readings {
			if !r.Valid() {
				t.Fatalf("taken and not to be kept: %+v", r)
			}
		}
		again, more, err := reading.NewBatch(rollups, readings).Rows()
		if err != nil || !reflect.DeepEqual(again, rollups) || !reflect.DeepEqual(more, readings) {
			t.Fatalf("packed again it is %+v, %+v, %v", again, more, err)
		}
	})
}
