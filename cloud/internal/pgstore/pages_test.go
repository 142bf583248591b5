package pgstore

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/lab/pglab"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/synclink"
	"estate/schema"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
)

// killer is a store whose server is killed in the middle of transactions that apply pages.
type killer struct {
	replica.Store
	cluster *pglab.Cluster
	gate    sync.RWMutex // held for writing while the test looks
	pages   atomic.Int64 // since the last kill
	moment  atomic.Int64
	killed  chan error
}

// The moments of a kill, in the order in which they come.
const (
	beforeRows = iota
	afterRows
	inCommit
	moments
)

// pagesBetween is how many pages are applied before the next kill.
const pagesBetween = 5

func (k *killer) Update(ctx context.Context, building record.ID, fn func(replica.Tx) error) error {
	k.gate.RLock()
	defer k.gate.RUnlock()
	return k.Store.Update(ctx, building, func(tx replica.Tx) error { return fn(killerTx{tx, k}) })
}

type killerTx struct {
	replica.Tx
	killer *killer
}

func (t killerTx) Boot() record.ID { return t.Tx.(replica.Booter).Boot() }

func (t killerTx) Save(ctx context.Context, e replica.Effects) error {
	k := t.killer
	if len(e.Records) == 0 || k.pages.Add(1) != pagesBetween {
		return t.Tx.Save(ctx, e)
	}
	switch k.moment.Add(1) - 1 {
	case beforeRows:
		k.killed <- k.cluster.Kill()
		return t.Tx.Save(ctx, e)
	case afterRows:
		err := t.Tx.Save(ctx, e)
		k.killed <- k.cluster.Kill()
		return err
	case inCommit:
		err := t.Tx.Save(ctx, e)
		go func() { k.killed <- k.cluster.Kill() }()
		return err
	}
	return t.Tx.Save(ctx, e)
}

func pageNode(name string, tier record.Tier, store replica.Store, boot func() record.ID) *replica.Node {
	seed := sha256.Sum256([]byte(name))
	return &replica.Node{Key: ed25519.NewKeyFromSeed(seed[:]), Tier: tier, Rules: schema.Default(), Store: store, Boot: boot,
		Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader, Schema: schema.Version,
		Trusted: func(context.Context, record.ID, record.ID, record.Tier) (bool, error) { return true, nil }}
}

func pagePeer(n *replica.Node) replica.Peer {
	return replica.Peer{Node: n.ID(), Tier: n.Tier, PublicKey: n.PublicKey()}
}

// Invariants 1 and 2 for a link: the server is killed again and again while an edge's pages
// are applied. What the edge has receipts for is there when the server is back, the link goes
// on by itself, everything arrives once, and nobody takes the cloud for a rewound one.
func TestServerKilledWhilePagesAreApplied(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	building := record.DerivedID("building")
	cluster := pgtest.Cluster(t)
	if err := cluster.CreateDatabase(ctx, "cloud", ""); err != nil {
		t.Fatal(err)
	}
	store := openTest(t, cluster.URL("cloud"))
	k := &killer{Store: store, cluster: cluster, killed: make(chan error, 1)}
	here := memstore.New()
	cloud := pageNode("cloud", record.TierCloud, k, store.Boot)
	edge := pageNode("edge", record.TierEdge, here, func() record.ID { return record.DerivedID("boot") })
	uplink := link(t, cloud, edge, here, store, building)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- uplink.Run(running) }()
	written := uint64(0)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for kills := 0; kills < moments; {
		writePage(t, edge, building, written)
		written++
		uplink.Kick()
		select {
		case err := <-k.killed:
			if err != nil {
				t.Fatal(err)
			}
			kills++
			k.lookAfterKill(ctx, t, here, building)
		case <-ctx.Done():
			t.Fatalf("%d of %d kills after %d writes", kills, moments, written)
		case <-tick.C: // pages, not one page of all
		}
	}
	for receipted(t, here, building) < written {
		select {
		case <-tick.C:
			uplink.Kick()
		case <-ctx.Done():
			t.Fatalf("%d of %d writes are acknowledged: %+v", receipted(t, here, building), written, uplink.Status(t.Context()))
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var events, records uint64
	if err := store.Pool().QueryRow(t.Context(), "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM record)").Scan(&events, &records); err != nil {
		t.Fatal(err)
	}
	if held := heldOf(t, store, building); held != written || records != written || events != written+1 {
		t.Errorf("%d writes arrived as %d transactions and %d records (%d events)", written, held, records, events)
	}
	t.Logf("%d writes, %d kills", written, moments)
}

// lookAfterKill starts the server again and, before the link goes on, looks whether all is
// there for which the edge has receipts.
func (k *killer) lookAfterKill(ctx context.Context, t *testing.T, here *memstore.Store, building record.ID) {
	t.Helper()
	k.gate.Lock()
	defer k.gate.Unlock()
	if err := k.cluster.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	floor := receipted(t, here, building) // acknowledgements that were under way have come
	if held := heldOf(t, openTest(t, k.cluster.URL("cloud")), building); held < floor || floor == 0 {
		t.Fatalf("the edge has receipts for %d writes, the cloud holds %d", floor, held)
	}
	k.pages.Store(0)
}

// heldOf is how many writes of the edge a store holds: its chain without the card.
func heldOf(t *testing.T, s replica.Store, building record.ID) uint64 {
	t.Helper()
	return chainSum(t, s, building, func(c replica.Chain) uint64 { return c.Held })
}

// receipted is how many of its writes the edge knows to be at the cloud.
func receipted(t *testing.T, s replica.Store, building record.ID) uint64 {
	t.Helper()
	return chainSum(t, s, building, func(c replica.Chain) uint64 { return c.Receipted })
}

func chainSum(t *testing.T, s replica.Store, building record.ID, of func(replica.Chain) uint64) (sum uint64) {
	t.Helper()
	chains, err := s.Chains(t.Context(), building)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chains {
		sum += max(of(c), 1) - 1
	}
	return sum
}

func writePage(t *testing.T, n *replica.Node, building record.ID, i uint64) {
	t.Helper()
	key := record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", fmt.Sprint(i))}
	_, err := n.Write(t.Context(), building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Person, Person: building}, Action: "ticket.edit",
			Writes: []replica.RecordWrite{{Key: key, Fields: []replica.FieldWrite{{Field: "description", Value: record.Text(fmt.Sprint("write ", i))}}}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// link is an edge's uplink to a cloud that serves over HTTP; an alarm fails the test.
func link(t *testing.T, cloud, edge *replica.Node, here *memstore.Store, there *Store, building record.ID) *synclink.Uplink {
	t.Helper()
	alarm := synclink.Hooks{Alarm: func(_, _ record.ID, code string) { t.Errorf("alarm %s", code) }}
	server, err := synclink.NewServer(synclink.ServerConfig{Node: cloud, Watch: there.Watch, Now: time.Now, Log: slog.New(slog.DiscardHandler), Hooks: alarm,
		Authenticate: func(*http.Request) (replica.Peer, record.ID, error) { return pagePeer(edge), building, nil },
		Revoked:      func(context.Context, record.ID, record.ID) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(synclink.PathSocket, server.Socket())
	mux.Handle(synclink.PathExchange, server.Exchange())
	web := httptest.NewServer(mux)
	t.Cleanup(func() { server.Close(); web.Close() })
	uplink, err := synclink.NewUplink(synclink.UplinkConfig{Node: edge, Watch: here.Watch, Building: building, Peer: pagePeer(cloud), URL: web.URL, Hooks: alarm,
		Token: func(context.Context) (string, error) { return "edge", nil }, Now: time.Now, Jitter: func() float64 { return 0.5 }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return uplink
}
