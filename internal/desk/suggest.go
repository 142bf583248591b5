package desk

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"estate/sync/record"
)

// unitsMax bounds the units that a suggestion is chosen from.
const unitsMax = 5000

// place is a unit as suggestions look at it.
type place struct {
	id    record.ID
	name  string
	words []string
}

// places lists the building's units.
func (d *Desk) places(ctx context.Context, building record.ID) ([]place, error) {
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeUnits, Building: building, Limit: unitsMax})
	if err != nil {
		return nil, err
	}
	out := make([]place, 0, len(items))
	for _, it := range items {
		name := d.fields(it).text("name")
		if words := wordsOf(name); len(words) > 0 {
			out = append(out, place{it.key.ID, name, words})
		}
	}
	return out, nil
}

// suggest finds the one unit whose whole name is in a device's name: "leak_4B_kitchen" is in
// "4B". The longest name wins; of two that are as long none is better than the other.
func suggest(units []place, device string) (best place, ok bool) {
	words := wordsOf(device)
	for _, u := range units {
		if !within(words, u.words) {
			continue
		}
		switch {
		case len(u.words) > len(best.words):
			best, ok = u, true
		case len(u.words) == len(best.words):
			ok = false
		}
	}
	return best, ok
}

// within reports whether words follow each other somewhere in a text.
func within(text, words []string) bool {
	for i := range text {
		if len(text)-i >= len(words) && slices.Equal(text[i:i+len(words)], words) {
			return true
		}
	}
	return false
}

// wordsOf parts a name into words: at what is neither letter nor digit, and where small letters
// end and a capital one begins. A number and the letter behind it stay together: "4B".
func wordsOf(name string) []string {
	var b strings.Builder
	var before rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = ' '
		case unicode.IsUpper(r) && unicode.IsLower(before):
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return strings.Fields(b.String())
}
