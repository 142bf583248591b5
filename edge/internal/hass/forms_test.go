package hass_test

import (
	"testing"

	"estate/edge/internal/hass"
)

// A component's own base topic is its own: those beside it keep the device's.
func TestBaseOfOneComponent(t *testing.T) {
	t.Parallel()
	a, err := hass.Parse(hass.Address{Component: "device", ObjectID: "d"}, []byte(`{"~":"home/d","dev":{"ids":"d"},"o":{"name":"x"},"avty":[{"t":"~/up"}],"cmps":{
		"a":{"p":"sensor","~":"home/a","stat_t":"~/s","uniq_id":"a"},
		"b":{"p":"sensor","stat_t":"~/s","uniq_id":"b"},
		"c":{"p":"sensor","stat_t":"x/~","uniq_id":"c"}}}`))
	if err != nil || len(a.Entities) != 3 {
		t.Fatalf("%+v, %v", a, err)
	}
	for i, want := range []string{"home/a/s", "home/d/s", "x/home/d"} {
		if got := a.Entities[i].Points[0].Topic; got != want {
			t.Errorf("component %s: %s, want %s", a.Entities[i].ID, got, want)
		}
	}
	if got := a.Entities[1].Availability.Sources[0].Topic; got != "home/d/up" {
		t.Errorf("availability: %s", got)
	}
}
