// Package device lists a building's devices, adopts them, looks whether one is heard, and tells
// one what to do.
//
// It must never do what the person who signed in may not do by hand.
package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/cmd/estate/internal/term"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// Command is `estate device`.
func Command() *cobra.Command {
	cmd := &cobra.Command{Use: "device", Short: "List, adopt, test and order a building's devices, and see what of theirs was refused"}
	cmd.AddCommand(list(), adopt(), test(), order(), refused())
	return cmd
}

// find gives the device that a person means: by hardware id, id or name, or by the end of the
// hardware id, which is the name of a login or an address.
func find(ctx context.Context, client *apiclient.Client, building record.ID, name string) (desk.Device, error) {
	all, err := client.Devices(ctx, building)
	if err != nil {
		return desk.Device{}, fmt.Errorf("list devices: %w", err)
	}
	var named, ending []desk.Device
	for _, d := range all {
		if strings.EqualFold(d.Hardware, name) || d.ID.String() == name {
			return d, nil
		}
		if strings.EqualFold(d.Name, name) {
			named = append(named, d)
		}
		if strings.EqualFold(d.Hardware[strings.LastIndexAny(d.Hardware, "/:")+1:], name) {
			ending = append(ending, d)
		}
	}
	if len(named) == 0 {
		named = ending
	}
	switch len(named) {
	case 0:
		return desk.Device{}, fmt.Errorf("no device is called %q: see estate device list", name)
	case 1:
		return named[0], nil
	}
	return desk.Device{}, fmt.Errorf("%d devices are called %q: give the hardware id", len(named), name)
}

func list() *cobra.Command {
	var t signin.Target
	var waiting, asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List devices, those that wait to be adopted first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			all, err := client.Devices(cmd.Context(), building)
			if err != nil {
				return fmt.Errorf("list devices: %w", err)
			}
			var shown []desk.Device
			for _, adopted := range []bool{false, true} {
				for _, d := range all {
					if d.Adopted == adopted && (!waiting || !adopted) {
						shown = append(shown, d)
					}
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(shown)
			}
			if err := blind(cmd.Context(), client, building, cmd.ErrOrStderr()); err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), shown, time.Now())
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only those that nobody adopted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func table(w io.Writer, devices []desk.Device, now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "STATE\tHARDWARE\tNAME\tMODEL\tUNIT\tASSET\tBATTERY\tIS\tHEARD")
	for _, d := range devices {
		state, unit, asset, battery := "adopted", d.UnitName, d.AssetName, ""
		if !d.Adopted {
			state = "waits"
			if d.SuggestedUnitName != "" {
				unit = d.SuggestedUnitName + "?"
			}
			if d.SuggestedAssetName != "" {
				asset = d.SuggestedAssetName + "?"
			}
		}
		if d.Battery != nil {
			battery = fmt.Sprintf("%.0f %%", *d.Battery)
		}
		heard := "" // what nobody adopted is not kept
		if d.HeardAt != nil {
			heard = now.Sub(*d.HeardAt).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", state, term.Clean(d.Hardware), term.Clean(d.Name), term.Clean(d.Model), term.Clean(unit), term.Clean(asset), battery, d.Availability, heard)
	}
	return out.Flush()
}

func adopt() *cobra.Command {
	var t signin.Target
	var name, unit, asset string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "adopt DEVICE", Short: "Adopt a device: from then on its alarms count", Args: cobra.ExactArgs(1),
		Long: "Adopts a device, by its hardware id or name. Without --unit it goes where its name suggests, without --asset it watches the equipment that\n" +
			"its name suggests; with none it belongs to no unit, or watches none. One that is adopted keeps what is not said. Alarms of all devices of an asset make one ticket a cause.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, building, err := t.Open(ctx)
			if err != nil {
				return err
			}
			d, err := find(ctx, client, building, args[0])
			if err != nil {
				return err
			}
			place, err := meant(unit, d.SuggestedUnit, func() (record.ID, error) { return signin.Unit(ctx, client, building, unit) })
			if err != nil {
				return err
			}
			equipment, err := meant(asset, d.SuggestedAsset, func() (record.ID, error) { return assetCalled(ctx, client, building, asset) })
			if err != nil {
				return err
			}
			got, err := client.AdoptDevice(ctx, building, d.ID, desk.Adoption{Name: name, Unit: place, Asset: equipment})
			if err != nil {
				return fmt.Errorf("adopt %s: %w", d.Hardware, err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(got)
			}
			where := "no unit"
			if got.UnitName != "" {
				where = got.UnitName
			}
			if got.AssetName != "" {
				where += ", for " + got.AssetName
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is adopted as %q in %s\n", term.Clean(got.Hardware), term.Clean(got.Name), term.Clean(where))
			return nil
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	cmd.Flags().StringVar(&unit, "unit", "", "the unit's name or id, or none")
	cmd.Flags().StringVar(&asset, "asset", "", "name or id of the equipment that it watches, or none: see estate asset list")
	return cmd
}

// meant is the unit or the asset that a person means: the one that the device's name suggests
// where they say nothing, none where they say so. Nil leaves it as it is.
func meant(said string, suggested record.ID, find func() (record.ID, error)) (*record.ID, error) {
	switch said {
	case "":
		if suggested.IsZero() {
			return nil, nil
		}
		return &suggested, nil
	case "none":
		return &record.ID{}, nil
	}
	id, err := find()
	return &id, err
}

// assetCalled finds an asset by its name or id.
func assetCalled(ctx context.Context, client *apiclient.Client, building record.ID, name string) (record.ID, error) {
	assets, err := client.Assets(ctx, building)
	if err != nil {
		return record.ID{}, fmt.Errorf("list assets: %w", err)
	}
	all := make([]signin.Named, 0, len(assets))
	for _, a := range assets {
		all = append(all, signin.Named{ID: a.ID, Name: a.Name})
	}
	id, err := signin.Find("asset", name, all)
	if err != nil {
		return id, fmt.Errorf("%w: enter it with estate asset add", err)
	}
	return id, nil
}

// errSilent says that nothing was heard of a device.
var errSilent = errors.New("nothing was heard of the device: is it on, does it reach the broker, and is its login right?")
