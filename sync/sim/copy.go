package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

// clonesMax bounds how many copies of disks run in one world.
const clonesMax = 2

// forksMax bounds the copies of running nodes of one kind.
const forksMax = 1

// cloneEdge starts a copy of a running edge's disk beside it: the same key, the same past.
func (w *world) cloneEdge() {
	from := pick(w, w.hosts)
	if from.isCloud() || w.report.Counts["clone edge"] >= clonesMax {
		return
	}
	w.count("clone edge", from.name)
	h := w.newHost(fmt.Sprintf("%s-copy%d", from.name, w.at), from.key, record.TierEdge, from.disk.clone(), from.buildings...)
	h.node.Rules, h.old = from.node.Rules, from.old
	w.newLine(h)
}

// clonePhone starts a copy of a phone's disk beside it.
func (w *world) clonePhone() {
	from := pick(w, w.apps)
	if w.report.Counts["clone phone"] >= clonesMax {
		return
	}
	w.count("clone phone")
	b := *from
	b.name, b.snapshots, b.pushes = fmt.Sprintf("%s-copy%d", from.name, w.at), nil, slices.Clone(from.pushes)
	a := &b
	a.phone = NewPhone(from.phone.Building, from.phone.Person, from.phone.Key, w.stream(a.name), a.clock(w))
	a.phone.State = from.phone.State.Clone()
	w.apps = append(w.apps, a)
	w.restart(a)
}

// forkEdge copies a running edge, as a virtual machine is copied with its memory: both go on
// in one run of one store, under one replica.
func (w *world) forkEdge() {
	from := pick(w, w.hosts)
	if from.isCloud() || from.down || w.report.Counts["fork edge"] >= forksMax || !w.hasWritten(from) {
		return
	}
	w.count("fork edge", from.name)
	d := from.disk.clone()
	d.boot = from.disk.boot
	h := w.newHost(fmt.Sprintf("%s-twin%d", from.name, w.at), from.key, record.TierEdge, d, from.buildings...)
	h.node.Rules, h.old, h.skew, h.frozen = from.node.Rules, from.old, from.skew, from.frozen
	w.forked(from, h)
	w.newLine(h)
}

// hasWritten reports whether a host has a running replica in each of its buildings. One that
// has none leaves copies that share nothing but the marks of their feeds: nothing tells
// them apart until both have written.
func (w *world) hasWritten(h *host) bool {
	return !slices.ContainsFunc(h.buildings, func(b record.ID) bool {
		have, err := h.disk.store.Load(context.Background(), b, replica.Need{})
		return err != nil || have.State.N == 0 || have.State.Boot != h.disk.boot
	})
}

// forked notes from which numbers on the chains of a host and its copy have two branches.
func (w *world) forked(from, twin *host) {
	w.twins = append(w.twins, from, twin)
	for _, b := range from.buildings {
		have, err := from.disk.store.Load(context.Background(), b, replica.Need{})
		if err != nil {
			w.violate("fork: %v", err)
		}
		w.forks.note(have.State.Replica, have.State.N+1)
	}
}

// writeOn has every copy of a running node write once: it is by what they write that they
// are told apart, and a node always writes.
func (w *world) writeOn() {
	for _, h := range w.twins {
		for _, b := range h.buildings {
			k, v := w.key(b, Message, w.writes), w.value(b, h.name)
			_, err := h.node.Write(context.Background(), b, []record.Key{k}, func(replica.Current) (replica.Intent, error) {
				return replica.Intent{Actor: record.Actor{Class: record.Automation, Name: h.name}, Action: "write",
					Writes: []replica.RecordWrite{{Key: k, Fields: []replica.FieldWrite{{Field: "text", Value: record.Text(v)}}}}}, nil
			})
			if err != nil && !w.revoked[h.node.ID()] {
				w.violate("%s writes on: %v", h.name, err)
			}
		}
	}
}

// branchMax is more than a branch of a fork may grow to in one run.
const branchMax = 400

// branches collects refusals of events beyond forks: they stand beside their chain.
func (w *world) branches(h *host, b record.ID, audit map[string]bool) {
	var need replica.Need
	for _, r := range slices.SortedFunc(maps.Keys(w.forks), record.ID.Compare) {
		for n := range uint64(branchMax) {
			need.Branches = append(need.Branches, record.Dot{Replica: r, N: w.forks[r] + n})
		}
	}
	have, err := h.disk.store.Load(context.Background(), b, need)
	if err != nil {
		w.violate("branches: %v", err)
	}
	for _, row := range have.Branches {
		e, err := record.DecodeEvent(row.Body)
		d, err2 := record.DecodeDetails(row.Details)
		if err == nil && err2 == nil && len(row.Details) > 0 {
			refusedValues(e, d, audit)
		}
	}
}

// forks are the first numbers with two branches, by replica.
type forks map[record.ReplicaID]uint64

func (f forks) note(r record.ReplicaID, first uint64) {
	if at, ok := f[r]; !r.IsZero() && (!ok || first < at) {
		f[r] = first
	}
}

// beyond reports whether a number names two transactions.
func (f forks) beyond(d record.Dot) bool {
	first, ok := f[d.Replica]
	return ok && d.N >= first
}
