package replica_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

func skipNone(uint64) bool { return false }

// digest reads one stretch of b's feed as digests for a reader.
func (b *box) digest(reader *box, after uint64, skip func(uint64) bool) replica.Stretch {
	b.lab.t.Helper()
	s, err := b.ReadDigest(context.Background(), home, reader.Boot(), after, reader.heldMap(), skip)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return s
}

// check lets b look up a stretch that from read.
func (b *box) check(from *box, s replica.Stretch) replica.Checked {
	b.lab.t.Helper()
	c, err := b.CheckDigest(context.Background(), home, from.peer(), s.Generation, s.Digest)
	if err != nil {
		b.lab.t.Fatal(err)
	}
	return c
}

// equalPositions lists the positions of a stretch that an answer calls equal.
func equalPositions(s replica.Stretch, c replica.Checked) []uint64 {
	var out []uint64
	for i, p := range s.Positions {
		if c.Answer.Has(i) {
			out = append(out, p)
		}
	}
	return out
}

// synced is an edge and a cloud that hold the same n tickets.
func synced(t *testing.T, n int) (edge, cloud *box) {
	t.Helper()
	edge, cloud = newLab(t).pair()
	for i := range n {
		edge.write(ticket(i), text("title", fmt.Sprint(i)))
	}
	edge.sync(cloud)
	return edge, cloud
}

// TestDigestEqual: what both hold is found equal, whichever side asks, and answers name the
// positions on both sides. Cites SPEC R31.
func TestDigestEqual(t *testing.T) {
	edge, cloud := synced(t, 5)
	for _, sides := range [][2]*box{{edge, cloud}, {cloud, edge}} {
		sender, reader := sides[0], sides[1]
		s := sender.digest(reader, 0, skipNone)
		want(t, "items", len(s.Digest.Items), 5)
		want(t, "open, last", []bool{s.Open, s.Last}, []bool{false, true})
		c := reader.check(sender, s)
		want(t, "equal", equalPositions(s, c), s.Positions)
		for i, p := range c.Echoes {
			item := s.Digest.Items[i]
			want(t, "position at the reader", reader.stored(record.Key{Building: home, Kind: s.Digest.Kinds[item.Kind], ID: item.ID}).Position, p)
		}
	}
	// What the skip set names already is not asked.
	s := edge.digest(cloud, 0, func(uint64) bool { return true })
	want(t, "items", len(s.Digest.Items), 0)
}

// TestDigestDiffers: one byte more, a record unknown there, a run that is over: all of it is
// sent. Cites SPEC R31.
func TestDigestDiffers(t *testing.T) {
	edge, cloud := synced(t, 4)
	cloud.write(ticket(1), text("title", "changed"))
	edge.write(ticket(9), text("title", "new"))
	s := edge.digest(cloud, 0, skipNone)
	want(t, "open: an event is new", s.Open, true)
	equal := equalPositions(s, cloud.check(edge, s))
	want(t, "equal", len(equal), 3)
	for _, k := range []record.Key{ticket(1), ticket(9)} {
		want(t, "unequal is asked for", slices.Contains(equal, edge.stored(k).Position), false)
	}
	cloud.restart()
	want(t, "equal after a restart of the reader", len(equalPositions(s, cloud.check(edge, s))), 0)
}

// TestDigestChangedInBetween: a record that changes after its digest was called equal is
// sent all the same. Cites SPEC R31.
func TestDigestChangedInBetween(t *testing.T) {
	edge, cloud := synced(t, 4)
	s := edge.digest(cloud, 0, skipNone)
	skip := equalPositions(s, cloud.check(edge, s))
	edge.write(ticket(2), text("title", "changed in between"))
	var got []record.ID
	for after, last := uint64(0), false; !last; {
		until := uint64(0)
		if after < s.To {
			until = s.To
		}
		p, err := edge.ReadPage(context.Background(), home, after, until, cloud.heldMap(), replica.DoReadPage{Skip: skip}.Skips)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			got = append(got, r.ID)
		}
		cloud.apply(edge, p)
		after, last = p.To, p.Last
	}
	want(t, "sent", got, []record.ID{ticket(2).ID})
	same(t, edge, cloud)
}

// TestDigestHeldBack: a record of which the reader holds something back is asked for though
// what is stored is equal: its next copy may end the quarantine. Cites SPEC R31.
func TestDigestHeldBack(t *testing.T) {
	edge, cloud := synced(t, 2)
	before := edge.store.Snapshot()
	cloud.fault.bad = ticket(0)
	edge.write(ticket(0), text("title", "breaks the store"))
	edge.send(cloud)
	want(t, "held back", len(cloud.held(edge)), 1)
	edge.restore(before)
	s := edge.digest(cloud, 0, skipNone)
	want(t, "equal", equalPositions(s, cloud.check(edge, s)), []uint64{edge.stored(ticket(1)).Position})
}

// TestDigestRefused: no list beyond its limit, no kind that is not named. Cites SPEC R28.
func TestDigestRefused(t *testing.T) {
	edge, cloud := synced(t, 1)
	for name, d := range map[string]wire.Digest{
		wire.CodeFrameTooLarge:  {Items: make([]wire.DigestItem, wire.DigestItemsMax+1), Kinds: []string{"ticket"}},
		wire.CodeFrameMalformed: {Items: make([]wire.DigestItem, 1)},
	} {
		_, err := cloud.CheckDigest(context.Background(), home, edge.peer(), edge.Boot(), d)
		code(t, err, name)
	}
}
