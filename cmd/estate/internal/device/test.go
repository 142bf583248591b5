package device

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// lookEvery is how often a test asks for new values.
const lookEvery = time.Second

func test() *cobra.Command {
	var t target
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "test DEVICE", Short: "Show what a device says, as it comes", Args: cobra.ExactArgs(1),
		Long: "Prints each new value of a device until the time is over, and fails where there was none: press its button, open the door, wet the sensor.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, building, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			d, err := find(cmd.Context(), client, building, args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if !d.Adopted {
				fmt.Fprintf(out, "%s (%s) is not adopted: it was heard, but its values are not kept and its alarms do not count. Adopt it first: estate device adopt %q\n", clean(d.Name), clean(d.Hardware), d.Hardware)
				return nil
			}
			fmt.Fprintf(out, "Listening to %s (%s) for %s\n", clean(d.Name), clean(d.Hardware), wait)
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			n, err := follow(ctx, client, building, d, out)
			if err != nil || n > 0 {
				return err
			}
			if err := why(cmd.Context(), client, building, d, out); err != nil {
				return err
			}
			return errSilent
		},
	}
	t.add(cmd)
	cmd.Flags().DurationVar(&wait, "for", time.Minute, "how long to listen")
	return cmd
}

// follow prints each new value until ctx ends, and counts them.
func follow(ctx context.Context, client *apiclient.Client, building record.ID, d desk.Device, out io.Writer) (n int, err error) {
	seen := map[string]time.Time{}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for first := true; ; first = false {
		series, err := client.Series(ctx, building, d.ID)
		if ctx.Err() != nil {
			return n, nil // the time is over
		}
		if err != nil {
			return n, fmt.Errorf("ask for values: %w", err)
		}
		for _, s := range series {
			if s.At == nil || s.At.Equal(seen[s.Key+s.UnitOfMeasure]) {
				continue
			}
			seen[s.Key+s.UnitOfMeasure] = *s.At
			if !first {
				n++
				fmt.Fprintf(out, "%s  %s = %s\n", s.At.Local().Format("15:04:05"), clean(s.Key), clean(value(s)))
			}
		}
		select {
		case <-ctx.Done():
			return n, nil
		case <-look.C:
		}
	}
}

// value is how a person reads a value.
func value(s desk.Series) string {
	switch {
	case s.Last == nil:
		return s.Text
	case s.Type == "bool":
		return map[bool]string{true: "yes", false: "no"}[*s.Last != 0]
	}
	return fmt.Sprintf("%g %s", *s.Last, s.UnitOfMeasure)
}
