package replica_test

import (
	"testing"

	"estate/sync/record"
)

// SPEC R9: an edge knows itself and the cloud. Another edge's card by its own word, which a
// phone brings, is taken only where the edge has a card of it already; the cloud's word is
// enough for any.
func TestCardOfAnotherEdge(t *testing.T) {
	for name, c := range map[string]struct {
		from  func(l *lab, cloud, there, here *box) *box // whom the phone pulls from
		taken bool
	}{
		"by its own word": {func(_ *lab, _, there, _ *box) *box { return there }, false},
		"by the cloud's": {func(_ *lab, cloud, there, _ *box) *box {
			there.sync(cloud)
			return cloud
		}, true},
		"by its own, and known": {func(_ *lab, cloud, there, here *box) *box {
			there.sync(cloud)
			cloud.sync(here)
			there.restart()
			there.write(ticket(1), text("note", "later"))
			return there
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			here, cloud := l.pair()
			there := l.node("edge beside", record.TierEdge)
			there.write(ticket(1), text("note", "theirs"))
			p := l.phone("phone")
			c.from(l, cloud, there, here).pull(p)
			l.edit(p, p.Set(ticket(1), "note", "mine"))
			push := p.Push(p.Outbox()[0], 10)
			want(t, "brings cards", len(push.Cards) > 0, true)
			here.take(p, yes, push)
			want(t, "the card", here.chain(push.Heads[0].Replica).Card != nil, c.taken)
			there.sync(cloud)
			here.sync(cloud)
			there.sync(cloud)
			here.sync(cloud)
			same(t, here, cloud)
			same(t, there, cloud)
		})
	}
}
