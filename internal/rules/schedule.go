package rules

import (
	"slices"
	"strings"
	"time"
)

// Schedule is when a rule holds, in the building's time.
type Schedule struct {
	// Days are "mon" to "sun"; empty means all.
	Days []string `json:"days,omitempty"`
	// From and To are times of day as "07:30"; a To before From is on the next day, and its
	// night belongs to the day on which it began.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Months are 1 to 12; empty means all.
	Months []int `json:"months,omitempty"`
	// Except turns it round: the rule holds at all other times.
	Except bool `json:"except,omitempty"`
}

var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

func clock(s string) (minutes int, ok bool) {
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil
}

func (s Schedule) check(at string, wrong func(field, format string, args ...any)) {
	for _, d := range s.Days {
		if !slices.Contains(days, d) {
			wrong(at+".days", "wanted %s", strings.Join(days, ", "))
		}
	}
	_, ok1 := clock(s.From)
	_, ok2 := clock(s.To)
	if (s.From != "" || s.To != "") && (!ok1 || !ok2 || s.From == s.To) {
		wrong(at+".from", "wanted two different times of day such as 22:00 and 07:30")
	}
	for _, m := range s.Months {
		if m < 1 || m > 12 {
			wrong(at+".months", "wanted 1 to 12")
		}
	}
}

// Holds says whether the time is within the schedule. It goes by the clock on the wall: on
// the days on which the clock is changed an hour is missing or comes twice.
func (s Schedule) Holds(t time.Time) bool { return s.within(t) != s.Except }

func (s Schedule) within(t time.Time) bool {
	day := t
	if s.From != "" {
		from, _ := clock(s.From)
		to, _ := clock(s.To)
		now := t.Hour()*60 + t.Minute()
		switch {
		case from < to && (now < from || now >= to):
			return false
		case from > to && now >= to && now < from:
			return false
		case from > to && now < to:
			day = t.AddDate(0, 0, -1)
		}
	}
	if len(s.Months) > 0 && !slices.Contains(s.Months, int(day.Month())) {
		return false
	}
	return len(s.Days) == 0 || slices.Contains(s.Days, days[day.Weekday()])
}
