package importing

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/sync/record"
)

const (
	workersDefault = 8
	// pauseFirst doubles with each attempt, so that retriesMax attempts span half a minute.
	pauseFirst = 125 * time.Millisecond
)

type options struct {
	server                    signin.Flags
	file, building, dates     string
	columns, values, constant []string
	workers                   int
	quiet                     bool
}

// Command is `estate import`.
func Command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "import", Short: "Load tickets from a CSV file", Args: cobra.NoArgs,
		Long: "Loads tickets from a CSV file into a building, at an edge or the cloud. Importing a file again changes nothing: " +
			"a ticket's id is derived from the building and the row's id in the other system. Bad rows are reported and skipped.",
		Example: `  estate import --api http://127.0.0.1:8080 --building OAK --csv violations.csv \
    --map title=text,external_ref=id,priority=priority,reported_at=inspection_date \
    --value 'priority:C (immediately hazardous)=urgent' --value 'priority:*=normal' --set category=other`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.server.Add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.file, "csv", "", "the file; its first line names the columns")
	flags.StringVar(&o.building, "building", "", "the building's code, name or id")
	flags.StringSliceVar(&o.columns, "map", nil, "FIELD=COLUMN, several with commas or by repeating")
	flags.StringArrayVar(&o.values, "value", nil, "FIELD:TEXT=VALUE: what a text in the file means; TEXT * is any other")
	flags.StringArrayVar(&o.constant, "set", nil, "FIELD=VALUE for every row")
	flags.StringVar(&o.dates, "dates", "", "order of day and month in dates such as 03/01/2026: mdy or dmy")
	flags.IntVar(&o.workers, "workers", workersDefault, fmt.Sprintf("rows under way at once, 1 to %d", workersMax))
	flags.BoolVar(&o.quiet, "quiet", false, "no progress bar")
	for _, name := range []string{"csv", "building", "map"} {
		_ = cmd.MarkFlagRequired(name) // the flags are above
	}
	return cmd
}

func (o *options) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	m, err := parseMapping(o.columns, o.values, o.constant)
	if err != nil {
		return err
	}
	if m.order = o.dates; o.dates != "" && o.dates != monthFirst && o.dates != dayFirst {
		return fmt.Errorf("--dates is %s or %s, not %q", monthFirst, dayFirst, o.dates)
	}
	if o.workers < 1 || o.workers > workersMax {
		return fmt.Errorf("--workers must be from 1 to %d", workersMax)
	}
	file, err := os.Open(o.file)
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer func() { _ = file.Close() }()
	total, err := count(file)
	if err != nil {
		return err
	}
	l, err := o.loader(ctx, m)
	if err != nil {
		return err
	}
	bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("rows"),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetVisibility(!o.quiet))
	l.step = func() { _ = bar.Add(1) } // a terminal that is gone shows nothing
	began := time.Now()
	out, err := l.load(ctx, file)
	_ = bar.Finish() // likewise
	report(cmd, out, time.Since(began))
	if err != nil {
		return fmt.Errorf("the import stopped (run it again to go on): %w", err)
	}
	if len(out.bad) > 0 {
		return fmt.Errorf("%d of %d rows were not imported", len(out.bad), out.rows)
	}
	return nil
}

// loader signs in and learns the building's units.
func (o *options) loader(ctx context.Context, m mapping) (*loader, error) {
	client, err := o.server.SignIn(ctx)
	if err != nil {
		return nil, err
	}
	place, err := signin.Building(ctx, client, o.building)
	if err != nil {
		return nil, err
	}
	units, err := client.Units(ctx, place.ID)
	if err != nil {
		return nil, fmt.Errorf("list the units: %w", err)
	}
	m.units = map[string]record.ID{}
	for _, unit := range units {
		m.units[unit.Name] = unit.ID
	}
	return &loader{client: client, building: place.ID, mapping: m, workers: o.workers, pause: pause}, nil
}

// count counts a file's rows for the bar and goes back to its beginning.
func count(file io.ReadSeeker) (int, error) {
	reader := csv.NewReader(file)
	reader.FieldsPerRecord = -1
	reader.ReuseRecord = true
	rows := 0
	for {
		_, err := reader.Read()
		var parse *csv.ParseError
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.As(err, &parse) {
			return 0, fmt.Errorf("read the file: %w", err)
		}
		rows++
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read the file again: %w", err)
	}
	return max(rows-1, 0), nil
}

// pause waits before another attempt.
func pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(pauseFirst << attempt)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func report(cmd *cobra.Command, out result, took time.Duration) {
	for _, bad := range out.bad {
		fmt.Fprintf(cmd.ErrOrStderr(), "line %d: %v\n", bad.line, bad.reason)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d rows: %d imported, %d of them into tickets that were open already, %d bad; %s, %.0f rows/s\n",
		out.rows, out.made, out.joined, len(out.bad), took.Round(10*time.Millisecond), float64(out.rows)/max(took.Seconds(), 0.001))
}
