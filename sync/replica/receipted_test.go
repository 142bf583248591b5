package replica_test

import (
	"testing"

	"estate/sync/record"
	"estate/sync/wire"
)

// SPEC R13: what comes from the tier above is there; nobody waits for its receipt. A phone
// pushed to the cloud and to the edge, and the edge is never asked to send it.
func TestFromAboveIsReceipted(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	p := l.phone("phone")
	l.edit(p, p.Set(ticket(1), "note", "1"))
	r := p.Outbox()[0]
	push := p.Push(r, wire.PushItemsMax-1)
	cloud.take(p, yes, push)
	edge.take(p, yes, push)
	want(t, "before it comes from above", edge.chain(r).Receipted, 0)
	edge.apply(cloud, cloud.read(0, nil))
	want(t, "receipted", edge.chain(r).Receipted, edge.chain(r).Held)

	l.edit(p, p.Set(ticket(2), "note", "2"))
	cloud.push(p, yes)
	edge.apply(cloud, cloud.read(0, edge.heldMap()))
	want(t, "events", edge.chain(r).Held, 3)
	want(t, "receipted again", edge.chain(r).Receipted, 3)
	want(t, "what comes from below", cloud.chain(r).Receipted, 0)
}

// SPEC R13, SPEC R19: a hello names the newest replica of a node for all before it, and
// says of each that it is held: answers that were lost before several starts are made good.
func TestReceiptsLostBeforeStarts(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	var ids []record.ReplicaID
	for range 5 {
		ids = append(ids, edge.write(ticket(1), text("note", edge.boot.String())).Replica)
		cloud.apply(edge, edge.read(0, cloud.heldMap())) // its answer is lost
		edge.restart()
	}
	edge.greet(cloud)
	for n, r := range ids {
		want(t, "receipted of start "+string(rune('1'+n)), edge.chain(r).Receipted, 2)
	}
}
