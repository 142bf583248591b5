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
	}
	return traits{"Alarm", "other", "high"}
}

// traits are those of an alarm: what its rule says, else what its cause usually means.
func (in AlarmInput) traits() traits {
	t := traitsOf(in.Cause)
	return traits{cmp.Or(in.Title, t.title), cmp.Or(in.Category, t.category), cmp.Or(in.Priority, t.priority)}
}
