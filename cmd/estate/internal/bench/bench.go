// Package bench measures the real programs on this machine, beside the limit that the
// machine itself sets.
//
// It must never fail because a figure is bad: it reports.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"estate/internal/lab"
	"estate/internal/lab/stack"
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

// options are what every bench can be told.
type options struct {
	quick bool
	// publisher is the program that speaks for the sensors; empty for this one.
	publisher string
}

// measure is one bench.
type measure func(ctx context.Context, s *stack.Stack, how options) ([]figure, error)

// Command is `estate bench`.
func Command() *cobra.Command {
	var how options
	var file string
	cmd := &cobra.Command{Use: "bench", Short: "Measure the real programs on this machine"}
	cmd.PersistentFlags().StringVar(&how.publisher, "publisher", "", "the program that speaks for the sensors, such as mosquitto_pub")
	cmd.PersistentFlags().BoolVar(&how.quick, "quick", false, "a small run, within 45 seconds")
	cmd.PersistentFlags().StringVar(&file, "json", "", "write the figures to this file, too")
	for _, b := range []struct {
		name, short string
		run         measure
	}{
		{"freshness", "From a sensor's message at the edge to the ticket on a dashboard at the cloud", freshness},
		{"sync", "Rows per second that an edge's tickets take to reach the cloud", reconcile},
	} {
		cmd.AddCommand(&cobra.Command{Use: b.name, Short: b.short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				figures, err := run(cmd.Context(), cmd.ErrOrStderr(), b.run, how)
				if err != nil {
					return fmt.Errorf("bench %s: %w", b.name, err)
				}
				return report(cmd.OutOrStdout(), figures, file)
			}})
	}
	return cmd
}

// run measures in a stack of its own, which is gone afterwards.
func run(ctx context.Context, progress io.Writer, bench measure, how options) (figures []figure, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	binaries, err := lab.BinariesIn(filepath.Dir(self))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("/var/tmp", "estate-bench-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's account passes through
		return nil, fmt.Errorf("let PostgreSQL's account in: %w", err)
	}
	s, err := stack.Open(ctx, stack.Options{Dir: dir, Binaries: binaries, FullDurability: true,
		Progress: func(line string) { fmt.Fprintln(progress, line) }})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	return bench(ctx, s, how)
}

// one starts a cloud and one building's edge.
func one(ctx context.Context, s *stack.Stack) (*stack.Cloud, *stack.Edge, error) {
	plan := stack.DefaultPlan()
	plan.Buildings = plan.Buildings[:1]
	plan.People = plan.People[:1]
	plan.People[0].Roles = map[string]string{"OAK": "manager"}
	cloud, err := s.StartCloud(ctx, "cloud")
	if err != nil {
		return nil, nil, err
	}
	if err := s.Seed(ctx, cloud, plan); err != nil {
		return nil, nil, err
	}
	edge, err := s.AddEdge(ctx, "OAK", cloud)
	if err != nil {
		return nil, nil, err
	}
	return cloud, edge, edge.Start(ctx)
}

func report(out io.Writer, figures []figure, file string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tVALUE\tBESIDE\t\tRATIO")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%.4g %s\t%.2f\n", f.Name, f.Value, f.Unit, f.Baseline, f.BaselineValue, f.Unit, f.Ratio)
	}
	if err := w.Flush(); err != nil || file == "" {
		return err
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // figures are for everybody
}

// beside makes a figure with its ratio to a baseline.
func beside(name string, value float64, unit, baseline string, baselineValue float64) figure {
	f := figure{Name: name, Value: value, Unit: unit, Baseline: baseline, BaselineValue: baselineValue}
	if baselineValue != 0 {
		f.Ratio = value / baselineValue
	}
	return f
}

// percentile of durations in milliseconds.
func percentile(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	at := int(p*float64(len(sorted)-1) + 0.5)
	return float64(sorted[at].Microseconds()) / 1000
}
