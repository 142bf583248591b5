package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"estate/internal/desk"
)

// TestLiftHasOneTicket: a lift that was entered at the cloud is suggested at the box for the
// sensors that name it; whichever of them reports a thing first, there is one ticket about the
// lift, at the box and at the cloud.
func TestLiftHasOneTicket(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	manager, above := w.as(e.Base(), "manager"), w.as(cloud.Base(), "manager")
	estate := func(base, wants string, args ...string) {
		t.Helper()
		output, err := run(t, w.credentials(base, "manager"), args...)
		if err != nil || !strings.Contains(output, wants) {
			t.Fatalf("estate %s: %v, without %q:\n%s", strings.Join(args, " "), err, wants, output)
		}
	}
	estate(cloud.Base(), "Lift north is entered, a lift", "asset", "add", "Lift north", "--category", "lift", "--unit", "Lobby", "--serial", "L 7", "--building", "OAK")
	until(t, "the lift at the box", every, func() error {
		assets, err := manager.Assets(t.Context(), e.Place.ID)
		if err != nil || len(assets) != 1 || assets[0].Serial != "L 7" || assets[0].UnitName != "Lobby" {
			return fmt.Errorf("%+v, %w", assets, err)
		}
		return nil
	})
	for _, name := range []string{"lift-north-pit", "lift-north-room"} {
		login, err := e.AddDevice(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		say := func(payload string) {
			t.Helper()
			if err := publish(t, e, login, login.Topic, payload, false); err != nil {
				t.Fatal(err)
			}
		}
		say(`{"leak":false}`)
		if device := heard(t, manager, e, name); device.SuggestedAssetName != "Lift north" || device.SuggestedUnitName != "Lobby" {
			t.Errorf("suggested for %s: asset %q, unit %q", name, device.SuggestedAssetName, device.SuggestedUnitName)
		}
		estate(e.Base(), "Lift north?", "device", "list", "--waiting")
		if _, err := run(t, w.credentials(e.Base(), "manager"), "device", "adopt", name, "--asset", "Lift south"); err == nil {
			t.Error("a device is adopted for a lift that is not there")
		}
		estate(e.Base(), "in Lobby, for Lift north", "device", "adopt", name)
		say(`{"leak":true}`)
	}
	estate(e.Base(), "Lift north  lift      Lobby", "asset", "list")
	estate(e.Base(), "in no unit, for Lift north", "device", "adopt", "lift-north-pit", "--unit", "none")
	var ticket desk.Ticket
	until(t, "both alarms at the cloud, with one ticket", every, func() error {
		alarms, err := above.Alarms(t.Context(), e.Place.ID)
		if err != nil {
			return err
		}
		tickets, err := above.Tickets(t.Context(), e.Place.ID, url.Values{"open": {"true"}})
		if err != nil || len(alarms) != 2 || len(tickets) != 1 || alarms[0].Ticket != tickets[0].ID || alarms[1].Ticket != tickets[0].ID {
			return fmt.Errorf("%d alarms, %d tickets: %+v, %w", len(alarms), len(tickets), tickets, err)
		}
		ticket = tickets[0]
		return nil
	})
	if ticket.AssetName != "Lift north" || !strings.HasSuffix(ticket.Title, ": Lift north") || ticket.UnitName != "Lobby" {
		t.Errorf("the ticket %q is about %q in %q", ticket.Title, ticket.AssetName, ticket.UnitName)
	}
}
