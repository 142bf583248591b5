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

// target is which building a command is about.
type target struct {
	server   signin.Flags
	building string
}

func (t *target) add(cmd *cobra.Command) {
	t.server.Add(cmd)
	cmd.Flags().StringVar(&t.building, "building", "", "the building's code, name or id; needed where there are several")
}

// open signs in and finds the building.
func (t *target) open(ctx context.Context) (*apiclient.Client, record.ID, error) {
	client, err := t.server.SignIn(ctx)
	if err != nil {
		return nil, record.ID{}, err
	}
	if t.building == "" {
		all, err := client.Buildings(ctx)
		if err != nil {
			return nil, record.ID{}, fmt.Errorf("list the buildings: %w", err)
		}
		if len(all) != 1 {
			return nil, record.ID{}, fmt.Errorf("there are %d buildings: say which with --building", len(all))
		}
		return client, all[0].ID, nil
	}
	b, err := signin.Building(ctx, client, t.building)
	return client, b.ID, err
}

// find gives the device that a person means: by hardware id, id or name.
func find(ctx context.Context, client *apiclient.Client, building record.ID, name string) (desk.Device, error) {
	all, err := client.Devices(ctx, building)
	if err != nil {
		return desk.Device{}, fmt.Errorf("list devices: %w", err)
	}
	var named []desk.Device
	for _, d := range all {
		if strings.EqualFold(d.Hardware, name) || d.ID.String() == name {
			return d, nil
		}
		if strings.EqualFold(d.Name, name) {
			named = append(named, d)
		}
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
	var t target
	var waiting, asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List devices, those that wait to be adopted first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, building, err := t.open(cmd.Context())
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
	t.add(cmd)
	cmd.Flags().BoolVar(&waiting, "waiting", false, "only those that nobody adopted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func table(w io.Writer, devices []desk.Device, now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "STATE\tHARDWARE\tNAME\tMODEL\tUNIT\tBATTERY\tIS\tHEARD")
	for _, d := range devices {
		state, unit, battery := "adopted", d.UnitName, ""
		if !d.Adopted {
			state = "waits"
			if d.SuggestedUnitName != "" {
				unit = d.SuggestedUnitName + "?"
			}
		}
		if d.Battery != nil {
			battery = fmt.Sprintf("%.0f %%", *d.Battery)
		}
		heard := "" // what nobody adopted is not kept
		if d.HeardAt != nil {
			heard = now.Sub(*d.HeardAt).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", state, clean(d.Hardware), clean(d.Name), clean(d.Model), clean(unit), battery, d.Availability, heard)
	}
	return out.Flush()
}

// clean keeps what a device calls itself from steering the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

func adopt() *cobra.Command {
	var t target
	var name, unit string
	cmd := &cobra.Command{
		Use: "adopt DEVICE", Short: "Adopt a device: from then on its alarms count", Args: cobra.ExactArgs(1),
		Long: "Adopts a device, by its hardware id or name. Without --unit it goes where its name suggests; with --unit none it belongs to no unit.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, building, err := t.open(ctx)
			if err != nil {
				return err
			}
			d, err := find(ctx, client, building, args[0])
			if err != nil {
				return err
			}
			place, err := unitOf(ctx, client, building, d, unit)
			if err != nil {
				return err
			}
			got, err := client.AdoptDevice(ctx, building, d.ID, name, place)
			if err != nil {
				return fmt.Errorf("adopt %s: %w", d.Hardware, err)
			}
			where := "no unit"
			if got.UnitName != "" {
				where = got.UnitName
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is adopted as %q in %s\n", clean(got.Hardware), clean(got.Name), clean(where))
			return nil
		},
	}
	t.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what people call it")
	cmd.Flags().StringVar(&unit, "unit", "", "the unit's name or id, or none")
	return cmd
}

// unitOf finds the unit that is meant.
func unitOf(ctx context.Context, client *apiclient.Client, building record.ID, d desk.Device, name string) (record.ID, error) {
	switch name {
	case "":
		return d.SuggestedUnit, nil
	case "none":
		return record.ID{}, nil
	}
	units, err := client.Units(ctx, building)
	if err != nil {
		return record.ID{}, fmt.Errorf("list units: %w", err)
	}
	for _, u := range units {
		if strings.EqualFold(u.Name, name) || u.ID.String() == name {
			return u.ID, nil
		}
	}
	return record.ID{}, fmt.Errorf("no unit is called %q", name)
}

// errSilent says that nothing was heard of a device.
var errSilent = errors.New("nothing was heard of the device: is it on, does it reach the broker, and is its login right?")
