package replica_test

import (
	"context"
	"slices"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/sim"
	"estate/sync/wire"
)

// shows holds a phone's screen to what a server has.
func shows(t *testing.T, p *sim.Phone, b *box, keys ...record.Key) {
	t.Helper()
	for _, k := range keys {
		shown, err := p.View(k).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if (!p.View(k).IsZero() || len(b.stored(k).Body) > 0) && string(shown) != string(b.stored(k).Body) {
			t.Errorf("%s: the phone shows\n%+v, the server has\n%+v", k, p.View(k), b.record(k))
		}
	}
}

// Two copies of a server are at other positions from their first commit on, whatever they
// write (SPEC R11).
func TestPositionsNameAHistory(t *testing.T) {
	l := newLab(t)
	cloud := l.node("cloud", record.TierCloud)
	cloud.write(ticket(1), text("title", "common"))
	twin := cloud.copyOf("cloud")
	common := cloud.position()
	for n := range 20 {
		cloud.write(ticket(n), text("title", "the same"))
		twin.write(ticket(n), text("title", "the same"))
	}
	places := map[uint64]bool{}
	for _, b := range []*box{cloud, twin} {
		feed, err := b.store.Feed(context.Background(), home, common, 1000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range feed.Items {
			if places[item.Position] {
				t.Errorf("position %d is in both", item.Position)
			}
			places[item.Position] = true
		}
	}
	want(t, "positions", len(places), 80)
}

// A cloud that is set back to an image of its memory has its run, and a phone's cursor of what
// it wrote since seems to fit. What only the phone has of that comes back (SPEC R12, R30, R33).
func TestCloudSetBackToAnImage(t *testing.T) {
	for name, since := range map[string]func(cloud *box){
		"nothing written since": func(*box) {},
		"less written since":    func(cloud *box) { cloud.write(ticket(3), text("title", "theirs")) },
		"more written since": func(cloud *box) {
			for n := range 9 {
				cloud.write(ticket(3+n), text("title", "theirs"))
			}
		},
		"the same record": func(cloud *box) {
			cloud.write(ticket(2), text("title", "theirs"))
			cloud.write(ticket(1), text("title", "theirs"))
			cloud.write(ticket(1), text("title", "theirs"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			cloud.write(ticket(1), text("title", "common"))
			l.meet(edge, cloud)
			p, other := l.phone("ann"), l.phone("bob")
			cloud.pull(p)
			image := cloud.copyOf("cloud")
			l.edit(other, other.Set(ticket(2), "title", "by a phone"))
			cloud.push(other, yes)
			cloud.write(ticket(1), text("title", "ours"))
			cloud.write(ticket(2), text("note", "ours"))
			cloud.pull(p)
			since(image)
			image.pull(p)
			image.giveBack(p)
			image.pull(p)
			for field, value := range map[string]string{"title": "by a phone", "note": "ours"} {
				if !slices.Contains(values(image.record(ticket(2)), field), value) {
					t.Errorf("%q is lost: %v", value, values(image.record(ticket(2)), field))
				}
			}
			if !slices.Contains(values(image.record(ticket(1)), "title"), "ours") {
				t.Errorf("lost: %v", values(image.record(ticket(1)), "title"))
			}
			l.meet(edge, image)
			l.meet(edge, image)
			same(t, edge, image)
			image.pull(p)
			shows(t, p, image, ticket(1), ticket(2), ticket(3))
		})
	}
}

// An edge does not decide between two branches of the cloud's chain: a phone that was shown
// the other one keeps what it has until it has reached the cloud (SPEC R33).
func TestPhoneOfAnotherHistoryAtAnEdge(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	p := l.phone("ann")
	image := cloud.copyOf("cloud")
	cloud.write(ticket(1), text("title", "ours"))
	cloud.pull(p)
	image.write(ticket(1), text("title", "theirs"))
	image.write(ticket(1), text("title", "theirs again"))
	l.meet(edge, image)
	_, err := edge.ReadView(context.Background(), home, replica.View{May: everything}, p.Pull(edge.ID()))
	code(t, err, wire.CodeOtherHistory)
	image.pull(p)
	image.giveBack(p)
	l.meet(edge, image)
	l.meet(edge, image)
	edge.pull(p)
	want(t, "at the edge", distinct(values(edge.record(ticket(1)), "title")), []string{"ours", "theirs again"})
	shows(t, p, edge, ticket(1))
}

// What a server cannot compare yet, for its own part of the chain ends below, it is told again
// until it can: then the two may be of one history or not (SPEC R12, R33).
func TestToldAgainUntilCompared(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "common"))
	l.meet(edge, cloud)
	p := l.phone("ann")
	image := cloud.copyOf("cloud")
	cloud.write(ticket(1), text("title", "ours"))
	cloud.pull(p)
	edge.pull(p) // which has nothing beyond the image yet
	want(t, "told again", len(p.Pull(edge.ID()).Heads) > 0, true)
	l.now++
	image.write(ticket(1), text("title", "theirs"))
	l.meet(edge, image)
	_, err := edge.ReadView(context.Background(), home, replica.View{May: everything}, p.Pull(edge.ID()))
	code(t, err, wire.CodeOtherHistory)
	image.pull(p)
	image.giveBack(p)
	l.meet(edge, image)
	l.meet(edge, image)
	edge.pull(p)
	want(t, "both", distinct(values(edge.record(ticket(1)), "title")), []string{"ours", "theirs"})
	for _, b := range []*box{edge, image} {
		b.pull(p)
		b.pull(p)
		if heads := p.Pull(b.ID()).Heads; len(heads) > 0 && b == image {
			t.Errorf("tells %d heads for ever", len(heads))
		}
	}
}

// The decision on a fork that a phone's heads prove begins where its trail last agrees with the
// server's chain, though a later head of another stretch agrees, too (SPEC R33).
func TestTrailSaysHowFarBack(t *testing.T) {
	l := newLab(t)
	cloud := l.node("cloud", record.TierCloud)
	p := l.phone("ann")
	var last record.Dot
	for n := range 5 {
		last = cloud.write(ticket(n), text("title", "common"))
		cloud.pull(p)
	}
	image := cloud.copyOf("cloud")
	for range 3 {
		cloud.write(ticket(1), text("title", "ours"))
	}
	cloud.pull(p)
	image.write(ticket(2), text("title", "theirs"))
	image.pull(p)
	want(t, "fork", image.chain(last.Replica).Fork, last.N+1)
}

// An app that knows itself copied returns what reaches its doubted replica. Only the values
// count, written again by the server, for nobody can say which transaction a number means; they
// take nothing from the other branch (SPEC R30, R33).
func TestDoubtedCopiesAreReturned(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("ann")
	l.edit(p, p.Set(ticket(1), "title", "common"))
	cloud.push(p, yes)
	cloud.pull(p)
	backup := cloud.store.Snapshot()
	twin := l.phone("ann")
	twin.State = p.State.Clone()
	l.edit(p, p.Set(ticket(2), "title", "ours"))
	theirs := l.edit(twin, twin.Set(ticket(2), "note", "theirs"))
	cloud.push(p, yes)
	cloud.pull(p)
	edge.push(twin, yes)
	edge.push(p, yes)
	edge.pull(p) // tells it that somebody else writes under its replica
	want(t, "in doubt", p.State.Copies.Doubted(theirs), true)
	cloud.restore(backup)
	cloud.pull(p)
	for _, r := range cloud.giveBack(p) {
		want(t, "code", r.Code, "")
	}
	want(t, "what only the phone had", values(cloud.record(ticket(2)), "title"), []string{"ours"})
	cloud.push(twin, yes)
	cloud.push(twin, yes) // under a new replica, if it was told that it was copied
	want(t, "the other branch", distinct(values(cloud.record(ticket(2)), "note")), []string{"theirs"})
}

// A pass from zero, begun because the cursor was of another feed, moves the cursor back: should
// the session end before the pass does, the next one must not go on from the old place. A late
// first page of this feed moves it nowhere (SPEC R12).
func TestPassFromZeroThatBreaksOff(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	cloud.write(ticket(1), text("title", "of the copy"))
	edge.apply(cloud, cloud.read(0, nil))
	at := func() uint64 { return edge.load(replica.Need{Peer: cloud.ID()}).Cursor.Position }
	place := at()
	begins := wire.Page{From: 0, To: 1, Generation: cloud.boot}
	edge.apply(cloud, begins)
	want(t, "late", at(), place)
	begins.Anew = true
	edge.apply(cloud, begins)
	want(t, "anew", at(), uint64(1))
}
