package replica_test

import (
	"context"
	"testing"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// SPEC R17: what waits since an earlier session is asked for at the next greeting.
func TestGapIsAskedAtGreeting(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "1"))
	edge.write(ticket(1), text("note", "2"))
	page := edge.read(0, nil)
	page.Events = page.Events[2:]
	cloud.apply(edge, page)
	want(t, "wants", cloud.greet(edge).Wants, []wire.Want{{Replica: page.Events[0].Replica, From: 1, To: 2}})
}

// SPEC R16 (traces t09, t15): a refused stamp corrects the sender's clock, and its values
// are written again with author and event time kept.
func TestClockAhead(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.skew = 3 * 3600_000
	edge.write(ticket(1), text("note", "fast"))
	happened := edge.events(edge.load(replica.Need{}).State.Replica)[1].EventTime
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "offset", edge.load(replica.Need{}).State.ClockOffset, -edge.skew)
	s := cloud.record(ticket(1)).Siblings("note")
	want(t, "values", values(cloud.record(ticket(1)), "note"), []string{"fast"})
	if hlc.Ahead(s[0].Stamp, noon) {
		t.Fatal("the stamp is still ahead")
	}
	events := cloud.events(s[0].Dot.Replica)
	again := events[s[0].Dot.N-1]
	want(t, "event time", again.EventTime, happened)
	want(t, "author", again.Actor.Person, ann)
	want(t, "quarantine", len(cloud.held(edge))+len(edge.held(cloud)), 0)
	edge.write(ticket(1), text("note", "right"))
	want(t, "not refused again", len(edge.send(cloud).Ack.Quarantined), 0)
}

// SPEC R16: a node that stops between the refusal of its stamps and the correction, or
// before it hears that the correction was taken, has nothing held back after it greets again.
func TestClockCorrectionInterrupted(t *testing.T) {
	for name, interrupt := range map[string]func(edge, cloud *box, refused wire.Ack){
		"before the correction": func(edge, cloud *box, refused wire.Ack) {
			edge.fault.busyAfter = 2
			if err := edge.ApplyAck(context.Background(), home, cloud.peer(), refused); err == nil {
				edge.lab.t.Fatal("nothing was interrupted")
			}
		},
		"before the answer": func(edge, cloud *box, refused wire.Ack) {
			if err := edge.ApplyAck(context.Background(), home, cloud.peer(), refused); err != nil {
				edge.lab.t.Fatal(err)
			}
			cloud.apply(edge, edge.read(0, cloud.heldMap()))
			edge.restart()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.skew = 3 * 3600_000
			edge.write(ticket(1), text("note", "fast"))
			refused := cloud.apply(edge, edge.read(0, nil)).Ack
			want(t, "refused", refused.Quarantined[0].Code, wire.CodeClockAhead)
			interrupt(edge, cloud, refused)
			edge.sync(cloud)
			same(t, edge, cloud)
			want(t, "values", values(cloud.record(ticket(1)), "note"), []string{"fast"})
			if hlc.Ahead(cloud.record(ticket(1)).Siblings("note")[0].Stamp, noon) {
				t.Fatal("the stamp is still ahead")
			}
			want(t, "held back at the edge", len(edge.held(cloud)), 0)
			want(t, "held back at the cloud", len(cloud.held(edge)), 0)
		})
	}
}

// SPEC R22: what a page shows that the peer holds is no more than what it sent.
func TestHeldOfThePage(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	edge.push(p, yes)
	l.edit(p, p.Set(ticket(1), "note", "2"))
	cloud.push(p, yes)
	r := p.Outbox()[0]
	applied := cloud.apply(edge, edge.read(0, nil))
	want(t, "the edge holds", applied.Held[r], 2)
	want(t, "the cloud holds", cloud.chain(r).Held, 3)
}

// SPEC R17, SPEC R19: a predecessor that is not held as far as its successor's card says is
// still sent.
func TestMissingPredecessorIsSent(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	first := p.Outbox()[0]
	edge.push(p, yes)
	p.Restart()
	l.edit(p, p.Set(ticket(1), "note", "2"))
	for _, r := range p.Outbox() {
		if r != first {
			cloud.take(p, yes, p.Push(r, 10))
		}
	}
	edge.sync(cloud)
	same(t, edge, cloud)
	want(t, "held", cloud.chain(first).Held, 2)
}

// SPEC R12, SPEC R15: a restored store is reported by both sides, offered everything, and
// loses nothing that the other holds.
func TestRewound(t *testing.T) {
	for _, side := range []string{"edge", "cloud"} {
		t.Run(side, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			a, b := edge, cloud
			if side == "cloud" {
				a, b = cloud, edge
			}
			a.write(ticket(1), text("note", "old"))
			a.sync(b)
			snapshot := a.store.Snapshot()
			a.write(ticket(1), text("note", "new"))
			lost := a.write(ticket(2), text("note", "new"))
			a.sync(b)
			a.restore(snapshot)
			want(t, "seen by the other", b.greet(a).Rewound, true)
			want(t, "seen by itself", a.greet(b).Rewound, true)
			again := a.write(ticket(1), text("title", "after"))
			if again.Replica == lost.Replica {
				t.Fatal("a rewound node writes under its old replica")
			}
			a.sync(b)
			same(t, a, b)
			want(t, "note", values(a.record(ticket(1)), "note"), []string{"new"})
			want(t, "note", values(a.record(ticket(2)), "note"), []string{"new"})
			want(t, "title", values(a.record(ticket(1)), "title"), []string{"after"})
			want(t, "over", b.greet(a).Rewound || a.greet(b).Rewound, false)
		})
	}
}

// SPEC R15: an edge that is new, slow or one of two is not a rewound one.
func TestNotRewound(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	second := l.node("edge2", record.TierEdge)
	cloud.write(ticket(1), text("note", "v"))
	edge.sync(cloud)
	want(t, "empty second edge", cloud.greet(second).Rewound || second.greet(cloud).Rewound, false)
	for range 3 {
		edge.restart()
		edge.write(ticket(2), text("note", edge.boot.String()))
	}
	want(t, "three starts offline", cloud.greet(edge).Rewound || edge.greet(cloud).Rewound, false)
	second.sync(cloud)
	edge.sync(cloud)
	second.sync(cloud)
	same(t, second, cloud)
}

// SPEC R23: two hashes at one number are a fork.
func TestFork(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.write(ticket(1), text("note", "v"))
	edge.sync(cloud)
	boot, snapshot := edge.boot, edge.store.Snapshot()
	r := edge.write(ticket(1), text("note", "a")).Replica
	edge.sync(cloud)
	edge.restore(snapshot)
	edge.boot = boot // a copied key in one run: what must never happen
	edge.write(ticket(1), text("note", "b"))
	want(t, "forks", cloud.greet(edge).Forks, []record.ReplicaID{r})
	want(t, "alarm", cloud.apply(edge, edge.read(0, nil)).Alarms[0], wire.CodeChainFork)
}

// SPEC R16: a clock that is slow, or that was corrected and then set right, follows the
// upper tier at the next greeting; the upper tier never follows.
func TestClockFlowsDown(t *testing.T) {
	for name, skew := range map[string]int64{"slow": -7200_000, "fast": 7200_000} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.skew = skew
			edge.write(ticket(1), text("note", "v"))
			edge.greet(cloud)
			cloud.greet(edge)
			want(t, "offset", edge.load(replica.Need{}).State.ClockOffset, -skew)
			want(t, "the cloud's", cloud.load(replica.Need{}).State.ClockOffset, 0)
			edge.skew = 0
			edge.greet(cloud)
			edge.write(ticket(2), text("note", "w"))
			at := edge.record(ticket(2)).Siblings("note")[0].Stamp
			want(t, "stamp", at.Millis(), noon)
			edge.skew = 30_000
			edge.greet(cloud)
			want(t, "a little is left alone", edge.load(replica.Need{}).State.ClockOffset, 0)
		})
	}
}

// SPEC R16: a clock that jumps while the session lives follows the upper tier's next answer
// to a ping, and what is written next has a stamp of the right time.
func TestClockFollowsWithinASession(t *testing.T) {
	for name, skew := range map[string]int64{"back": -420_000, "forth": 420_000} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			edge.write(ticket(1), text("note", "v"))
			edge.sync(cloud)
			edge.skew = skew
			for range 2 { // the second finds it right
				if err := edge.FollowClock(t.Context(), home, cloud.peer(), noon); err != nil {
					t.Fatal(err)
				}
				want(t, "offset", edge.load(replica.Need{}).State.ClockOffset, -skew)
			}
			edge.write(ticket(2), text("note", "w"))
			at := edge.record(ticket(2)).Siblings("note")[0].Stamp
			want(t, "stamp", at.Millis(), noon)
			if err := cloud.FollowClock(t.Context(), home, edge.peer(), noon+skew); err != nil {
				t.Fatal(err)
			}
			want(t, "the cloud's", cloud.load(replica.Need{}).State.ClockOffset, 0)
		})
	}
}

// SPEC R16: what is refused for its stamp is told until the sender has heard it.
func TestClockAheadIsToldAgain(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	edge.skew = 2 * hlc.AheadMax
	edge.write(ticket(1), text("note", "v"))
	page := edge.read(0, nil)
	cloud.apply(edge, page) // the answer is lost
	again := cloud.apply(edge, edge.read(page.To, cloud.heldMap()))
	want(t, "told", again.Ack.Quarantined[0].Code, wire.CodeClockAhead)
	want(t, "with the time", again.Ack.Time, noon)
}
