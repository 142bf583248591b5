package desk

import (
	"testing"

	"estate/sync/record"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	var units []place
	for _, name := range []string{"4B", "4", "Lobby", "Boiler room", "Room", "Flat 12", "12"} {
		units = append(units, place{id: record.DerivedID(name), name: name, words: wordsOf(name)})
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

// TestSuggestAsset: an asset by its name, else the only one of the category that the name says,
// and the unit where it stands.
func TestSuggestAsset(t *testing.T) {
	t.Parallel()
	made := func(name, category string) place {
		return place{id: record.DerivedID(name), name: name, words: wordsOf(name), kind: wordsOf(category)}
	}
	units := []place{made("Cellar", ""), made("4B", "")}
	north := made("Lift north", "lift")
	north.unit = units[0].id
	assets := []place{north, made("Lift south", "lift"), made("Main boiler", "boiler"), made("Heat source", "heat_pump"), made("Sump pump", "pump")}
	for device, want := range map[string][2]string{
		"lift_north_vibration": {"Lift north", "Cellar"}, "4B lift-south": {"Lift south", "4B"}, "lift_vibration": {"", ""}, "boilerFlow": {"Main boiler", ""},
		"heat pump inlet": {"Heat source", ""}, "pump_4b": {"Sump pump", "4B"}, "sump pump": {"Sump pump", ""}, "4B lift north": {"Lift north", "4B"}, "pumpkin": {"", ""},
	} {
		d := Device{Name: device}
		d.suggest(units, assets)
		if got := [2]string{d.SuggestedAssetName, d.SuggestedUnitName}; got != want {
			t.Errorf("%q: %q, want %q", device, got, want)
		}
	}
	d := Device{Name: "lift north", Asset: assets[1].id, Unit: units[1].id}
	if d.suggest(units, assets); !d.SuggestedAsset.IsZero() || !d.SuggestedUnit.IsZero() {
		t.Errorf("what a person said is suggested otherwise: %+v", d)
	}
}
