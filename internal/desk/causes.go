package desk

import "cmp"

// traits say what an alarm's cause means for its ticket.
type traits struct {
	title    string
	category string
	priority string
}

// traitsOf knows every cause of the table of kinds.
func traitsOf(cause string) traits {
	switch cause {
	case "leak":
		return traits{"Water leak", "plumbing", "urgent"}
	case "smoke":
		return traits{"Smoke", "security", "urgent"}
	case "gas":
		return traits{"Gas", "security", "urgent"}
	case "carbon_monoxide":
		return traits{"Carbon monoxide", "security", "urgent"}
	case "temperature":
		return traits{"Temperature out of range", "heating", "high"}
	case "contact":
		return traits{"Door or window open", "security", "normal"}
	case "vibration":
		return traits{"Vibration", "lift", "high"}
	}
	return traits{"Alarm", "other", "high"}
}

// tradeOf is the category of tickets about an asset, empty where the asset does not tell it.
func tradeOf(asset string) string {
	switch asset {
	case "lift":
		return "lift"
	case "boiler", "heat_pump", "ventilation", "air_conditioning":
		return "heating"
	case "pump", "water_heater", "tank":
		return "plumbing"
	case "electrical_panel", "generator", "solar", "charger":
		return "electrical"
	case "fire_protection", "access", "door":
		return "security"
	case "appliance":
		return "appliance"
	}
	return ""
}

// traits are those of an alarm: what its rule says, else what its cause usually means. A rule
// that leaves the category open is about whatever the asset is.
func (in AlarmInput) traits(asset string) traits {
	t, category := traitsOf(in.Cause), in.Category
	if category == "other" {
		category = ""
	}
	return traits{cmp.Or(in.Title, t.title), cmp.Or(category, tradeOf(asset), t.category), cmp.Or(in.Priority, t.priority)}
}
