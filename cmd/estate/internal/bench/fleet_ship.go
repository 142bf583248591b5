package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/internal/apiclient"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// ship is one simulated edge: the production replica and link over a store of its own in
// memory. Its line can be lost.
type ship struct {
	building record.ID
	code     string
	node     *replica.Node
	store    *hold
	make     func(url string) (*synclink.Uplink, error)
	address  atomic.Pointer[string]
	link     atomic.Pointer[synclink.Uplink]
	away     atomic.Bool // the line is cut
	failed   atomic.Int64
	reason   atomic.Pointer[string] // of the last failure
	state    atomic.Pointer[synclink.Status]
	bytes    struct{ in, out atomic.Uint64 }
	turn     chan struct{} // the link is to be made anew, to another address

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// errCut is why a line cannot be had now.
var errCut = errors.New("the line is cut")

// launch makes a building and enrols an edge in it.
func (a *armada) launch(ctx context.Context, i int) (*ship, error) {
	s := &ship{code: fmt.Sprintf("F%04d", i), turn: make(chan struct{}, 1), conns: map[net.Conn]struct{}{}}
	var place desk.Building
	err := patiently(ctx, func() (err error) {
		place, err = a.admin.CreateBuilding(ctx, apiclient.NewBuilding{Name: "Fleet " + s.code, Code: s.code, TimeZone: "Europe/Vienna"})
		return err
	})
	if err != nil {
		return nil, err
	}
	s.building = place.ID
	var made apiclient.EnrolCode
	err = patiently(ctx, func() (err error) {
		made, err = a.admin.CreateEnrolCode(ctx, place.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	code, err := auth.ParseEnrolCode(made.Code)
	if err != nil {
		return nil, err
	}
	key, err := auth.LoadNodeKey(filepath.Join(a.Dir(), "ship-"+s.code), rand.Reader)
	if err != nil {
		return nil, err
	}
	cloud, err := apiclient.New(a.clouds[0].Base())
	if err != nil {
		return nil, err
	}
	cloud = cloud.From(berth(i))
	known, err := enrolKey(ctx, cloud, key, code)
	if err != nil {
		return nil, err
	}
	store, boot := newHold(s.building), record.DerivedID("ship", key.ID().String())
	s.store = store
	s.node = &replica.Node{Key: key.Replication(), Tier: record.TierEdge, Rules: schema.Default(), Store: store, Boot: func() record.ID { return boot },
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
	base := a.clouds[0].Base()
	s.address.Store(&base)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: berth(i).AsSlice()}}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.away.Load() {
			return nil, errCut
		}
		c, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		held := s.hold(c)
		if s.away.Load() { // since: nobody else will close it
			return nil, errors.Join(errCut, held.Close())
		}
		return held, nil
	}
	s.make = func(url string) (*synclink.Uplink, error) {
		return synclink.NewUplink(synclink.UplinkConfig{Node: s.node, Watch: store.Watch, Building: s.building,
			Peer: replica.Peer{Node: record.NodeID(known.CloudNode.PublicKey), Tier: record.TierCloud, PublicKey: known.CloudNode.PublicKey},
			URL:  url, Token: remember(sessions(cloud, key, known.Server)), Transport: &http.Transport{DialContext: dial}, Now: time.Now, Jitter: mathrand.Float64,
			Log: slog.New(slog.DiscardHandler), Changed: s.changed, Codec: a.codecs[i%len(a.codecs)]})
	}
	return s, nil
}

// patiently does again what one person does too often for the server's limit: preparing a
// fleet is not what is measured.
func patiently(ctx context.Context, do func() error) error {
	err := do()
	for apiclient.HasStatus(err, http.StatusTooManyRequests) {
		timer := time.NewTimer(limitPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		err = do()
	}
	return err
}

// limitPause is how long a request waits that came too often.
const limitPause = 500 * time.Millisecond

// remember keeps a session token for as long as a real edge does, about.
func remember(fresh func(context.Context) (string, error)) func(context.Context) (string, error) {
	var mu sync.Mutex
	var token string
	var until time.Time
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			return token, nil
		}
		got, err := fresh(ctx)
		if err == nil {
			token, until = got, time.Now().Add(auth.NodeSessionLife/2)
		}
		return got, err
	}
}

// enrolKey redeems a code for a key.
func enrolKey(ctx context.Context, cloud *apiclient.Client, key auth.NodeKey, code auth.EnrolCode) (enrolment, error) {
	asked := key.EnrolRequest(code, auth.IssuerCloud)
	var known enrolment
	err := cloud.Post(ctx, "/edges/enrol", map[string]any{"code": asked.Code.Reveal(), "node": asked.Node, "public_key": []byte(asked.Public), "signature": asked.Signature}, &known)
	if err != nil {
		return known, fmt.Errorf("enrol a box: %w", err)
	}
	return known, nil
}

// sail keeps the edge linked until ctx ends.
func (s *ship) sail(ctx context.Context, crews *errgroup.Group) {
	crews.Go(func() error {
		for ctx.Err() == nil {
			link, err := s.make(*s.address.Load())
			if err != nil {
				return err
			}
			s.link.Store(link)
			running, end := context.WithCancel(ctx)
			go func() {
				select {
				case <-s.turn:
				case <-running.Done():
				}
				end()
			}()
			err = link.Run(running)
			end()
			if err != nil && ctx.Err() == nil {
				return err
			}
		}
		return nil
	})
}

// steer sends the edge to another address.
func (s *ship) steer(url string) {
	if *s.address.Load() != url {
		s.address.Store(&url)
		s.state.Store(nil)
		s.turn <- struct{}{}
	}
}

func (s *ship) uplink() *synclink.Uplink { return s.link.Load() }

// changed counts attempts that failed for another reason than the cut.
func (s *ship) changed(status synclink.Status) {
	if old := s.state.Swap(&status); status.Attempts > 0 && (old == nil || status.Attempts > old.Attempts) {
		s.failed.Add(1)
		reason := status.Code + ": " + status.Detail
		s.reason.Store(&reason)
	}
}

func (s *ship) inStep() bool {
	status := s.state.Load()
	return status != nil && status.State == synclink.Synced
}

// broken is what a simulated edge met that it cannot do.
func broken(ships []*ship) error {
	for _, s := range ships {
		if err := s.store.broken.Load(); err != nil {
			return fmt.Errorf("edge %s: %w", s.code, *err)
		}
	}
	return nil
}

// lose cuts the line as a broken network would.
func (s *ship) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close() // that is the point
	}
}

func (s *ship) hold(c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &heldConn{Conn: c, ship: s}
	s.conns[h] = struct{}{}
	return h
}

// heldConn counts bytes and can be cut from outside.
type heldConn struct {
	net.Conn
	ship *ship
}

func (c *heldConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.ship.bytes.in.Add(uint64(max(n, 0)))
	return n, err
}

func (c *heldConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.ship.bytes.out.Add(uint64(max(n, 0)))
	return n, err
}

func (c *heldConn) Close() error {
	go c.forget() // lose holds the lock while it closes
	return c.Conn.Close()
}

func (c *heldConn) forget() {
	c.ship.mu.Lock()
	defer c.ship.mu.Unlock()
	delete(c.ship.conns, c)
}

// write makes one ticket as an edge's API does.
func (s *ship) write(ctx context.Context, words []string, author record.ID, n int) error {
	now := time.Now().UnixMilli()
	id, err := record.NewID(now, rand.Reader)
	if err != nil {
		return err
	}
	in, key := ticket(words, n), record.Key{Building: s.building, Kind: "ticket", ID: id}
	text := func(field, value string) replica.FieldWrite {
		return replica.FieldWrite{Field: field, Value: record.Text(value)}
	}
	_, err = s.node.Write(ctx, key.Building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: author}, Action: "ticket.create", Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{
			text("code", desk.TicketCode(s.code, id, boxCodeChars)), text("title", in.Title), text("description", in.Description), text("status", "new"),
			text("priority", in.Priority), text("category", in.Category), {Field: "reporter", Value: record.IDValue(author)}, {Field: "reported_at", Value: record.Int(now)},
		}}}}, nil
	})
	return err
}
