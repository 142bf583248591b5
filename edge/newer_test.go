package edge_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"estate/edge/internal/sqlitestore"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/schema"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
)

// newerKinds are those of a later release: a kind and a field that this one has not heard of.
func newerKinds() []schema.Kind {
	latest := merge.Policy{Kind: merge.Latest}
	kinds := schema.Kinds()
	i := slices.IndexFunc(kinds, func(k schema.Kind) bool { return k.Name == "ticket" })
	kinds[i].Fields = append(kinds[i].Fields, schema.Field{Name: "weather", Type: schema.Text, Max: 100, Policy: latest, Writers: []schema.Role{schema.Automation}})
	return append(kinds, schema.Kind{Name: "inspection", EdgeWrites: true, Fields: []schema.Field{
		{Name: "result", Type: schema.Text, Max: 100, Policy: latest, Writers: []schema.Role{schema.Automation}}}})
}

// TestNewerCloud: a box of this release keeps what a later cloud writes byte for byte, goes
// on working with the records that it half knows, and gives all of it back to a cloud that
// lost its data (invariants 8 and 11).
func TestNewerCloud(t *testing.T) {
	t.Parallel()
	c := startCloud(t, newerKinds()...)
	b := enrolled(t, c)
	b.signIn()
	made, err := c.desk.CreateTicket(t.Context(), desk.Caller{Person: c.manager}, c.building, desk.NewTicket{Title: "Wet wall"})
	if err != nil {
		t.Fatal(err)
	}
	ticket := record.Key{Building: c.building, Kind: "ticket", ID: made.Ticket.ID}
	inspection := record.Key{Building: c.building, Kind: "inspection", ID: must(record.NewID(1, rand.Reader))(t)}
	_, err = c.node.Write(t.Context(), c.building, []record.Key{ticket, inspection}, func(replica.Current) (replica.Intent, error) {
		return replica.Intent{Actor: record.Actor{Class: record.Automation, Name: "later"}, Action: "inspect", Writes: []replica.RecordWrite{
			{Key: inspection, Fields: []replica.FieldWrite{{Field: "result", Value: record.Text("mould")}}},
			{Key: ticket, Fields: []replica.FieldWrite{{Field: "weather", Value: record.Text("rain")}}}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/buildings/%s/tickets/%s", c.building, made.Ticket.ID)
	eventually(t, "the ticket at the box", func() bool { return b.call(http.MethodGet, path, nil, nil) == http.StatusOK })
	if status := b.call(http.MethodPatch, path, map[string]string{"priority": "high"}, nil); status != http.StatusOK {
		t.Fatalf("the box cannot change a ticket that it half knows: %d", status)
	}
	load := func(n *replica.Node, k record.Key) replica.Stored {
		return must(n.Store.Load(t.Context(), c.building, replica.Need{Keys: []record.Key{k}}))(t).Records[k]
	}
	eventually(t, "the change at the cloud", func() bool { return len(load(c.node, ticket).Record.Siblings("priority")) == 1 })
	if got := load(c.node, ticket).Record.Siblings("weather"); len(got) != 1 {
		t.Fatalf("the box's change cost the later field: %v", got)
	}
	b.stop()

	// A cloud with the same key and no data hears the box's store.
	box := must(sqlitestore.Open(t.Context(), filepath.Join(b.cfg.Data, "edge.db"), sqlitestore.Options{}))(t)
	defer func() { _ = box.Close() }()
	empty := must(sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "empty.db"), sqlitestore.Options{Kinds: newerKinds()}))(t)
	defer func() { _ = empty.Close() }()
	again := *c.node
	again.Store = empty
	key := must(auth.LoadNodeKey(filepath.Join(b.cfg.Data, "node.key"), rand.Reader))(t)
	older := &replica.Node{Key: key.Replication(), Tier: record.TierEdge, Rules: schema.Default(), Store: box, Boot: c.node.Boot, Now: func() int64 { return time.Now().UnixMilli() }, Random: rand.Reader}
	for after := uint64(0); ; {
		page := must(older.ReadPage(t.Context(), c.building, after, 0, nil, func(uint64) bool { return false }))(t)
		peer := replica.Peer{Node: key.ID(), Tier: record.TierEdge, PublicKey: key.Public()}
		if got := must(again.ApplyPage(t.Context(), c.building, peer, page))(t); len(got.Ack.Quarantined)+len(got.Alarms) > 0 {
			t.Fatalf("held back %v, alarms %v", got.Ack.Quarantined, got.Alarms)
		}
		if after = page.To; page.Last {
			break
		}
	}
	for _, k := range []record.Key{ticket, inspection} {
		if had, got := load(c.node, k).Body, load(&again, k).Body; !bytes.Equal(had, got) || len(got) == 0 {
			t.Errorf("%s came back as %d bytes, had %d", k.Kind, len(got), len(had))
		}
	}
}
