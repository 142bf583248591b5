package sim

import (
	"context"
	"fmt"
	"slices"

	"estate/sync/record"
	"estate/sync/replica"
)

// oftenTimes makes one kind of trouble some ten times as frequent, and still leaves nodes
// the time in between to get somewhere.
const oftenTimes = 8

// trouble is one fault. Which one is drawn first, whether it is wanted is asked then.
func (w *world) trouble() {
	draws := []struct {
		kind   Faults
		weight int
		do     func()
	}{
		{Network, 6, w.network}, {Partition, 1, w.partition}, {HalfOpen, 2, w.halfOpen}, {Crash, 3, w.crash}, {Torn, 2, w.torn},
		{Full, 1, w.fill}, {Unsure, 2, w.unsure}, {BadRecord, 1, w.badRecord}, {RestoreEdge, 1, w.restoreEdge}, {RestoreCloud, 1, w.restoreCloud},
		{RestorePhone, 1, w.restorePhone}, {CloneEdge, 1, w.cloneEdge}, {ClonePhone, 1, w.clonePhone}, {Clock, 2, w.clocks},
		{RevokeNode, 1, w.revokeNode}, {RevokePerson, 1, w.revokePerson}, {Roles, 1, w.changeRole}, {Schema, 2, w.upgrade}, {Forge, 1, w.forge},
		{ForkEdge, 1, w.forkEdge}, {ForkPhone, 0, w.forkPhone}, {ForkCloud, 0, w.forkCloud},
	}
	for i, d := range draws {
		if d.weight == 0 && w.config.Faults.Has(d.kind) {
			draws[i].weight = 1 // other runs draw as they did before there was this kind
		}
	}
	total := 0
	for i, d := range draws {
		if w.config.Often.Has(d.kind) {
			draws[i].weight *= oftenTimes
		}
		total += draws[i].weight
	}
	n := w.random.IntN(total)
	for _, d := range draws {
		if n -= d.weight; n < 0 {
			if w.config.Faults.Has(d.kind) {
				d.do()
			}
			return
		}
	}
}

func (w *world) network() {
	switch w.random.IntN(4) {
	case 0:
		if l := pick(w, w.lines); l.open {
			w.count("line cut")
			l.close()
		}
	case 1, 2:
		w.late()
	default:
		a := pick(w, w.apps)
		if h := w.server(a); h != nil && len(a.pushes) > 0 {
			w.count("late push")
			w.give(a, h, pick(w, a.pushes))
		}
	}
}

// apartMax is how many steps a node may be out of reach or its disk full.
const apartMax = 40

func (w *world) partition() {
	until := w.at + w.random.IntN(apartMax)
	w.count("partition")
	if w.chance(.3) {
		pick(w, w.apps).apart = until
		return
	}
	h := pick(w, w.hosts)
	h.apart = until
	for _, l := range w.lines {
		for _, e := range l.ends {
			if l.open && e.host == h {
				if w.config.Faults.Has(HalfOpen) && w.chance(.5) {
					l.half(w.random.IntN(2))
				} else {
					l.close()
				}
			}
		}
	}
}

func (w *world) halfOpen() {
	if l := pick(w, w.lines); l.open {
		l.half(w.random.IntN(2))
	}
}

func (w *world) crash() {
	if w.chance(.4) {
		a := pick(w, w.apps)
		w.count("phone restart", a.name)
		w.restart(a)
		return
	}
	h := pick(w, w.hosts)
	if h.isCloud() && w.chance(.5) {
		w.count("restart process")
		h.restart() // the database goes on
		return
	}
	w.count("restart", h.name)
	h.start()
}

// restart starts an app anew.
func (w *world) restart(a *app) {
	if !w.config.Without.Has(FreshIdentity) {
		a.phone.Restart()
	}
}

func (w *world) torn() {
	h := pick(w, w.hosts)
	h.commit = pick(w, []string{"torn", "after"})
	w.count("commit "+h.commit, h.name)
}

func (w *world) fill() {
	pick(w, w.hosts).full = w.at + w.random.IntN(apartMax)
}

func (w *world) unsure() {
	h := pick(w, w.hosts)
	if w.chance(.5) {
		w.count("commit fails")
		h.commit = "busy"
		return
	}
	w.count("commit unsure")
	h.commit = "unsure"
}

func (w *world) badRecord() {
	h := pick(w, w.hosts)
	if w.chance(.4) {
		h = w.clouds[0] // what the cloud holds back may be nowhere else
	}
	if h.bad != (record.Key{}) && w.chance(.7) {
		return // it lasts, so that more than one state of it is held back
	}
	if h.bad = (record.Key{}); w.chance(.7) {
		w.count("bad record")
		h.bad = w.ticket(pick(w, h.buildings))
	}
}

// Clocks are wrong by up to three hours; the cloud's is nearly right.
const (
	skewMax      = 3 * 3600_000
	skewCloudMax = 2 * 60_000
)

func (w *world) clocks() {
	skew := w.random.Int64N(2*skewMax) - skewMax
	if w.chance(.3) {
		skew = 0
	}
	if w.chance(.4) {
		w.count("clock jump")
		pick(w, w.apps).skew = skew
		return
	}
	h := pick(w, w.hosts)
	h.frozen = 0
	switch {
	case h.isCloud():
		w.count("cloud clock jump")
		h.skew = skew % skewCloudMax
	case w.chance(.3):
		w.count("clock frozen")
		h.frozen = w.now + h.skew
	default:
		w.count("clock jump")
		h.skew = skew
	}
}

func (w *world) restoreEdge() {
	h := pick(w, w.hosts)
	aimed := w.chance(.3)
	for _, o := range w.hosts { // rather one of which something is held back: it may be nowhere else
		if aimed && !o.isCloud() && w.heldBackOf(o) {
			h = o
		}
	}
	if h.isCloud() || len(h.snapshots) == 0 {
		return
	}
	w.count("restore edge", h.name)
	from := pick(w, h.snapshots)
	if w.chance(.4) {
		from = h.snapshots[len(h.snapshots)-1] // of this run, more often than not
	}
	h.use(from.clone())
	h.start()
	w.overtaken(h)
	if aimed && w.heldBackOf(h) {
		w.workOn(h)
	}
}

func (w *world) heldBackOf(h *host) bool {
	have, err := w.clouds[0].disk.store.Load(context.Background(), h.buildings[0], replica.Need{Peer: h.node.ID(), Quarantine: 1})
	return err == nil && len(have.Quarantine) > 0
}

// workFrames are enough for a greeting and some pages.
const workFrames = 60

// workOn has people go on at a box that was restored, and the box reach the cloud: what the
// cloud holds back of it meets another state that knows nothing of it.
func (w *world) workOn(h *host) {
	for range 4 {
		w.write(h)
	}
	for _, l := range w.lines {
		if l.edge != h {
			continue
		}
		if !l.open {
			w.connect(l)
		}
		for i := range workFrames {
			if e := l.ends[i%2]; l.open && e != nil {
				e.notice()
				if l.open && len(e.in) > 0 {
					e.deliver()
				}
			}
		}
	}
}

// overtaken delivers pages that were on their way to a host when it was restored.
func (w *world) overtaken(h *host) {
	for _, s := range slices.Clone(w.strays) {
		if s.to == h && w.config.Faults.Has(Network) && w.chance(.6) {
			w.deliverLate(s)
		}
	}
}

// restoreCloud puts an old database under the cloud's processes; at times they never notice
// more than that their connections went.
func (w *world) restoreCloud() {
	h := w.clouds[0]
	if len(h.snapshots) == 0 {
		return
	}
	w.count("restore cloud")
	h.use(pick(w, h.snapshots).clone())
	if w.chance(.7) {
		h.start()
		return
	}
	w.count("database restored under living sessions")
	w.boots++
	h.disk.boot = record.DerivedID("boot", fmt.Sprint(w.boots))
}

func (w *world) restorePhone() {
	if a := pick(w, w.apps); len(a.snapshots) > 0 {
		w.count("restore phone")
		a.phone.State = pick(w, a.snapshots).Clone()
		w.restart(a)
	}
}

// revokeNode takes an edge away and puts a new box in its place: a new key, an empty disk.
func (w *world) revokeNode() {
	h := pick(w, w.hosts)
	if h.isCloud() || w.report.Counts["revoke node"] > 0 {
		return
	}
	w.count("revoke node")
	w.cut(h)
	for _, o := range slices.Clone(w.hosts) {
		if o.node.ID() == h.node.ID() { // its copies go with it: they have its key
			w.cut(o)
			w.retire(o)
		}
	}
	w.revoked[h.node.ID()] = true
	n := w.newHost(h.name+"-new", h.name+"-new", record.TierEdge, newDisk(), h.buildings...)
	w.newLine(n)
	for _, a := range w.apps {
		a.servers = slices.DeleteFunc(slices.Clone(a.servers), func(s *host) bool { return s.node.ID() == h.node.ID() })
		if a.phone.Building == h.buildings[0] {
			a.servers = append(a.servers, n)
		}
	}
}

func (w *world) retire(h *host) {
	w.hosts = slices.DeleteFunc(w.hosts, func(o *host) bool { return o == h })
	w.strays = slices.DeleteFunc(w.strays, func(s stray) bool { return s.from == h || s.to == h })
}

// revokePerson ends a person's access: the cloud knows at once, each edge learns it later.
func (w *world) revokePerson() {
	a := pick(w, w.apps)
	if w.report.Counts["revoke person"] == 0 && w.chance(.5) {
		w.count("revoke person")
		for _, o := range w.apps {
			o.gone = o.gone || o.phone.Person == a.phone.Person
		}
		w.clouds[0].disk.gone[a.phone.Person] = true
		return
	}
	if h := pick(w, w.hosts); a.gone && !h.disk.gone[a.phone.Person] {
		w.count("revocation arrives")
		h.disk.gone[a.phone.Person] = true
	}
}

// changeRole makes a person see more or less.
func (w *world) changeRole() {
	from := pick(w, w.apps)
	if from.manager {
		w.count("role shrinks")
	} else {
		w.count("role grows")
	}
	for _, a := range w.apps {
		if a.phone.Person == from.phone.Person {
			a.manager = !a.manager
			a.roles++
		}
	}
}

// release starts some nodes and phones under the release before.
func (w *world) release() {
	for _, h := range w.hosts {
		if w.chance(.5) {
			h.old, h.node.Rules = true, Rules{Old: true}
			w.count("release before")
		}
	}
	for _, a := range w.apps {
		a.old = w.chance(.5)
	}
}

func (w *world) upgrade() {
	if a := pick(w, w.apps); a.old && w.chance(.3) {
		w.count("phone upgrade")
		a.old = false
		w.restart(a)
		return
	}
	if h := pick(w, w.hosts); h.old {
		w.count("upgrade")
		h.update()
	}
}

func (h *host) update() {
	h.old, h.node.Rules = false, Rules{}
	if h.isCloud() {
		h.restart()
		return
	}
	h.start()
}
