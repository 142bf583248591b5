package sim

import (
	"context"

	"estate/sync/record"
)

// eraseEvery is how many writes at the cloud lie between two erasures.
const eraseEvery = 4

// erase has the cloud erase some transaction that it holds, after some of its writes. What
// is erased follows from what happened, not from the seed's choices: they stay as they are.
// Refusals are left alone: their values are what the oracle finds refused values by.
func (w *world) erase(h *host, b record.ID) {
	n := w.report.Counts["write"]
	if !h.isCloud() || n%eraseEvery != 0 {
		return
	}
	ctx := context.Background()
	chains, err := h.disk.store.Chains(ctx, b)
	if err != nil || len(chains) == 0 {
		return
	}
	c := chains[n/eraseEvery%len(chains)]
	rows, err := h.disk.store.Events(ctx, b, c.Replica, uint64(n)%(c.Held+1), ^uint64(0), 1)
	if err != nil || len(rows) == 0 {
		return
	}
	e, err := record.DecodeEvent(rows[0].Body)
	if err != nil || len(e.Touches) == 0 || len(e.Refusals) > 0 {
		return
	}
	out, err := h.node.Erase(ctx, b, record.Actor{Class: record.Automation, Name: h.name}, "erase", []record.Dot{e.Dot()})
	switch {
	case err != nil && !stumbles(err):
		w.violate("erase at %s: %v", h.name, err)
	case len(out.Events) > 0:
		w.count("erasure")
	}
}

// erased holds that what the cloud's events erased is gone at every host (SPEC R32).
func (w *world) erased(b record.ID) {
	ctx := context.Background()
	chains, err := w.clouds[0].disk.store.Chains(ctx, b)
	if err != nil {
		w.violate("chains: %v", err)
	}
	for _, c := range chains {
		if c.Card == nil || c.Card.Tier != record.TierCloud {
			continue
		}
		rows, err := w.clouds[0].disk.store.Events(ctx, b, c.Replica, 1, c.Held, 1<<20)
		if err != nil {
			w.violate("events: %v", err)
		}
		for _, row := range rows {
			e, err := record.DecodeEvent(row.Body)
			if err != nil {
				continue // chains has told
			}
			for _, dot := range e.Erasures {
				w.withoutDetails(b, dot)
			}
		}
	}
}

// withoutDetails holds that no host has the details of one transaction.
func (w *world) withoutDetails(b record.ID, dot record.Dot) {
	for _, h := range w.hosts {
		rows, err := h.disk.store.Events(context.Background(), b, dot.Replica, dot.N, dot.N, 1)
		if err != nil {
			w.violate("events: %v", err)
		}
		w.checked(1)
		if len(rows) == 1 && len(rows[0].Details) > 0 {
			w.violate("erased: %s:%d has its details at %s", dot.Replica, dot.N, h.name)
		}
	}
}
