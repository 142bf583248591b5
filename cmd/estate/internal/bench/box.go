package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// box is an edge without a disk: the production replica over a store that keeps what the
// cloud does not have yet, enrolled
// with a key of its own. It writes what an edge writes, only faster, because nobody has to
// ask for each ticket; the cloud cannot tell it from an edge.
type box struct {
	node   *replica.Node
	store  *hold
	uplink *synclink.Uplink
}

// aheadMax is how many things, a ticket being two, a box writes before the cloud has them.
const aheadMax = 50_000

// enrolment is what the cloud answers to a code.
type enrolment struct {
	Building  record.ID `json:"building"`
	Server    string    `json:"server"`
	CloudNode struct {
		PublicKey []byte `json:"public_key"`
	} `json:"cloud_node"`
}

// newBox enrols another edge of the building.
func (s *site) newBox(ctx context.Context) (*box, error) {
	key, err := auth.LoadNodeKey(filepath.Join(s.Dir(), "box-key"), rand.Reader)
	if err != nil {
		return nil, err
	}
	admin, err := s.SignIn(ctx, s.cloud.Base(), "admin")
	if err != nil {
		return nil, err
	}
	made, err := admin.CreateEnrolCode(ctx, s.edge.Place.ID)
	if err != nil {
		return nil, err
	}
	code, err := auth.ParseEnrolCode(made.Code)
	if err != nil {
		return nil, err
	}
	cloud, err := apiclient.New(s.cloud.Base())
	if err != nil {
		return nil, err
	}
	known, err := enrolKey(ctx, cloud, key, code)
	if err != nil {
		return nil, err
	}
	store, boot := newHold(s.edge.Place.ID), record.DerivedID("box", key.ID().String())
	b := &box{store: store, node: &replica.Node{Key: key.Replication(), Tier: record.TierEdge, Rules: schema.Default(), Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}}
	b.uplink, err = synclink.NewUplink(synclink.UplinkConfig{Node: b.node, Watch: store.Watch, Building: s.edge.Place.ID,
		Peer: replica.Peer{Node: record.NodeID(known.CloudNode.PublicKey), Tier: record.TierCloud, PublicKey: known.CloudNode.PublicKey},
		URL:  s.cloud.Base(), Token: sessions(cloud, key, known.Server), Now: time.Now, Jitter: mathrand.Float64, Log: slog.New(slog.DiscardHandler)})
	return b, err
}

// sessions signs the box in, as an edge does.
func sessions(cloud *apiclient.Client, key auth.NodeKey, server string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var challenge struct {
			Nonce string `json:"nonce"`
		}
		if err := cloud.Post(ctx, "/sync/challenge", struct{}{}, &challenge); err != nil {
			return "", fmt.Errorf("ask for a challenge: %w", err)
		}
		proof := key.Answer(challenge.Nonce, server)
		var opened struct {
			Token string `json:"token"`
		}
		err := cloud.Post(ctx, "/sync/session", map[string]any{"node": proof.Node, "nonce": proof.Nonce, "signature": proof.Signature}, &opened)
		return opened.Token, err
	}
}

// fill writes so many tickets in the box and brings them to the cloud and from there to
// the edge, all at once: a million is prepared in the time that the slowest of the three
// takes. It gives the rate at which the cloud had them.
func (s *site) fill(ctx context.Context, b *box, count int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, growthTimeout)
	defer cancel()
	before, err := s.stored(ctx)
	if err != nil {
		return 0, err
	}
	linked, unlink := context.WithCancel(ctx)
	var link errgroup.Group
	link.Go(func() error { return b.uplink.Run(linked) })
	began := time.Now()
	_, err = s.drive(ctx, "tickets of a box without a disk", 1, count, func(ctx context.Context, _, i int) error {
		if err := b.store.roomy(ctx, aheadMax); err != nil {
			return err
		}
		return s.writeInBox(ctx, b, s.next+i)
	})
	s.next += count
	now := before
	if err == nil {
		err = stack.PollEvery(ctx, countEvery, fmt.Sprintf("%d tickets to reach the cloud", count), func() (bool, error) {
			var err error
			now, err = s.stored(ctx)
			return now.events-before.events >= int64(count), err
		})
	}
	took := time.Since(began)
	unlink()
	if err := errors.Join(err, link.Wait()); err != nil {
		return 0, fmt.Errorf("%w (%d are there, the link is %+v)", err, now.events-before.events, b.uplink.Status(context.WithoutCancel(ctx)))
	}
	s.say("%d tickets are at the cloud after %s", count, took.Round(time.Second))
	return perSecond(count, took), s.drained(ctx)
}

// writeInBox writes what a create through the API writes.
func (s *site) writeInBox(ctx context.Context, b *box, n int) error {
	now := time.Now().UnixMilli()
	id, err := record.NewID(now, rand.Reader)
	if err != nil {
		return err
	}
	in, person, key := ticket(s.words, n), s.State.Person(person(0)).ID, record.Key{Building: s.edge.Place.ID, Kind: "ticket", ID: id}
	text := func(field, value string) replica.FieldWrite {
		return replica.FieldWrite{Field: field, Value: record.Text(value)}
	}
	_, err = b.node.Write(ctx, key.Building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: person}, Action: "ticket.create", Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{
			text("code", desk.TicketCode(buildingCode, id, boxCodeChars)), text("title", in.Title), text("description", in.Description), text("status", "new"),
			text("priority", in.Priority), text("category", in.Category), {Field: "reporter", Value: record.IDValue(person)}, {Field: "reported_at", Value: record.Int(now)},
		}}}}, nil
	})
	return err
}
