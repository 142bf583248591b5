// Package backup makes, checks and restores backups of an edge and of the cloud.
//
// It must never open a store itself: it runs the program that owns it.
package backup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"estate/internal/backup"
)

// Command is `estate backup`.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Back up an edge or the cloud while it runs",
		Long: "Writes everything that an edge or the cloud keeps into one file, in one consistent state, while it runs, and reads " +
			"the file back before it gets its name. The file is secret: keys and accounts are in it.",
	}
	var edge, cloud place
	edgeCmd := &cobra.Command{
		Use: "edge FILE", Short: "Back up an edge, on its box", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return edge.run(cmd, edgeProgram, "backup", args[0]) },
	}
	edge.addData(edgeCmd)
	cloudCmd := &cobra.Command{
		Use: "cloud FILE", Short: "Back up the cloud's database and photos", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return cloud.run(cmd, cloudProgram, "backup", args[0]) },
	}
	cloud.addData(cloudCmd)
	check := &cobra.Command{
		Use: "check FILE", Short: "Read a backup from end to end and say what it holds", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bar := newBar(cmd.ErrOrStderr(), "checking")
			m, err := backup.Verify(cmd.Context(), args[0], bar.set)
			bar.clear()
			if err != nil {
				return err
			}
			describe(cmd.OutOrStdout(), args[0], "is whole", m)
			return nil
		},
	}
	cmd.AddCommand(edgeCmd, cloudCmd, check)
	return cmd
}

// RestoreCommand is `estate restore`.
func RestoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "restore", Short: "Restore an edge or the cloud from a backup",
		Long: "Verifies a backup and puts it in place. What was written since comes back from the other side: an edge gets it from " +
			"the cloud, the cloud from its edges and the technicians' apps, and both say that a store was set back. Revocations " +
			"made since the backup must be made again.",
	}
	var edge, cloud place
	edgeCmd := &cobra.Command{
		Use: "edge FILE", Short: "Restore an edge, which must not run", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return edge.run(cmd, edgeProgram, "restore", args[0]) },
	}
	edge.addData(edgeCmd)
	edgeCmd.Flags().BoolVar(&edge.replace, "replace", false, "set data that is in the folder aside; it is kept beside it")
	cloudCmd := &cobra.Command{
		Use: "cloud FILE", Short: "Restore the cloud into an empty database", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return cloud.run(cmd, cloudProgram, "restore", args[0]) },
	}
	cloud.addData(cloudCmd)
	cmd.AddCommand(edgeCmd, cloudCmd)
	return cmd
}

const (
	edgeProgram  = "estate-edge"
	cloudProgram = "estate-cloud"
)

// place is where a program keeps its data. What is left out it reads from its own
// configuration and environment; the database's address never stands in an argument, for
// other accounts of the machine can read those.
type place struct {
	data, config string
	replace      bool
}

func (p *place) addData(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.data, "data", "", "the program's data folder")
	cmd.Flags().StringVar(&p.config, "config", "", "the program's configuration file")
}

func (p *place) run(cmd *cobra.Command, program, verb, file string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find %s: %w", program, err)
	}
	path := filepath.Join(filepath.Dir(self), program)
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("find %s beside this program: %w", program, err)
	}
	args := []string{verb, file, "--progress"}
	if p.data != "" {
		args = append(args, "--data", p.data)
	}
	if p.config != "" {
		args = append(args, "--config", p.config)
	}
	if p.replace {
		args = append(args, "--replace")
	}
	said, err := owner{path: path, args: args, errs: cmd.ErrOrStderr()}.run(cmd.Context(), map[string]string{"backup": "backing up", "restore": "restoring"}[verb])
	if err != nil {
		return errors.Join(fmt.Errorf("%s %s did nothing", program, verb), err)
	}
	describe(cmd.OutOrStdout(), file, map[string]string{"backup": "is written and was read back", "restore": "is restored"}[verb], said.Manifest)
	if said.Kept != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "  what was there is kept in %s\n", said.Kept)
	}
	if verb == "restore" {
		fmt.Fprintln(cmd.OutOrStdout(), "  start the program; revocations made since the backup must be made again, and everybody signs in anew")
	}
	return nil
}

func describe(out io.Writer, file, what string, m backup.Manifest) {
	fmt.Fprintf(out, "%s %s\n", file, what)
	fmt.Fprintf(out, "  %s, made %s by version %s\n", m.Role, m.Made.Format("2006-01-02 15:04:05 MST"), m.Program)
	for _, b := range m.Buildings {
		fmt.Fprintf(out, "  building %s: %d records, %d events in %d chains, feed at %d\n", b.ID, b.Records, b.Events, b.Chains, b.Position)
	}
	for _, name := range m.Skipped {
		fmt.Fprintf(out, "  NOT whole before the backup already: %s\n", name)
	}
}
