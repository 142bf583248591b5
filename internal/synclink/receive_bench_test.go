package synclink_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"estate/internal/synclink"
	"estate/sync/memstore"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// benchTickets is a few pages of tickets as the desk creates them: about 0.85 KB of record,
// 1 KB of event and 0.8 KB of details each.
const benchTickets = 2000

// benchPages writes tickets at an edge and reads them as the frames of its feed.
func benchPages(b *testing.B, codec *synclink.Codec) (edge *replica.Node, frames [][]byte) {
	b.Helper()
	edge = newNode("edge", record.TierEdge, memstore.New())
	random := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("water leak pipe kitchen bathroom ceiling stain floor heating radiator cold valve since yesterday and again behind the wall")
	for n := range benchTickets {
		id, err := record.NewID(1_790_000_000_000+int64(n), rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}))
		if err != nil {
			b.Fatal(err)
		}
		var text strings.Builder
		for text.Len() < 520 {
			text.WriteString(words[random.IntN(len(words))] + " ")
		}
		key := record.Key{Building: building, Kind: "ticket", ID: id}
		fields := []replica.FieldWrite{
			{Field: "code", Value: record.Text(fmt.Sprintf("OAK-%05d", n))}, {Field: "title", Value: record.Text(fmt.Sprintf("leak pipe %d", n))},
			{Field: "description", Value: record.Text(text.String())}, {Field: "status", Value: record.Text("new")},
			{Field: "priority", Value: record.Text("normal")}, {Field: "category", Value: record.Text("other")},
			{Field: "reporter", Value: record.IDValue(record.DerivedID("person", "ann"))}, {Field: "reported_at", Value: record.Int(1_790_000_000_000 + int64(n))},
			{Field: "deleted", Value: record.Bool(false)},
		}
		_, err = edge.Write(b.Context(), building, []record.Key{key}, func(replica.Current) (replica.Intent, error) {
			return replica.Intent{Actor: record.Actor{Class: record.Person, Person: record.DerivedID("person", "ann")}, Action: "ticket.create",
				Writes: []replica.RecordWrite{{Key: key, Fields: fields}}}, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	held := map[record.ReplicaID]uint64{}
	for from := uint64(0); ; {
		p, err := edge.ReadPage(b.Context(), building, from, 0, held, func(uint64) bool { return false })
		if err != nil {
			b.Fatal(err)
		}
		frame, err := codec.Encode(p)
		if err != nil {
			b.Fatal(err)
		}
		frames, from = append(frames, frame), p.To
		replica.AdvanceHeld(held, p)
		if p.Last {
			return edge, frames
		}
	}
}

// BenchmarkReceive is what the receiver of a first reconciliation does with each ticket and
// its event, less the socket and the store.
func BenchmarkReceive(b *testing.B) {
	codec, err := synclink.NewCodec()
	if err != nil {
		b.Fatal(err)
	}
	edge, frames := benchPages(b, codec)
	// The processor's time, the collector's included, says more than the clock where others
	// use the machine, too.
	meter := func(b *testing.B) (report func()) {
		b.ReportAllocs()
		before := processorTime(b)
		return func() {
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N)/benchTickets, "cpu-ns/ticket")
		}
	}
	read := func(b *testing.B) (pages []wire.Page, contents []*replica.Content) {
		for _, frame := range frames {
			m, err := codec.Decode(frame)
			if err != nil {
				b.Fatal(err)
			}
			p := m.(wire.Page)
			pages, contents = append(pages, p), append(contents, replica.ReadContent(building, p))
		}
		return pages, contents
	}
	b.Run("frames", func(b *testing.B) {
		report := meter(b)
		for b.Loop() {
			for _, frame := range frames {
				if _, err := codec.Decode(frame); err != nil {
					b.Fatal(err)
				}
			}
		}
		report()
	})
	b.Run("content", func(b *testing.B) {
		pages, _ := read(b)
		report := meter(b)
		for b.Loop() {
			for _, p := range pages {
				replica.ReadContent(building, p)
			}
		}
		report()
	})
	b.Run("apply", func(b *testing.B) {
		pages, contents := read(b)
		report := meter(b)
		for b.Loop() {
			cloud := newNode("cloud", record.TierCloud, nil)
			cloud.Store = &sink{chains: map[record.ReplicaID]replica.Chain{}, Store: memstore.New()}
			for i, p := range pages {
				a, err := cloud.ApplyContent(context.Background(), building, peerOf(edge), p, contents[i], nil)
				if err != nil || len(a.Alarms)+len(a.Ack.Quarantined) > 0 {
					b.Fatal(err, a.Alarms, a.Ack.Quarantined)
				}
			}
		}
		report()
	})
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// sink is a store that takes everything in and keeps only what the next page is decided on.
type sink struct {
	replica.Store
	state  replica.State
	chains map[record.ReplicaID]replica.Chain
	cursor wire.Cursor
	bytes  uint64
}

func (s *sink) Update(_ context.Context, _ record.ID, fn func(replica.Tx) error) error {
	return fn(sinkTx{s})
}

func (s *sink) Load(ctx context.Context, _ record.ID, need replica.Need) (replica.Have, error) {
	return sinkTx{s}.Load(ctx, need)
}

type sinkTx struct{ *sink }

func (s sinkTx) Load(_ context.Context, need replica.Need) (replica.Have, error) {
	have := replica.Have{State: s.state, Cursor: s.cursor}
	if len(need.Chains) > 0 {
		have.Chains = maps.Clone(s.chains)
	}
	return have, nil
}

func (s sinkTx) Save(_ context.Context, e replica.Effects) error {
	s.state = e.State
	for _, c := range e.Chains {
		s.chains[c.Replica] = c
	}
	if e.Cursor != nil {
		s.cursor = e.Cursor.Cursor
	}
	for i := range e.Records {
		s.bytes += uint64(binary.BigEndian.Uint16(e.Records[i].Body))
	}
	return nil
}
