// Package asset lists and enters a building's equipment: lifts, boilers, pumps.
//
// It must never do what the person who signed in may not do by hand.
package asset

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/cmd/estate/internal/term"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/schema"
	"estate/sync/record"
)

// Command is `estate asset`.
func Command() *cobra.Command {
	cmd := &cobra.Command{Use: "asset", Short: "List and enter a building's equipment: lifts, boilers, pumps"}
	cmd.AddCommand(list(), add())
	return cmd
}

func list() *cobra.Command {
	var t signin.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List equipment, with the devices that watch it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			client, building, err := t.Open(ctx)
			if err != nil {
				return err
			}
			assets, err := client.Assets(ctx, building)
			if err != nil {
				return fmt.Errorf("list assets: %w", err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(assets)
			}
			devices, err := client.Devices(ctx, building)
			if err != nil {
				return fmt.Errorf("list devices: %w", err)
			}
			return table(cmd.OutOrStdout(), assets, devices)
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func table(w io.Writer, assets []desk.Asset, devices []desk.Device) error {
	watched := map[record.ID]int{}
	for _, d := range devices {
		watched[d.Asset]++
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "NAME\tCATEGORY\tUNIT\tMANUFACTURER\tMODEL\tSERIAL\tDEVICES\tID")
	for _, a := range assets {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", term.Clean(a.Name), a.Category, term.Clean(a.UnitName), term.Clean(a.Manufacturer),
			term.Clean(a.Model), term.Clean(a.Serial), watched[a.ID], a.ID)
	}
	return out.Flush()
}

func add() *cobra.Command {
	var t signin.Target
	var in apiclient.NewAsset
	var unit string
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Enter a lift, a boiler, a pump", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, building, err := t.Open(ctx)
			if err != nil {
				return err
			}
			in.Name = args[0]
			if unit != "" {
				if in.Unit, err = signin.Unit(ctx, client, building, unit); err != nil {
					return err
				}
			}
			got, err := client.CreateAsset(ctx, building, in)
			if err != nil {
				return fmt.Errorf("enter %s: %w", in.Name, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is entered, a %s: put devices to it with estate device adopt --asset\n", term.Clean(got.Name), strings.ReplaceAll(got.Category, "_", " "))
			return nil
		},
	}
	t.Add(cmd)
	cmd.Flags().StringVar(&in.Category, "category", "", "what it is: "+strings.Join(schema.AssetCategories(), ", "))
	cmd.Flags().StringVar(&unit, "unit", "", "name or id of the unit where it stands; leave it out for what is the whole building's")
	cmd.Flags().StringVar(&in.Manufacturer, "manufacturer", "", "who made it")
	cmd.Flags().StringVar(&in.Model, "model", "", "the manufacturer's name for it")
	cmd.Flags().StringVar(&in.Serial, "serial", "", "its serial number")
	return cmd
}
