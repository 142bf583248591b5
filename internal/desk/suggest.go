package desk

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"estate/sync/record"
)

// placesMax bounds the units, and the assets, that a suggestion is chosen from.
const placesMax = 5000

// place is a unit or an asset as suggestions look at it.
type place struct {
	id    record.ID
	name  string
	words []string
	unit  record.ID // where an asset is
	kind  []string  // the words of an asset's category
}

// places lists the building's units and assets.
func (d *Desk) places(ctx context.Context, building record.ID) (units, assets []place, _ error) {
	var all [2][]place
	for i, shape := range []string{shapeUnits, shapeAssets} {
		items, _, err := d.selectItems(ctx, Selection{Shape: shape, Building: building, Limit: placesMax})
		if err != nil {
			return nil, nil, err
		}
		for _, it := range items {
			f := d.fields(it)
			if words := wordsOf(f.text("name")); len(words) > 0 {
				all[i] = append(all[i], place{id: it.key.ID, name: f.text("name"), words: words, unit: f.id("unit"), kind: wordsOf(f.text("category"))})
			}
		}
	}
	return all[0], all[1], nil
}

// suggest adds where a device that nobody adopted seems to be and what it seems to watch. An
// asset tells its unit, where the name does not.
func (v *Device) suggest(units, assets []place) {
	unit, inUnit := suggest(units, v.Name)
	asset, ok := suggest(assets, v.Name)
	if !ok {
		asset, ok = only(assets, v.Name)
	}
	if ok && v.Asset.IsZero() {
		v.SuggestedAsset, v.SuggestedAssetName = asset.id, asset.name
		if i := slices.IndexFunc(units, func(u place) bool { return u.id == asset.unit }); i >= 0 && !inUnit {
			unit, inUnit = units[i], true
		}
	}
	if inUnit && v.Unit.IsZero() {
		v.SuggestedUnit, v.SuggestedUnitName = unit.id, unit.name
	}
}

// suggest finds the one unit or asset whose whole name is in a device's name: "leak_4B_kitchen" is in
// "4B". The longest name wins; of two that are as long none is better than the other.
func suggest(places []place, device string) (best place, ok bool) {
	words := wordsOf(device)
	for _, u := range places {
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

// only finds the one asset of the category that a device's name says: "boiler_flow" is about the
// boiler of a building that has one. The longest category wins: a heat pump is no pump.
func only(assets []place, device string) (best place, ok bool) {
	words, count := wordsOf(device), 0
	for _, a := range assets {
		switch {
		case len(a.kind) == 0 || len(a.kind) < len(best.kind) || !within(words, a.kind):
		case len(a.kind) > len(best.kind):
			best, count = a, 1
		default:
			count++
		}
	}
	return best, count == 1
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
