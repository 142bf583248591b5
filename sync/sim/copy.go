package sim

import (
	"context"
	"fmt"
	"math"
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

// forkPhone copies a running app, memory and all: both go on under one replica.
func (w *world) forkPhone() {
	from := pick(w, w.apps)
	if from.phone.State.Replica.IsZero() || from.gone || w.report.Counts["fork phone"] >= forksMax {
		return
	}
	w.count("fork phone", from.name)
	b := *from
	b.name, b.snapshots, b.pushes = fmt.Sprintf("%s-twin%d", from.name, w.at), nil, slices.Clone(from.pushes)
	a := &b
	a.phone = NewPhone(from.phone.Building, from.phone.Person, from.phone.Key, w.stream(a.name), a.clock(w))
	a.phone.State = from.phone.State.Clone()
	w.apps = append(w.apps, a)
	w.forks.note(a.phone.State.Replica, a.phone.State.N+1)
}

// forkEdge copies a running edge, as a virtual machine is copied with its memory: both go on
// in one run of one store, under one replica.
func (w *world) forkEdge() {
	from := pick(w, w.hosts)
	if from.isCloud() || from.down || w.report.Counts["fork edge"] >= forksMax {
		return
	}
	w.count("fork edge", from.name)
	d := from.disk.clone()
	d.boot = from.disk.boot
	h := w.newHost(fmt.Sprintf("%s-twin%d", from.name, w.at), from.key, record.TierEdge, d, from.buildings...)
	h.node.Rules, h.old, h.skew, h.frozen = from.node.Rules, from.old, from.skew, from.frozen
	w.forked(from)
	w.newLine(h)
}

// forkCloud sets the cloud's database server back to an image of its memory, as a virtual
// machine is: system identifier, timeline and start time are what they were, and it goes on
// under a replica that has written more since. All connections break by that.
func (w *world) forkCloud() {
	h := w.clouds[0]
	if h.image == nil || h.image.boot != h.disk.boot {
		w.trace("image of the cloud")
		h.image = h.disk.clone()
		h.image.boot = h.disk.boot
		return
	}
	if w.report.Counts["fork cloud"] >= forksMax {
		return
	}
	w.count("fork cloud")
	h.use(h.image)
	h.image = nil
	for _, c := range w.clouds {
		w.cut(c)
	}
	w.forked(h)
}

// forked notes from which numbers on the chains of a host have two branches, from this step on.
func (w *world) forked(from *host) {
	for _, b := range from.buildings {
		have, err := from.disk.store.Load(context.Background(), b, replica.Need{})
		if err != nil {
			w.violate("fork: %v", err)
		}
		w.forks.note(have.State.Replica, have.State.N+1)
	}
}

// branches collects refusals of events beyond forks: they stand beside their chain.
func (w *world) branches(h *host, b record.ID, audit map[string]bool) {
	rows, err := h.disk.store.Branches(context.Background(), b, replica.EventRow{}, math.MaxInt)
	if err != nil {
		w.violate("branches: %v", err)
	}
	for _, row := range rows {
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
