package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"estate/internal/apiclient"
)

const (
	createsFull, createsQuick = 20_000, 200
	// clients is how many ask at once.
	clients      = 16
	goalOfSingle = 0.5
	goalP99      = 10.0 // milliseconds
)

// creates measures single durable creates through the API at either end while the line is
// cut, so that each end does its own work alone.
func creates(ctx context.Context, s *site) error {
	count := s.how.size(createsFull, createsQuick)
	s.edge.Line.Cut()
	edge, err := s.createAt(ctx, "edge", s.atEdge, count)
	if err != nil {
		return err
	}
	// Both write to PostgreSQL: each begins with as much of a log to write over.
	if err := s.ready(ctx, count); err != nil {
		return err
	}
	cloud, err := s.createAt(ctx, "cloud", s.atCloud, count)
	if err != nil {
		return err
	}
	if err := s.ready(ctx, count); err != nil {
		return err
	}
	single, err := s.singleRows(ctx, count)
	if err != nil {
		return err
	}
	for _, end := range []struct {
		name string
		timings
	}{{"edge", edge}, {"cloud", cloud}} {
		name := fmt.Sprintf("creates: %d clients at the %s", clients, end.name)
		s.add(
			beside(name, end.rate(), "requests/s", "single-row transactions, as many connections", single.rate()).ratioAtLeast(goalOfSingle),
			beside(name+", p50", percentile(end.each, 0.5), "ms", "single-row transactions", percentile(single.each, 0.5)),
			beside(name+", p99", percentile(end.each, 0.99), "ms", "single-row transactions", percentile(single.each, 0.99)).atMost(goalP99),
		)
	}
	if err := s.besidePosts(ctx, edge, cloud, count); err != nil {
		return err
	}
	s.edge.Line.Restore()
	return s.drained(ctx)
}

// createAt creates at one end, and notes what each create cost there and here.
func (s *site) createAt(ctx context.Context, end string, people []*apiclient.Client, count int) (timings, error) {
	m, mine := watch(ctx, s.programs()), ownTime()
	t, err := s.create(ctx, "creating at the "+end, people, clients, count)
	all := m.end()
	if err != nil {
		return t, err
	}
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(count) }
	s.add(
		plain("creates: CPU of "+end+" for each", each(all[end].cpu), "µs"),
		plain("creates: CPU of these clients for each, at the "+end, each(ownTime()-mine), "µs"),
	)
	if end == "cloud" {
		s.add(plain("creates: CPU of PostgreSQL for each", each(all["PostgreSQL"].cpu), "µs"))
	}
	return t, nil
}

// singleRows is the limit of the machine: one row of a record's size in a transaction of
// its own, on as many connections.
func (s *site) singleRows(ctx context.Context, count int) (t timings, err error) {
	if err := s.makeTwin(ctx, "record"); err != nil {
		return t, err
	}
	connections := make([]*pgx.Conn, clients)
	for i := range connections {
		if connections[i], err = pgx.Connect(ctx, s.DatabaseURL()); err != nil {
			return t, fmt.Errorf("connect for the baseline: %w", err)
		}
		defer func() { _ = connections[i].Close(context.WithoutCancel(ctx)) }()
	}
	body := bytes.Repeat([]byte{'x'}, recordBytes)
	return s.drive(ctx, "single-row transactions", clients, count, func(ctx context.Context, client, i int) error {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		_, err = connections[client].Exec(ctx, "INSERT INTO bench_record (building, kind, id, position, body) VALUES ($1, 'ticket', $2, $3, $4)",
			s.building(), [16]byte(id), int64(i), body)
		return err
	})
}

// besidePosts asks express-pouchdb to create as many documents, where it is installed.
func (s *site) besidePosts(ctx context.Context, edge, cloud timings, count int) error {
	peer, err := s.startPouch(ctx)
	if errors.Is(err, errNoPeer) {
		s.say("express-pouchdb is not measured: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer peer.stop()
	posts, err := s.posts(ctx, peer, count)
	if err != nil {
		return err
	}
	for _, end := range []struct {
		name string
		timings
	}{{"edge", edge}, {"cloud", cloud}} {
		name := fmt.Sprintf("creates: a peer beside %d clients at the %s", clients, end.name)
		s.add(
			beside(name, end.rate(), "requests/s", "POST to express-pouchdb", posts.rate()),
			beside(name+", p99", percentile(end.each, 0.99), "ms", "POST to express-pouchdb", percentile(posts.each, 0.99)),
		)
	}
	return nil
}

// posts asks with the same client as the API is asked with.
func (s *site) posts(ctx context.Context, peer *pouch, count int) (timings, error) {
	const database = "/posts"
	if err := peer.create(ctx, database); err != nil {
		return timings{}, err
	}
	at := make([]*rawConn, clients)
	for i := range at {
		c, err := dialRaw(ctx, peer.base, netip.Addr{}, "")
		if err != nil {
			return timings{}, err
		}
		defer c.close()
		at[i] = c
	}
	return s.drive(ctx, "POST to express-pouchdb", clients, count, func(ctx context.Context, client, i int) error {
		text, err := json.Marshal(ticket(s.words, i))
		if err != nil {
			return err
		}
		_, err = at[client].post(ctx, database, text)
		return err
	})
}

// create makes a database.
func (p *pouch) create(ctx context.Context, database string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, p.base+database, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("create %s: %w", database, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("create %s: %s", database, answer.Status)
	}
	return nil
}
