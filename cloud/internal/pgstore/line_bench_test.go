package pgstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// linePage is about as many tickets as a session joins for one transaction.
const linePage = 1433

// BenchmarkLine applies an edge's pages, each begun when the one before it is decided and at
// most so many have not ended.
func BenchmarkLine(b *testing.B) {
	for _, depth := range []int{1, 2, 3} {
		b.Run(fmt.Sprint(depth), func(b *testing.B) {
			building := record.DerivedID("building")
			store := openTest(b, benchURL(b))
			cloud := pageNode("cloud", record.TierCloud, store, store.Boot)
			edge := pageNode("edge", record.TierEdge, memstore.New(), func() record.ID { return record.DerivedID("boot") })
			pages := linePages(b, edge, building, max(b.N, 2*linePage))
			contents := make([]*replica.Content, len(pages))
			for i, p := range pages {
				contents[i] = replica.ReadContent(building, p)
			}
			b.ResetTimer()
			if err := applyLine(b.Context(), cloud, pagePeer(edge), building, pages, contents, depth); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(max(b.N, 2*linePage))/b.Elapsed().Seconds(), "tickets/s")
		})
	}
}

func applyLine(ctx context.Context, cloud *replica.Node, peer replica.Peer, building record.ID, pages []wire.Page, contents []*replica.Content, depth int) error {
	places, errs := make(chan struct{}, depth), make(chan error, len(pages))
	var running sync.WaitGroup
	for i := range pages {
		places <- struct{}{}
		decided := make(chan struct{})
		once := sync.OnceFunc(func() { close(decided) })
		running.Go(func() {
			defer once()
			defer func() { <-places }()
			if _, err := cloud.ApplyContent(ctx, building, peer, pages[i], contents[i], once); err != nil {
				errs <- err
			}
		})
		<-decided
	}
	running.Wait()
	close(errs)
	return <-errs
}

// linePages is so many tickets of an edge, as a session has them applied.
func linePages(b *testing.B, edge *replica.Node, building record.ID, tickets int) (pages []wire.Page) {
	b.Helper()
	ctx := b.Context()
	for from := 0; from < tickets; from += 100 {
		var keys []record.Key
		for i := range min(100, tickets-from) {
			keys = append(keys, record.Key{Building: building, Kind: "ticket", ID: record.DerivedID("ticket", fmt.Sprint(from+i))})
		}
		for i, key := range keys {
			_, err := edge.Write(ctx, building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
				return replica.Intent{Actor: record.Actor{Class: record.Person, Person: building}, Action: "ticket.edit",
					Writes: []replica.RecordWrite{{Key: key, Fields: ticketFields(from + i)}}}, nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for after, end := uint64(0), false; !end; {
		var joined wire.Page
		for len(joined.Records) < linePage && !end {
			p, err := edge.ReadPage(ctx, building, after, 0, nil, func(uint64) bool { return false })
			if err != nil {
				b.Fatal(err)
			}
			if joined.To == 0 {
				joined = p
			} else {
				joined.Events, joined.Records, joined.Heads = append(joined.Events, p.Events...), append(joined.Records, p.Records...), append(joined.Heads, p.Heads...)
				joined.To = p.To
			}
			after, end = p.To, p.Last
		}
		pages = append(pages, joined)
	}
	return pages
}

func ticketFields(i int) []replica.FieldWrite {
	text := func(field, v string) replica.FieldWrite {
		return replica.FieldWrite{Field: field, Value: record.Text(v)}
	}
	person := record.IDValue(record.DerivedID("person", fmt.Sprint(i%997)))
	return []replica.FieldWrite{text("code", fmt.Sprintf("B-%06d", i)), text("title", fmt.Sprintf("Ticket number %d of the building", i)), text("status", "new"),
		text("priority", "normal"), text("description", strings.Repeat(fmt.Sprintf("The tap of flat %d drips. ", i%500), 12)),
		{Field: "reporter", Value: person}, {Field: "unit", Value: record.IDValue(record.DerivedID("unit", fmt.Sprint(i%499)))}}
}
