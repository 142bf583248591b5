// Package enrol makes one-time codes that let new edges in.
//
// It must never write a code to anything but its own output.
package enrol

import (
	"fmt"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
)

// Command is `estate enrol`.
func Command() *cobra.Command {
	var server signin.Flags
	var building string
	cmd := &cobra.Command{
		Use: "enrol", Short: "Get a one-time code for a new edge", Args: cobra.NoArgs,
		Long: "Gets a one-time code from the cloud. On the new box, run: estate-edge enrol --data DIR --cloud URL --code CODE",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := server.SignIn(cmd.Context())
			if err != nil {
				return err
			}
			place, err := signin.Building(cmd.Context(), client, building)
			if err != nil {
				return err
			}
			code, err := client.CreateEnrolCode(cmd.Context(), place.ID)
			if err != nil {
				return fmt.Errorf("get a code for %s: %w", place.Name, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", code.Code)
			fmt.Fprintf(cmd.ErrOrStderr(), "for an edge of %s (%s), once, until %s\n", place.Name, place.Code, code.ExpiresAt.Local().Format("2006-01-02 15:04"))
			return nil
		},
	}
	server.Add(cmd)
	cmd.Flags().StringVar(&building, "building", "", "the building's code, name or id")
	_ = cmd.MarkFlagRequired("building") // the flag is two lines above
	return cmd
}
