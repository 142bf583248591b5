package sim

import (
	"context"
	"slices"
	"strings"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// book is what the oracle writes down while a run goes on.
type book struct {
	// over maps a value to those that replaced it, knowing it.
	over map[string][]string
	// removals replaced a member of a set: they stand nowhere themselves.
	removals map[string]bool
	stood    map[string]bool // values that stood in a record somewhere
	undone   map[string]bool // taken out after they were merged (without AdmissionFirst)
	forged   map[sent]bool
	dots     map[record.Dot]record.Hash // every event that was ever written
	gone     []vanished                 // in this step
	forks    forks
}

func newBook() book {
	return book{over: map[string][]string{}, removals: map[string]bool{}, stood: map[string]bool{}, undone: map[string]bool{},
		forged: map[sent]bool{}, dots: map[record.Dot]record.Hash{}, forks: forks{}}
}

// sent names a record of one sender.
type sent struct {
	key  record.Key
	peer record.ID
}

// vanished is a value that a merge or a write took out of a record.
type vanished struct {
	host  string
	key   record.Key
	value string
}

// committed looks at one committed change of a store. What it finds missing is judged at
// the end of the step, when it is known who wrote what.
func (w *world) committed(h *host, c change) {
	w.checked(1)
	e := c.effects
	h.unlocked(c)
	for _, row := range e.Records {
		after := texts(row.Record)
		for _, v := range after {
			w.stood[v], h.disk.held[v] = true, true
			if !strings.HasPrefix(v, buildingName(c.building)+".") {
				w.violate("isolation: %q in %s at %s", v, buildingName(c.building), h.name)
			}
		}
		aside := w.aside(h, e.Quarantine, row.Key)
		for _, v := range texts(c.before[row.Key]) {
			if !slices.Contains(after, v) && !aside[v] && !w.keptAside(row.Key, v) {
				w.gone = append(w.gone, vanished{host: h.name, key: row.Key, value: v})
				w.trace("gone", v, h.name)
			}
		}
		if e.State.Boot == h.disk.boot { // else it has not written yet in this run and may have lost numbers
			w.ownNumbers(h, row.Record, e.State.Replica, e.State.N)
		}
	}
	for _, q := range e.Quarantine {
		if q.Code == wire.CodeChainUnproven {
			w.count("kept aside")
			continue
		}
		w.heldBackNow(h, q.Theirs, q.Body)
	}
	for _, q := range e.QuarantineOut {
		if q.Code == wire.CodeChainUnproven {
			w.count("kept aside until proven")
		} else {
			w.count("release")
		}
	}
	next := c.wrote.N + 1
	if e.State.Replica != c.wrote.Replica {
		next = 1
		w.count("replica minted")
	}
	for _, row := range e.Events {
		if row.Position == 0 {
			w.count("gap")
		}
		dot := record.Dot{Replica: row.Replica, N: row.N}
		if known, ok := w.dots[dot]; ok && known != row.Hash && !w.forks.beyond(dot) {
			w.violate("audit: number %d of %s names two transactions, one at %s", row.N, row.Replica, h.name)
		}
		w.dots[dot] = row.Hash
		w.linked(h, row)
		if row.Replica == e.State.Replica && row.N == next {
			next++
		}
	}
	if next != e.State.N+1 && e.State.N != c.wrote.N && !endsAtFork(e) {
		w.violate("audit: %s wrote up to %d, its events end before %d", h.name, e.State.N, next)
	}
}

// endsAtFork reports whether a decision found that what its node wrote last has two branches:
// its next run goes on from the last common number.
func endsAtFork(e replica.Effects) bool {
	return slices.ContainsFunc(e.Chains, func(c replica.Chain) bool {
		return c.Replica == e.State.Replica && c.Fork == e.State.N+1
	})
}

// linked holds an event that is part of its chain to the one before it.
func (w *world) linked(h *host, row replica.EventRow) {
	w.checked(1)
	e, err := record.DecodeEvent(row.Body)
	before := w.dots[record.Dot{Replica: row.Replica, N: row.N - 1}]
	branch := w.forks.beyond(record.Dot{Replica: row.Replica, N: row.N})
	if row.Position != 0 && !branch && (err != nil || row.N > 1 && e.Prev != before || record.HashEvent(row.Body) != row.Hash) {
		w.violate("audit: event %d of %s does not follow the one before at %s", row.N, row.Replica, h.name)
	}
}

// ownNumbers holds a record to numbers that its own node has given out.
func (w *world) ownNumbers(h *host, r record.Record, own record.ReplicaID, n uint64) {
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			if s.Dot.Replica == own && s.Dot.N > n && !w.forks.beyond(s.Dot) {
				w.violate("audit: a value of %s has number %d, its node is at %d", h.name, s.Dot.N, n)
			}
		}
	}
}

// aside are the values of a record that a host puts where an operator finds them: at a fork,
// those that it may not write again (SPEC R33), and what is still to be proven (R34).
func (w *world) aside(h *host, rows []replica.QuarantineRow, k record.Key) map[string]bool {
	out := map[string]bool{}
	for _, q := range rows {
		if r, err := record.Decode(q.Body); err == nil && q.Key == k && q.Peer == h.node.ID() && !q.Theirs {
			for _, v := range texts(r) {
				out[v] = true
			}
		}
	}
	return out
}

// keptAside reports whether some node keeps a value beside its record until it is proven
// whether anybody saw it replaced (SPEC R34). Whether it comes back is asked in the end.
func (w *world) keptAside(k record.Key, v string) bool {
	return slices.ContainsFunc(w.hosts, func(h *host) bool {
		have, err := h.disk.store.Load(context.Background(), k.Building, replica.Need{Peer: h.node.ID(), Quarantine: 1000})
		return err == nil && w.aside(h, have.Quarantine, k)[v]
	})
}

func (w *world) heldBackNow(h *host, theirs bool, body []byte) {
	if r, err := record.Decode(body); err == nil && !theirs {
		for _, v := range texts(r) {
			h.disk.held[v] = true
		}
		w.count("quarantine")
	}
}

// acknowledge notes a value that a host answered for.
func (w *world) acknowledge(h *host, v string, sure bool) {
	w.checked(1)
	if sure && !h.disk.held[v] && !w.removals[v] {
		w.violate("lost: %s, which %s acknowledged, is not on its disk", v, h.name)
	}
}

// letGo checks what a phone dropped from its outbox: the cloud said that it has it, or the
// phone wrote it again.
func (w *world) letGo(a *app, before []Transaction) {
	open, again := map[record.Dot]bool{}, map[string]bool{}
	for _, t := range a.phone.State.Log {
		open[t.Event.Dot()] = true
		for _, d := range t.Details {
			for _, v := range d.New {
				again[string(v)] = true
			}
		}
	}
	cloud := w.clouds[0].disk
	for _, t := range before {
		if open[t.Event.Dot()] {
			continue
		}
		w.count("settled")
		w.checked(1)
		for i, touch := range t.Event.Touches {
			k := record.Key{Building: a.phone.Building, Kind: touch.Kind, ID: touch.ID}
			if !a.phone.mine(t.Event, k)(touch.Field) {
				continue
			}
			for _, v := range t.Details[i].New {
				s, _ := v.AsText()
				if again[string(v)] {
					continue
				}
				if !cloud.held[s] && w.report.Counts["restore cloud"] == 0 {
					w.violate("lost: %s, which %s let go of, never was in a record of the cloud's", s, a.name)
				}
				cloud.held[s] = cloud.held[s] || w.report.Counts["restore cloud"] == 0
			}
		}
	}
}

// received checks that a page holds nothing that its reader may not see.
func (w *world) received(a *app, p wire.Page) {
	w.checked(1)
	for _, item := range p.Records {
		k := record.Key{Building: a.phone.Building, Kind: item.Kind, ID: item.ID}
		if !a.may(k) {
			w.violate("isolation: %s receives a %s", a.name, k.Kind)
		}
		r, err := record.Decode(item.Body)
		if err != nil {
			w.violate("page: %v", err)
		}
		for _, v := range texts(r) {
			if !strings.HasPrefix(v, buildingName(a.phone.Building)+".") {
				w.violate("isolation: %s receives %q", a.name, v)
			}
		}
	}
}

func (w *world) checked(n int) { w.report.Checks += n }

// safe closes a step: what vanished from a record was replaced by somebody who knew it.
func (w *world) safe() {
	for _, g := range w.gone {
		w.checked(1)
		if !w.undone[g.value] && !w.overwritten(g.value, map[string]bool{}) {
			w.violate("lost: %s vanished from a %s at %s, and nobody who knew it replaced it", g.value, g.key.Kind, g.host)
		}
	}
	w.gone = w.gone[:0]
}

// overwritten reports whether somebody who knew a value put another in its place that stood
// somewhere, or was itself overwritten before it could: both came in one push.
func (w *world) overwritten(value string, asked map[string]bool) bool {
	asked[value] = true
	return slices.ContainsFunc(w.over[value], func(by string) bool {
		return w.stood[by] || w.removals[by] || !asked[by] && w.overwritten(by, asked)
	})
}
