package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// figure is one line of the report.
type figure struct {
	Name          string  `json:"name"`
	Value         float64 `json:"value"`
	Unit          string  `json:"unit"`
	Baseline      string  `json:"baseline"`
	BaselineValue float64 `json:"baseline_value"`
	Ratio         float64 `json:"ratio"`
	Goal          string  `json:"goal"`
	Met           bool    `json:"met"`
}

// plain makes a figure that stands alone.
func plain(name string, value float64, unit string) figure {
	return figure{Name: name, Value: value, Unit: unit}
}

// beside makes a figure with its ratio to a baseline.
func beside(name string, value float64, unit, baseline string, baselineValue float64) figure {
	f := figure{Name: name, Value: value, Unit: unit, Baseline: baseline, BaselineValue: baselineValue}
	if baselineValue != 0 {
		f.Ratio = value / baselineValue
	}
	return f
}

// ratioAtLeast is a goal beside the baseline.
func (f figure) ratioAtLeast(goal float64) figure {
	f.Goal, f.Met = "ratio ≥ "+short(goal), f.Ratio >= goal
	return f
}

// atMost is a goal of its own.
func (f figure) atMost(goal float64) figure {
	f.Goal, f.Met = "≤ "+short(goal)+" "+f.Unit, f.Value <= goal
	return f
}

// report prints the table, and writes the figures to a file where one is named.
func report(out io.Writer, figures []figure, file string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tVALUE\tBESIDE\tRATIO\tGOAL\tMET")
	for _, f := range figures {
		baseline, ratio, met := "", "", ""
		if f.Baseline != "" {
			baseline = f.Baseline + ": " + short(f.BaselineValue) + " " + f.Unit
			ratio = strconv.FormatFloat(f.Ratio, 'f', 2, 64)
		}
		if f.Goal != "" {
			met = map[bool]string{true: "yes", false: "NO"}[f.Met]
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\n", f.Name, short(f.Value), f.Unit, baseline, ratio, f.Goal, met)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	if file == "" {
		return nil
	}
	if figures == nil {
		figures = []figure{} // an array, also when nothing was found
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil { //nolint:gosec // figures are for everybody
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

// short prints a number with the digits that mean something.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
}

// percentile of durations in milliseconds, by the nearest rank.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	at := int(p*float64(len(sorted)-1) + 0.5)
	return float64(sorted[at].Microseconds()) / 1000
}

// median of some figures of one kind.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

// perSecond is how many there were in a second.
func perSecond(count int, took time.Duration) float64 { return float64(count) / took.Seconds() }

const mega = 1e6
