package crash

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is what became of one kind of writes. What was acknowledged is shown, stands in a
// visible conflict, was overwritten by somebody who had seen it, was refused with its value
// in the audit, or is lost. Unknown are the writes whose answer never came.
type Row struct {
	Kind                                                        string
	Acknowledged, Shown, InConflict, Overwritten, Refused, Lost int
	Unknown, UnknownFound                                       int
}

// Report is what a run did and found.
type Report struct {
	Seed   uint64
	Cycles int
	// Kills counts SIGKILLs by what was killed.
	Kills map[string]int
	Rows  []Row
	Took  time.Duration
	// Healed is how long it took after the last start until nothing waited any more.
	Healed time.Duration
	// Findings is what is wrong; Notes is what happened besides.
	Findings []string
	Notes    []string
}

// Kinds is how many kinds of writes a run makes.
func Kinds() int { return len(kindsOfWrites()) }

// Acknowledged counts all acknowledged writes.
func (r Report) Acknowledged() (n int) {
	for _, row := range r.Rows {
		n += row.Acknowledged
	}
	return n
}

// Print writes the tables for a person.
func (r Report) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "seed %d, %d cycles in %s; in step %s after the last\n\n", r.Seed, r.Cycles, r.Took.Round(time.Second), r.Healed.Round(100*time.Millisecond))
	fmt.Fprintln(w, "KILLED WITH SIGKILL\tTIMES")
	for _, name := range slices.Sorted(maps.Keys(r.Kills)) {
		fmt.Fprintf(w, "%s\t%d\n", name, r.Kills[name])
	}
	fmt.Fprintln(w, "\nWRITES\tACKNOWLEDGED\tSHOWN\tIN CONFLICT\tOVERWRITTEN\tREFUSED\tLOST\tNO ANSWER\tOF THESE THERE")
	for _, row := range r.Rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", row.Kind, row.Acknowledged, row.Shown, row.InConflict, row.Overwritten, row.Refused, row.Lost, row.Unknown, row.UnknownFound)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.Notes) > 0 {
		fmt.Fprintf(out, "\nWhat happened besides:\n  %s\n", strings.Join(r.Notes, "\n  "))
	}
	if len(r.Findings) == 0 {
		_, err := fmt.Fprintf(out, "\nAll %d acknowledged writes were found.\n", r.Acknowledged())
		return err
	}
	_, err := fmt.Fprintf(out, "\nWRONG:\n  %s\n", strings.Join(r.Findings, "\n  "))
	return err
}
