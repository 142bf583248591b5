package synclink_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// pair is two nodes with one session each and a line between them, moved one step at a
// time: what happens next is drawn, so every interleaving of frames, finished effects,
// writes, full disks and lost lines can come up.
type pair struct {
	t     *rapid.T
	sides [2]*side
	now   int64
	count int
}

// side is one node of the pair.
type side struct {
	node    *replica.Node
	store   *memstore.Store
	session *replica.Session
	effects []replica.SessionEffect // under way
	frames  [][]byte                // on the line towards this side, in order
	busy    bool
	moved   <-chan struct{}
}

func newPair(t *rapid.T) *pair {
	p := &pair{t: t}
	for i, tier := range []record.Tier{record.TierEdge, record.TierCloud} {
		s := &side{store: memstore.New()}
		s.store.FailCommit = func(record.ID) error {
			if s.busy {
				return context.DeadlineExceeded
			}
			return nil
		}
		s.node = newNode(fmt.Sprint("pair ", i), tier, s.store)
		s.moved, _ = s.store.Watch(building)
		p.sides[i] = s
	}
	return p
}

// connect starts new sessions over a fresh line. What was on the old one is lost, and so
// are the results of effects, done or not.
func (p *pair) connect() {
	for i, s := range p.sides {
		peer := peerOf(p.sides[1-i].node)
		s.session = replica.NewSession(replica.SessionConfig{Building: building, Peer: peer})
		s.effects, s.frames = nil, nil
	}
	for i, s := range p.sides {
		hello, err := s.node.Hello(context.Background(), building, peerOf(p.sides[1-i].node))
		if err != nil {
			p.t.Fatal(err)
		}
		p.step(i, replica.Opened{Hello: hello})
	}
}

func (p *pair) step(i int, e replica.SessionEvent) {
	for _, effect := range p.sides[i].session.Step(p.now, e) {
		switch effect := effect.(type) {
		case replica.DoSend:
			frame, err := wire.Encode(effect.Message)
			if err != nil {
				p.t.Fatal(err)
			}
			p.sides[1-i].frames = append(p.sides[1-i].frames, frame)
		case replica.DoClose:
			p.t.Fatalf("side %d closes: %s %s", i, effect.Code, effect.Detail)
		default:
			p.sides[i].effects = append(p.sides[i].effects, effect)
		}
	}
}

// perform does an effect at the node, as the line's worker does.
func (p *pair) perform(i int, effect replica.SessionEffect) replica.SessionEvent {
	ctx, s, peer := context.Background(), p.sides[i], peerOf(p.sides[1-i].node)
	var event replica.SessionEvent
	var err error
	switch e := effect.(type) {
	case replica.DoGreet:
		var g replica.Greeting
		if g, err = s.node.Greet(ctx, building, peer, e.Hello); g.Rewound || len(g.Forks) > 0 {
			p.t.Fatalf("side %d sees trouble where there is none: %+v", i, g)
		}
		event = g.Event()
	case replica.DoReadPage:
		var page wire.Page
		page, err = s.node.ReadPage(ctx, building, e.After, e.Until, e.Held, e.Skips)
		event = replica.PageRead{Page: page}
	case replica.DoReadEvents:
		var page wire.Page
		page, err = s.node.ReadEvents(ctx, building, e.Want)
		event = replica.PageRead{Page: page}
	case replica.DoReadDigest:
		var st replica.Stretch
		st, err = s.node.ReadDigest(ctx, building, e.Reader, e.After, e.Held, e.Skips)
		event = replica.DigestRead{Stretch: st}
	case replica.DoCheckDigest:
		var c replica.Checked
		c, err = s.node.CheckDigest(ctx, building, peer, e.Sender, e.Digest)
		event = replica.DigestChecked(c)
	case replica.DoApplyPage:
		var a replica.Applied
		a, err = s.node.ApplyContent(ctx, building, peer, e.Page, nil, nil)
		if err == nil && len(a.Alarms)+len(a.Ack.Quarantined) > 0 {
			p.t.Fatalf("side %d holds back an honest page: %+v", i, a)
		}
		event = a.Event()
	case replica.DoSaveAck:
		err = s.node.ApplyAck(ctx, building, peer, e.Ack)
		event = replica.AckSaved{}
	case replica.DoFollow:
		err = s.node.FollowClock(ctx, building, peer, e.Time)
		event = replica.Followed{}
	}
	if err != nil {
		if !s.busy {
			p.t.Fatalf("side %d: %T: %v", i, effect, err)
		}
		return replica.EffectFailed{Effect: effect, Busy: true}
	}
	return event
}

func (p *pair) write(i int) {
	s := p.sides[i]
	if s.busy {
		return
	}
	key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", fmt.Sprint(rapid.IntRange(0, 5).Draw(p.t, "ticket")))}
	p.count++
	text := record.Text(fmt.Sprintf("%d of side %d", p.count, i))
	_, err := s.node.Write(context.Background(), building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: record.DerivedID("person", "ann")}, Action: "ticket.edit",
			Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{{Field: "title", Value: text}}}}}, nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// turn does one thing at one side; false if there was nothing of the sort to do.
func (p *pair) turn(i int, what string) bool {
	s := p.sides[i]
	switch what {
	case "frame":
		if len(s.frames) == 0 {
			return false
		}
		m, err := wire.Decode(s.frames[0])
		if err != nil {
			p.t.Fatal(err)
		}
		s.frames = s.frames[1:]
		p.step(i, replica.Received{Message: m})
	case "effect", "effect lost":
		if len(s.effects) == 0 {
			return false
		}
		at := rapid.IntRange(0, len(s.effects)-1).Draw(p.t, "which")
		effect := s.effects[at]
		s.effects = append(s.effects[:at:at], s.effects[at+1:]...)
		event := p.perform(i, effect)
		if what == "effect lost" {
			p.connect() // done, but nobody heard of it
			return true
		}
		p.step(i, event)
	case "moved":
		select {
		case <-s.moved:
			p.step(i, replica.FeedMoved{})
		default:
			return false
		}
	case "tick":
		p.now += 300
		p.step(i, replica.Ticked{})
	case "write":
		p.write(i)
	case "busy":
		s.busy = !s.busy
	case "cut":
		p.connect()
	}
	return true
}

// TestTwoSessionsConverge: whatever happens on the way, two nodes that stay connected for
// long enough end with the same bytes (invariant 2), say so on both sides (13), and had
// every write (3): SPEC R12, SPEC R14, SPEC R21, SPEC R22.
func TestTwoSessionsConverge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		p.connect()
		// Likely things are listed more often.
		chaos := rapid.SampledFrom([]string{"frame", "frame", "frame", "effect", "effect", "effect", "moved", "moved", "write", "write", "tick", "busy", "cut", "effect lost"})
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			p.turn(rapid.IntRange(0, 1).Draw(t, "side"), chaos.Draw(t, "what"))
		}
		for _, s := range p.sides {
			s.busy = false
		}
		p.settle(t)
		a, b := contents(t, p.sides[0].store), contents(t, p.sides[1].store)
		if !equal(a, b) {
			t.Fatalf("the sides hold %d and %d records and differ", len(a), len(b))
		}
		for i, s := range p.sides {
			if !s.session.Status().Synced {
				t.Fatalf("side %d is done and does not say so: %+v", i, s.session.Status())
			}
		}
		p.checkChains(t)
	})
}

// settle lets everything happen, without faults, until nothing is left to do.
func (p *pair) settle(t *rapid.T) {
	// Longer than the longest retry of a busy effect, and shorter than the heartbeat.
	const turnsMax, idleMax = 10_000, 18
	idle := 0
	for range turnsMax {
		did := false
		for i := range p.sides {
			for _, what := range []string{"frame", "effect", "moved"} {
				did = p.turn(i, what) || did
			}
		}
		if did {
			idle = 0
			continue
		}
		// Busy effects wait for their time.
		if idle++; idle > idleMax {
			return
		}
		p.turn(0, "tick")
		p.turn(1, "tick")
	}
	t.Fatal("the two never come to rest")
}

// checkChains holds that both sides hold every chain whole: each write is one event.
func (p *pair) checkChains(t *rapid.T) {
	var held [2]map[record.ReplicaID]replica.Chain
	for i, s := range p.sides {
		held[i] = map[record.ReplicaID]replica.Chain{}
		chains, err := s.store.Chains(context.Background(), building)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range chains {
			held[i][c.Replica] = c
		}
	}
	events := 0
	for id, a := range held[0] {
		if b := held[1][id]; a.Held != b.Held || a.Hash != b.Hash {
			t.Fatalf("chain %s: %d events here, %d there", id, a.Held, b.Held)
		}
		events += int(a.Held) - 1
	}
	if len(held[0]) != len(held[1]) || events != p.count {
		t.Fatalf("%d and %d chains, %d events of %d writes", len(held[0]), len(held[1]), events, p.count)
	}
}
