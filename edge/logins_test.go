package edge_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"estate/edge"
)

// TestLoginRefused: who makes a login on the box reads which part of it is wrong, and what to do.
func TestLoginRefused(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.login(edge.LoginInput{Name: "zigbee", Role: "zigbee2mqtt"})
	b.login(edge.LoginInput{Name: "boiler", Role: "tasmota", Base: "boiler"})
	for name, try := range map[string]struct {
		in   edge.LoginInput
		want string
	}{
		"Name":          {edge.LoginInput{Name: "a b"}, "letters, digits"},
		"Role":          {edge.LoginInput{Name: "x", Role: "nonsense"}, "--role one of device, zigbee2mqtt"},
		"NoBase":        {edge.LoginInput{Name: "x", Role: "esphome"}, "base topic"},
		"OthersBase":    {edge.LoginInput{Name: "x", Role: "tasmota", Base: "tele"}, "none of estate, homeassistant"},
		"BaseTwice":     {edge.LoginInput{Name: "x", Role: "zigbee2mqtt"}, "estate-edge device remove zigbee"},
		"BaseOfAnother": {edge.LoginInput{Name: "x", Role: "esphome", Base: "zigbee2mqtt"}, "estate-edge device remove zigbee"},
		"TasmotaTwice":  {edge.LoginInput{Name: "x", Role: "tasmota", Base: "boiler"}, "estate-edge device remove boiler"},
		"MAC":           {edge.LoginInput{Name: "x", Role: "tasmota", Base: "x", MAC: "12"}, "--mac a Tasmota's hardware address"},
		"NoPerson":      {edge.LoginInput{Name: "x", Role: "technician"}, "--person the email"},
		"Nobody":        {edge.LoginInput{Name: "x", Role: "technician", Person: "nobody@example.org"}, "let a manager give the person a role"},
	} {
		if _, err := edge.AddLoginAt(t.Context(), b.cfg, time.Now, try.in); err == nil || !strings.Contains(err.Error(), try.want) || !strings.Contains(err.Error(), "Correct") {
			t.Errorf("%s: %v, wanted %q", name, err, try.want)
		}
	}
	if _, err := edge.RemoveLoginAt(t.Context(), b.cfg, time.Now, edge.LoginName{Name: "nobody"}); err == nil || !strings.Contains(err.Error(), "estate-edge device logins") {
		t.Errorf("removed nobody: %v", err)
	}
	b.login(edge.LoginInput{Name: "boiler", Role: "tasmota", Base: "boiler"}) // a new password for the same
	b.login(edge.LoginInput{Name: "other", Role: "esphome", Base: "boiler"})  // its topics are not a Tasmota's
	got := must(edge.ListLoginsAt(t.Context(), b.cfg, time.Now))(t)
	var names []string
	for _, l := range got {
		names = append(names, l.Username+" "+l.Role+" "+l.Base)
	}
	if want := []string{"boiler tasmota boiler", "other esphome boiler", "zigbee zigbee2mqtt zigbee2mqtt"}; !slices.Equal(names, want) {
		t.Errorf("listed %v", names)
	}
}
