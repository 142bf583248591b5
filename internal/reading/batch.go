package reading

import (
	"fmt"
	"time"

	"estate/internal/problem"
)

const (
	// BatchRowsMax bounds the rollups, and the readings, of one batch.
	BatchRowsMax = 2000
	// BatchBytesMax is many times the longest honest batch.
	BatchBytesMax = 4 << 20
)

// Batch is what an edge sends the cloud at once: rollups of quarters of an hour, and the single
// readings around alarms. Each is named by its series, bucket or time; a batch may come again,
// and batches in any order.
type Batch struct {
	Series   []Series     `json:"series"`
	Rollups  []RollupRow  `json:"rollups,omitempty"`
	Readings []ReadingRow `json:"readings,omitempty"`
}

// RollupRow is a Rollup of a batch. Times are in Unix milliseconds.
type RollupRow struct {
	Series int     `json:"s"` // its place in Batch.Series
	Bucket int64   `json:"b"`
	N      int64   `json:"n"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Sum    float64 `json:"sum"`
	Last   float64 `json:"last"`
	LastAt int64   `json:"at"`
}

// ReadingRow is a Reading of a batch. Times are in Unix milliseconds.
type ReadingRow struct {
	Series  int     `json:"s"`
	At      int64   `json:"at"`
	Arrival int64   `json:"arrival"`
	Value   float64 `json:"v"`
	Text    string  `json:"t,omitempty"`
}

// NewBatch packs rollups and readings.
func NewBatch(rollups []Rollup, readings []Reading) Batch {
	var b Batch
	at := map[Series]int{}
	place := func(s Series) int {
		n, ok := at[s]
		if !ok {
			n = len(b.Series)
			at[s] = n
			b.Series = append(b.Series, s)
		}
		return n
	}
	for _, r := range rollups {
		b.Rollups = append(b.Rollups, RollupRow{place(r.Series), r.Bucket.UnixMilli(), r.N, r.Low, r.High, r.Sum, r.Last, r.LastAt.UnixMilli()})
	}
	for _, r := range readings {
		b.Readings = append(b.Readings, ReadingRow{place(r.Series), r.At.UnixMilli(), r.Arrival.UnixMilli(), r.Value, r.Text})
	}
	return b
}

// Rows unpacks a batch. It fails with problem.InvalidInput where any row cannot be kept.
func (b Batch) Rows() ([]Rollup, []Reading, error) {
	if len(b.Rollups) > BatchRowsMax || len(b.Readings) > BatchRowsMax || len(b.Series) > len(b.Rollups)+len(b.Readings) {
		return nil, nil, problem.New(problem.TooLarge, "at most %d rollups and %d readings, and no series without any", BatchRowsMax, BatchRowsMax)
	}
	wrong := func(list string, n int) error {
		return problem.Invalid(problem.FieldError{Field: fmt.Sprintf("%s[%d]", list, n), Message: "is none that can be kept"})
	}
	known := func(s int) bool { return s >= 0 && s < len(b.Series) }
	rollups, readings := make([]Rollup, len(b.Rollups)), make([]Reading, len(b.Readings))
	for n, r := range b.Rollups {
		if !known(r.Series) {
			return nil, nil, wrong("rollups", n)
		}
		rollups[n] = Rollup{b.Series[r.Series], time.UnixMilli(r.Bucket).UTC(), r.N, r.Low, r.High, r.Sum, r.Last, time.UnixMilli(r.LastAt).UTC()}
		if !rollups[n].Valid() {
			return nil, nil, wrong("rollups", n)
		}
	}
	for n, r := range b.Readings {
		if !known(r.Series) {
			return nil, nil, wrong("readings", n)
		}
		readings[n] = Reading{b.Series[r.Series], r.Value, r.Text, time.UnixMilli(r.At).UTC(), time.UnixMilli(r.Arrival).UTC()}
		if !readings[n].Valid() {
			return nil, nil, wrong("readings", n)
		}
	}
	return rollups, readings, nil
}
