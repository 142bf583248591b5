// Package rule lists a building's rules, tries one on the past, and changes them.
//
// It must never do what the person who signed in may not do by hand, and never save what was only
// to be tried.
package rule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/cmd/estate/internal/term"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// fileBytesMax bounds a rule's text; the server has a tighter bound.
const fileBytesMax = 64 << 10

// Command is `estate rule`.
func Command() *cobra.Command {
	cmd := &cobra.Command{Use: "rule", Short: "List a building's rules, try one on what its devices measured, and change them"}
	cmd.AddCommand(list(), show(), try(), save(), reset())
	return cmd
}

func list() *cobra.Command {
	var t signin.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the rules: as shipped, changed, or made here", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Rules(cmd.Context(), building)
			if err != nil {
				return fmt.Errorf("list rules: %w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			}
			out := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(out, "ID\tNAME\tSEVERITY\tTICKET\tSTATE\tWHEN")
			for _, r := range all {
				when, err := json.Marshal(r.When)
				if err != nil {
					return fmt.Errorf("write the condition of %s: %w", r.ID, err)
				}
				ticket := map[bool]string{true: "yes", false: "no"}[r.Ticket]
				fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", term.Clean(r.ID), term.Clean(r.Name), r.Severity, ticket, state(r), term.Clean(string(when)))
			}
			return out.Flush()
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// state is what became of a rule here.
func state(r desk.Rule) string {
	switch {
	case len(r.Problems) > 0:
		return "not used: " + term.Clean(r.Problems[0])
	case r.Disabled:
		return "off"
	case r.Shipped && !r.Changed:
		return "shipped"
	case r.Shipped:
		return "changed"
	}
	return "own"
}

func show() *cobra.Command {
	var t signin.Target
	return withTarget(&t, &cobra.Command{
		Use: "show ID", Short: "Print a rule as rule try and rule save take it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			text, err := definition(cmd.Context(), client, building, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
			return err
		},
	})
}

func withTarget(t *signin.Target, cmd *cobra.Command) *cobra.Command {
	t.Add(cmd)
	return cmd
}

// definition is the text of a rule that the building has.
func definition(ctx context.Context, client *apiclient.Client, building record.ID, id string) (json.RawMessage, error) {
	all, err := client.Rules(ctx, building)
	if err != nil {
		return nil, fmt.Errorf("list rules: %w", err)
	}
	n := slices.IndexFunc(all, func(r desk.Rule) bool { return r.ID == id })
	if n < 0 {
		return nil, fmt.Errorf("no rule is called %q: see estate rule list", id)
	}
	return json.MarshalIndent(all[n].Rule, "", "  ")
}

// read gives the text of a rule: of a file, of what comes in where it is "-".
func read(in io.Reader, path string) (json.RawMessage, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read the rule: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, fileBytesMax+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the rule: %w", err)
	case len(text) > fileBytesMax:
		return nil, fmt.Errorf("read the rule: %s is longer than %d bytes", path, fileBytesMax)
	case !json.Valid(text):
		return nil, fmt.Errorf("read the rule: %s is no JSON", path)
	}
	return text, nil
}

func save() *cobra.Command {
	var t signin.Target
	return withTarget(&t, &cobra.Command{
		Use: "save ID FILE", Short: "Make a rule or change one; - reads it from what comes in", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			text, err := read(cmd.InOrStdin(), args[1])
			if err != nil {
				return err
			}
			got, err := client.SaveRule(cmd.Context(), building, args[0], text)
			if err != nil {
				return fmt.Errorf("save rule %s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is saved as version %d (%s)\n", term.Clean(got.ID), got.Version, state(got))
			return err
		},
	})
}

func reset() *cobra.Command {
	var t signin.Target
	return withTarget(&t, &cobra.Command{
		Use: "reset ID", Short: "Set a shipped rule back, or remove one that was made here", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			if err := client.ResetRule(cmd.Context(), building, args[0]); err != nil {
				return fmt.Errorf("reset rule %s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was shipped, or gone\n", term.Clean(args[0]))
			return err
		},
	})
}

// errDays says that a trial's time makes no sense.
var errDays = errors.New("--days: wanted 1 to 365")

func try() *cobra.Command {
	var t signin.Target
	var days int
	var asJSON bool
	cmd := &cobra.Command{
		Use: "try ID|FILE", Short: "Show what a rule would have done with what the devices measured; nothing is saved", Args: cobra.ExactArgs(1),
		Long: "Tries a rule of the building, or one in a file (- for what comes in), on what its devices measured.\n" +
			"The box has single readings for as long as there is room; the cloud has quarters of an hour, and says so.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 || days > 365 {
				return errDays
			}
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			var text json.RawMessage
			if _, missing := os.Stat(args[0]); args[0] == "-" || missing == nil {
				text, err = read(cmd.InOrStdin(), args[0])
			} else {
				text, err = definition(cmd.Context(), client, building, args[0])
			}
			if err != nil {
				return err
			}
			// Until now by the server's clock: what it has just measured counts.
			got, err := client.TryRule(cmd.Context(), building, text, time.Now().AddDate(0, 0, -days), time.Time{})
			if err != nil {
				return fmt.Errorf("try the rule: %w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(got)
			}
			return report(cmd.OutOrStdout(), got)
		},
	}
	t.Add(cmd)
	cmd.Flags().IntVar(&days, "days", 30, "how many days back")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// report says what would have been.
func report(w io.Writer, got desk.Trial) error {
	if got.Devices == 0 {
		_, err := fmt.Fprintln(w, "No device that is in service has measured what the rule looks at.")
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(got.Effects) > 0 {
		fmt.Fprintln(out, "AT\tALARM\tDEVICE\tWHY")
	}
	for _, e := range got.Effects {
		name := e.DeviceName
		if name == "" {
			name = e.Device
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), map[string]string{"raise": "begins", "clear": "ends"}[e.What], term.Clean(name), term.Clean(e.Detail))
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%d alarms and %d tickets from %s to %s, of %d devices and %d readings.\n", got.Alarms, got.Tickets,
		got.From.Local().Format(time.DateTime), got.To.Local().Format(time.DateTime), got.Devices, got.Readings); err != nil {
		return err
	}
	if got.Spans > 0 {
		_, err := fmt.Fprintf(w, "Of a part only sums over %s are there: what was shorter may be missing.\n", time.Duration(got.Spans)*time.Second)
		return err
	}
	return nil
}
