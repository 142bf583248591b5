package replica_test

import (
	"testing"

	"estate/sync/record"
	"estate/sync/sim"
)

func setting(n string) record.Key {
	return record.Key{Building: home, Kind: sim.Setting, ID: record.DerivedID("setting", n)}
}

// What only an edge was shown, of a kind that only the cloud writes, by a cloud that was then set
// back to an image of its memory: the edge may not say what it was, but it has the cloud's own
// signed events (SPEC R33).
func TestSettingsOfACloudSetBack(t *testing.T) {
	for name, since := range map[string]func(image *box){
		"nothing written since": func(*box) {},
		"another since":         func(image *box) { image.write(setting("b"), text("value", "theirs")) },
		"the same since":        func(image *box) { image.write(setting("new"), text("value", "theirs")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(setting("old"), text("value", "common"))
			l.meet(edge, cloud)
			image := cloud.copyOf("cloud")
			cloud.write(setting("old"), text("value", "ours"))
			cloud.write(setting("new"), text("value", "the first"))
			cloud.write(setting("new"), text("value", "the second"))
			l.meet(edge, cloud)
			since(image)
			for range 3 {
				l.meet(edge, image)
			}
			same(t, edge, image)
			want(t, "a value that was replaced", distinct(values(image.record(setting("old")), "value")), []string{"ours"})
			got := distinct(values(image.record(setting("new")), "value"))
			if name == "the same since" {
				want(t, "new, and what was written since", got, []string{"the second", "theirs"})
			} else {
				want(t, "new", got, []string{"the second"})
			}
		})
	}
}

// An edge makes up an event of the cloud's, or changes one: what the cloud did not sign it does not
// write (SPEC R9, R33).
func TestSettingsThatTheCloudNeverWrote(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(setting("old"), text("value", "common"))
	l.meet(edge, cloud)
	image := cloud.copyOf("cloud")
	thief := cloud.copyOf("cloud") // what it writes is signed by another key below
	thief.write(setting("old"), text("value", "made up"))
	page := thief.read(0, nil)
	for i := range page.Heads {
		page.Heads[i] = record.SignHead(edge.Key, home, page.Heads[i].Replica, page.Heads[i].N, page.Heads[i].Hash)
	}
	page.Records = nil
	image.apply(edge, page)
	image.write(setting("b"), text("value", "goes on"))
	image.apply(edge, page)
	want(t, "old", values(image.record(setting("old")), "value"), []string{"common"})
}
