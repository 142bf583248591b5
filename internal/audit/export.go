package audit

import (
	"bufio"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"estate/sync/record"
	"estate/sync/replica"
)

// eventsPerRead is how many events are in memory at once.
const eventsPerRead = 256

// Source is what an export reads of a store.
type Source interface {
	// Chains lists every replica's chain that the store knows of a building.
	Chains(ctx context.Context, building record.ID) ([]replica.Chain, error)
	// Events reads a replica's events with numbers in [from, to], in order, at most limit.
	Events(ctx context.Context, building record.ID, replica record.ReplicaID, from, to uint64, limit int) ([]replica.EventRow, error)
	// Branches reads events that lie beside a building's chains, by replica, number and hash, at
	// most limit, beginning behind the one of which after has these three.
	Branches(ctx context.Context, building record.ID, after replica.EventRow, limit int) ([]replica.EventRow, error)
}

// Export writes a building's chains as lines of JSON: a header, the signed heads of their
// writers, the exporting node's receipts (its signed word of what it holds, which later
// convicts whoever cuts a chain), what forks left beside the chains, then the events chain by
// chain, and an end. It reads and writes as it goes, whatever the length.
func Export(ctx context.Context, source Source, key ed25519.PrivateKey, building record.ID, now time.Time, w io.Writer) error {
	chains, err := source.Chains(ctx, building)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	chains = slices.DeleteFunc(chains, func(c replica.Chain) bool { return c.Held == 0 })
	newestFirst(chains)
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("export: the node's key is not Ed25519")
	}
	buffered := bufio.NewWriter(w)
	e := exporter{source: source, building: building, out: json.NewEncoder(buffered)}
	now = now.UTC()
	e.line(line{Type: typeHeader, Version: formatVersion, Building: building, Node: record.NodeID(public), PublicKey: public, ExportedAt: &now})
	for _, c := range chains {
		e.claims(key, c)
	}
	for _, c := range chains {
		if c.Fork > 0 {
			e.line(line{Type: typeFork, Replica: c.Replica, N: c.Fork})
		}
	}
	e.branches(ctx)
	for _, c := range chains {
		e.events(ctx, c)
	}
	e.line(line{Type: typeEnd, Events: e.count, Beside: e.beside})
	if e.err != nil {
		return fmt.Errorf("export audit: %w", e.err)
	}
	return buffered.Flush()
}

// newestFirst orders chains so that a card comes before the chain that it names as its
// predecessor: a check then needs only one pass. A successor's id is made later, so ids in
// falling order come close; ties of the clock are put right by the lineage.
func newestFirst(chains []replica.Chain) {
	depth := map[record.ReplicaID]int{}
	byID := map[record.ReplicaID]replica.Chain{}
	for _, c := range chains {
		byID[c.Replica] = c
	}
	for _, c := range chains {
		var path []record.ReplicaID
		id, base := c.Replica, 0
		for {
			if d, done := depth[id]; done {
				base = d
				break
			}
			chain, ok := byID[id]
			if !ok || slices.Contains(path, id) {
				break
			}
			path = append(path, id)
			if chain.Card == nil {
				break
			}
			id = chain.Card.Predecessor.Replica
		}
		for i := len(path) - 1; i >= 0; i-- {
			base++
			depth[path[i]] = base
		}
	}
	slices.SortFunc(chains, func(a, b replica.Chain) int {
		return cmp.Or(cmp.Compare(depth[b.Replica], depth[a.Replica]), a.Replica.Compare(b.Replica))
	})
}

type exporter struct {
	source   Source
	building record.ID
	out      *json.Encoder
	count    uint64
	beside   uint64
	err      error // the first; nothing is written after it
}

func (e *exporter) line(l line) {
	if e.err == nil {
		e.err = e.out.Encode(l)
	}
}

// claims writes what is signed for a chain.
func (e *exporter) claims(key ed25519.PrivateKey, c replica.Chain) {
	head, proof := c.Signed, c.Proof
	if c.Card != nil && c.Card.Node == record.NodeID(key.Public().(ed25519.PublicKey)) {
		h := record.SignHead(key, e.building, c.Replica, c.Held, c.Hash)
		head, proof = &h, nil
	}
	for _, h := range []*record.Head{head, proof} {
		if h != nil {
			e.line(line{Type: typeHead, Replica: h.Replica, N: h.N, Hash: hashText(h.Hash), Signature: h.Signature})
		}
	}
	r := record.SignReceipt(key, e.building, record.Receipt{Replica: c.Replica, N: c.Held, Hash: c.Hash})
	e.line(line{Type: typeReceipt, Node: r.Issuer, Replica: r.Replica, N: r.N, Hash: hashText(r.Hash), Signature: r.Signature})
}

func (e *exporter) branches(ctx context.Context) {
	for after := (replica.EventRow{}); e.err == nil; {
		rows, err := e.source.Branches(ctx, e.building, after, eventsPerRead)
		if err != nil {
			e.err = fmt.Errorf("read branches: %w", err)
			return
		}
		if len(rows) == 0 {
			return
		}
		for _, r := range rows {
			e.event(typeBranch, r)
			e.beside++
		}
		after = rows[len(rows)-1]
	}
}

func (e *exporter) event(kind string, r replica.EventRow) {
	e.line(line{Type: kind, Replica: r.Replica, N: r.N, Hash: hashText(r.Hash), Body: r.Body, Details: r.Details})
}

func (e *exporter) events(ctx context.Context, c replica.Chain) {
	for from := uint64(1); from <= c.Held && e.err == nil; {
		rows, err := e.source.Events(ctx, e.building, c.Replica, from, c.Held, eventsPerRead)
		if err != nil {
			e.err = fmt.Errorf("read events: %w", err)
			return
		}
		if len(rows) == 0 {
			return // what nobody holds any more is missing in the file, and the check says so
		}
		for _, r := range rows {
			e.event(typeEvent, r)
			e.count++
			from = r.N + 1
		}
	}
}
