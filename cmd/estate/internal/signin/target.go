package signin

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"estate/internal/apiclient"
	"estate/sync/record"
)

// Target is which building of which server a command is about.
type Target struct {
	server   Flags
	building string
}

// Add adds the flags to a command.
func (t *Target) Add(cmd *cobra.Command) {
	t.server.Add(cmd)
	cmd.Flags().StringVar(&t.building, "building", "", "the building's code, name or id; needed where there are several")
}

// Open signs in and finds the building.
func (t *Target) Open(ctx context.Context) (*apiclient.Client, record.ID, error) {
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
	b, err := Building(ctx, client, t.building)
	return client, b.ID, err
}

// Unit finds a unit of a building by its name or id.
func Unit(ctx context.Context, client *apiclient.Client, building record.ID, name string) (record.ID, error) {
	units, err := client.Units(ctx, building)
	if err != nil {
		return record.ID{}, fmt.Errorf("list units: %w", err)
	}
	all := make([]Named, 0, len(units))
	for _, u := range units {
		all = append(all, Named{u.ID, u.Name})
	}
	return Find("unit", name, all)
}

// Named is what people call something of a building.
type Named struct {
	ID   record.ID
	Name string
}

// Find gives the one that a person means by its name or id. The error names what there is.
func Find(what, name string, all []Named) (record.ID, error) {
	var found []record.ID
	known := make([]string, 0, len(all))
	for _, one := range all {
		if one.ID.String() == name {
			return one.ID, nil
		}
		if strings.EqualFold(one.Name, name) {
			found = append(found, one.ID)
		}
		known = append(known, one.Name)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return record.ID{}, fmt.Errorf("%d %ss are called %q: give the id", len(found), what, name)
	case len(known) == 0:
		return record.ID{}, fmt.Errorf("there is no %s yet", what)
	}
	return record.ID{}, fmt.Errorf("no %s is called %q; there are: %s", what, name, strings.Join(known, ", "))
}
