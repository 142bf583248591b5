package replica_test

import (
	"fmt"
	"testing"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// An event that a newer release wrote is a link whose content is not used: the chain goes on
// over it once the next one follows its hash under a signed head (SPEC R17).
func TestUnreadableEventPasses(t *testing.T) {
	for name, late := range map[string]bool{"head with the events": false, "head later": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			edge, cloud := l.pair()
			last := edge.write(ticket(1), text("title", "one"))
			edge.sync(cloud)
			newer := []byte("an event of a newer release")
			next := record.Event{Replica: last.Replica, N: last.N + 2, Prev: record.HashEvent(newer)}
			item, _ := asCloud(t, next)
			head := record.SignHead(edge.Key, home, last.Replica, last.N+2, record.HashEvent(item.Body))
			page := wire.Page{Events: []wire.EventItem{{Body: newer, Replica: last.Replica, N: last.N + 1}, item}, From: 0, To: edge.position() + 1, Generation: edge.boot}
			if !late {
				page.Heads = []record.Head{head}
			}
			cloud.apply(edge, page)
			if late {
				want(t, "held without a signature", cloud.chain(last.Replica).Held, last.N)
				cloud.apply(edge, wire.Page{Heads: []record.Head{head}, Events: []wire.EventItem{item}})
			}
			want(t, "held", cloud.chain(last.Replica).Held, last.N+2)
			// It travels on as it is.
			third := l.node("third", record.TierEdge)
			p := cloud.read(0, map[record.ReplicaID]uint64{})
			third.apply(cloud, p)
			want(t, "held by the next", third.chain(last.Replica).Held, last.N+2)
		})
	}
}

// However much of a peer is held back, a newer state that is held back too joins the older:
// neither overwrites the other (SPEC R14).
func TestHeldBackBeyondTheLimit(t *testing.T) {
	l := newLab(t)
	edge, cloud := l.pair()
	stranger := func(n int) record.ReplicaID { return record.DerivedID("stranger", fmt.Sprint(n)) }
	item := func(n int, from record.ReplicaID, value string) wire.RecordItem {
		dot := record.Dot{Replica: from, N: 2}
		r := record.Record{Context: record.Context{Vector: []record.Dot{dot}}}.With("title",
			[]record.Sibling{{Dot: dot, Stamp: 1, Class: record.Person, Value: record.Text(value)}})
		body, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return wire.RecordItem{Kind: ticket(n).Kind, ID: ticket(n).ID, Body: body}
	}
	const many = 1100
	var page wire.Page
	for n := range many {
		page.Records = append(page.Records, item(n, stranger(1), "older"))
	}
	cloud.apply(edge, page)
	page = wire.Page{}
	for n := range many {
		page.Records = append(page.Records, item(n, stranger(2), "newer"))
	}
	cloud.apply(edge, page)
	rows := cloud.load(replica.Need{Peer: edge.ID(), Quarantine: 2 * many}).Quarantine
	want(t, "rows", len(rows), many)
	for _, q := range rows {
		r, err := record.Decode(q.Body)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "both", values(r, "title"), []string{"newer", "older"})
	}
}
