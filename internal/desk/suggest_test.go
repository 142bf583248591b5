package desk

import (
	"testing"

	"estate/sync/record"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	var units []place
	for _, name := range []string{"4B", "4", "Lobby", "Boiler room", "Room", "Flat 12", "12"} {
		units = append(units, place{record.DerivedID(name), name, wordsOf(name)})
	}
	for device, want := range map[string]string{
		"leak_4B_kitchen": "4B", "leak-4b": "4B", "4 radiator": "4", "BoilerRoom/temperature": "Boiler room", "room sensor": "Room", "lobby.door": "Lobby",
		"Flat 12 window": "Flat 12", "unit12": "", "0x00158d0001": "", "4B Lobby": "", "14B": "", "": "", "Küche 4B": "4B",
	} {
		got, ok := suggest(units, device)
		if ok != (want != "") || ok && got.name != want {
			t.Errorf("%q: %q, %v; want %q", device, got.name, ok, want)
		}
	}
}
