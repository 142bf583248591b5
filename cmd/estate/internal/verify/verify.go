// Package verify checks an audit export offline.
//
// It must never need a server, nor trust anything but the file and the other nodes' heads
// that it is given.
package verify

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"estate/internal/audit"
	"estate/sync/record"
)

// Command is `estate verify`.
func Command() *cobra.Command {
	var heads []string
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Check an audit export offline", Args: cobra.ExactArgs(1),
		Long: "Checks every link, card, head and receipt of an audit export and prints the first bad one. With --heads, " +
			"another node's export, it also finds a tail that was cut off. FILE is what GET /buildings/…/audit/export gave.",
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.OutOrStdout(), args[0], heads) },
	}
	cmd.Flags().StringSliceVar(&heads, "heads", nil, "export of another node, whose heads must hold here too")
	return cmd
}

func run(out io.Writer, path string, heads []string) error {
	var claims []audit.Claim
	for _, from := range heads {
		more, err := readClaims(from)
		if err != nil {
			return fmt.Errorf("read the heads of %s: %w", from, err)
		}
		claims = append(claims, more...)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the export: %w", err)
	}
	defer func() { _ = file.Close() }()
	report, err := audit.Verify(file, claims)
	var broken *audit.Broken
	if errors.As(err, &broken) {
		return fmt.Errorf("%s does not verify; the first bad link: %w", path, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s verifies\n", path)
	fmt.Fprintf(out, "  building %s, exported by node %s at %s\n", report.Building, report.Node, report.ExportedAt.Format("2006-01-02 15:04:05 MST"))
	fmt.Fprintf(out, "  %d events in %d chains, %d signed heads, %d receipts\n", report.Events, report.Chains, report.Heads, report.Receipts)
	if len(heads) > 0 {
		fmt.Fprintf(out, "  %d claims of other nodes hold\n", report.Claims)
	} else {
		fmt.Fprintln(out, "  a tail that the exporting node itself cut off shows only with --heads of another node")
	}
	if report.Withheld > 0 {
		fmt.Fprintf(out, "  %d events without their values, which were withheld; their hashes stand\n", report.Withheld)
	}
	erasures(out, report)
	forks(out, report)
	if report.Unsigned > 0 {
		fmt.Fprintf(out, "  %d events behind the last signature of their writer\n", report.Unsigned)
	}
	return nil
}

// erasures prints whose values were erased, by whom and when.
func erasures(out io.Writer, report audit.Report) {
	if len(report.Erasures) == 0 {
		return
	}
	fmt.Fprintf(out, "  %d events whose values were erased; their hashes stand\n", report.Erased)
	for _, e := range report.Erasures {
		who := "person " + e.By.Person.String()
		if e.By.Class != record.Person {
			who = e.By.Name
		}
		fmt.Fprintf(out, "    by %s at %s: %d transactions (%s, event %d of replica %s)\n", who, e.At.Format("2006-01-02 15:04:05 MST"), e.Events, e.Action, e.Event.N, e.Event.Replica)
	}
	if report.Unerased > 0 {
		fmt.Fprintf(out, "    %d of them have their values in this file yet: destroy it once it is not needed\n", report.Unerased)
	}
}

// forks prints each chain that has branches, and each branch.
func forks(out io.Writer, report audit.Report) {
	if len(report.Forks) == 0 {
		return
	}
	fmt.Fprintf(out, "  %d chains were forked, for a key or a disk was copied: find the copy, and enrol both again; %d events lie beside them\n", len(report.Forks), report.Beside)
	for _, f := range report.Forks {
		from := fmt.Sprintf("from event %d on", f.First)
		if f.First == 0 {
			from = "undecided yet"
		}
		fmt.Fprintf(out, "    replica %s of node %s, %s\n", f.Replica, f.Node, from)
		for _, b := range f.Branches {
			links, signed := "they link, and the first to the chain", "no head of their writer's here proves them"
			if !b.Linked {
				links = "they link, but what leads to them from the chain is missing"
			}
			if b.Signed > 0 {
				signed = fmt.Sprintf("signed by their writer up to %d", b.Signed)
			}
			fmt.Fprintf(out, "      branch of %d events, %d to %d: %s; %s; the last is %x\n", b.Events(), b.From, b.To, links, signed, b.Hash[:8])
		}
		if f.Elsewhere > 0 {
			fmt.Fprintf(out, "      the writer's word reaches event %d of a branch that the exporting node does not hold\n", f.Elsewhere)
		}
	}
}

func readClaims(path string) ([]audit.Claim, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return audit.ReadClaims(file)
}
