package sim

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// HealRounds bounds how many rounds of everybody talking to everybody a healed network may
// take to come to rest. The most that was seen is far below it.
const HealRounds = 30

// heal ends all faults and lets everybody talk until nothing moves any more.
func (w *world) heal() {
	w.mend()
	for _, a := range w.apps {
		w.shown(a)
		for _, t := range a.phone.State.Log {
			for _, d := range t.Details {
				for _, v := range d.New {
					if s, ok := v.AsText(); ok {
						w.clouds[0].disk.held[s] = true // the phone has it, so nobody may lose it from now on
					}
				}
			}
		}
	}
	last := ""
	for w.report.Rounds < HealRounds {
		w.report.Rounds++
		w.now += 10 * 60_000
		for _, l := range w.lines {
			w.connect(l)
			l.drain()
			w.inStep(l)
			l.close()
		}
		for _, a := range w.apps {
			for _, h := range append(slices.Clone(a.servers), pick(w, w.clouds)) {
				w.push(a, h)
				w.pull(a, h)
			}
		}
		w.safe()
		state := fmt.Sprint(w.digest())
		if state == last && !w.anyHeldBack() {
			return
		}
		last = state
	}
	if !w.anyHeldBack() { // else judge says what waits
		w.violate("the healed network never comes to rest")
	}
}

// inStep holds the two ends of a line that came to rest to the same records: what a session
// calls synced is (invariants 2 and 13), whoever else may mend it later.
func (w *world) inStep(l *line) {
	edge, cloud := l.ends[0], l.ends[1]
	if !l.open || w.anyWaits(edge.host, l.building) || w.anyWaits(cloud.host, l.building) {
		return
	}
	there, here := w.image(cloud.host, l.building).bodies, w.image(edge.host, l.building).bodies
	for _, k := range slices.SortedFunc(maps.Keys(there), record.Key.Compare) {
		w.checked(1)
		if here[k] != there[k] {
			w.violate("diverged: %s of %s at %s, which is in step with the cloud", k.Kind, buildingName(l.building), edge.host.name)
		}
	}
	for k := range here {
		if _, ok := there[k]; !ok {
			w.violate("diverged: a %s of %s is not at the cloud, with which %s is in step", k.Kind, buildingName(l.building), edge.host.name)
		}
	}
}

// mend repairs everything that is broken.
func (w *world) mend() {
	w.healing = true
	for _, h := range w.hosts {
		h.commit, h.bad, h.skew, h.frozen, h.apart, h.full = "", record.Key{}, 0, 0, 0, 0
		w.cut(h)
		if h.old {
			h.update()
		}
		for _, a := range w.apps {
			if a.gone {
				h.disk.gone[a.phone.Person] = true
			}
		}
	}
	w.halves = nil
	for _, a := range w.apps {
		a.skew, a.apart = 0, 0
		if a.old {
			a.old = false
			w.restart(a)
		}
	}
}

func (w *world) anyHeldBack() bool {
	for _, h := range w.hosts {
		for _, b := range h.buildings {
			if slices.ContainsFunc(w.heldBack(h, b), func(q replica.QuarantineRow) bool { return !w.explained(q) }) {
				return true
			}
		}
	}
	return false
}

// anyWaits reports whether a host holds a record back, which makes it another than its peer's.
// What is kept beside a record (SPEC R34) does not.
func (w *world) anyWaits(h *host, b record.ID) bool {
	return slices.ContainsFunc(w.heldBack(h, b), func(q replica.QuarantineRow) bool { return q.Code != wire.CodeChainUnproven })
}

// explained reports whether a record may be held back until an operator looks at it: its
// sender made up its context, or was revoked before it could mend what was wrong with it.
func (w *world) explained(q replica.QuarantineRow) bool {
	return w.revoked[q.Peer] || q.Code == wire.CodeChainUnproven || w.forged[sent{q.Key, q.Peer}] || q.Code == wire.CodeChainFork && w.ownTwin(q)
}

// ownTwin reports whether a record was set aside by the node that held it, at a fork: what it
// may not write again (SPEC R33).
func (w *world) ownTwin(q replica.QuarantineRow) bool {
	return w.enrolled[q.Peer] == record.TierEdge && len(w.forks) > 0 && q.Key.Kind == Setting
}

// heldBack lists what a host holds back of its peers.
func (w *world) heldBack(h *host, b record.ID) []replica.QuarantineRow {
	var out []replica.QuarantineRow
	for _, node := range slices.SortedFunc(maps.Keys(w.enrolled), record.ID.Compare) {
		have, err := h.disk.store.Load(context.Background(), b, replica.Need{Peer: node, Quarantine: 1000})
		if err != nil {
			w.violate("quarantine: %v", err)
		}
		out = append(out, slices.DeleteFunc(have.Quarantine, func(q replica.QuarantineRow) bool { return q.Theirs })...)
	}
	return out
}

// image is what a host holds of a building.
type image struct {
	bodies map[record.Key]string
	chains map[record.ReplicaID]replica.Chain
}

func (w *world) image(h *host, b record.ID) image {
	out := image{bodies: map[record.Key]string{}, chains: map[record.ReplicaID]replica.Chain{}}
	feed, err := h.disk.store.Feed(context.Background(), b, 0, 1<<20, math.MaxInt)
	if err != nil {
		w.violate("feed: %v", err)
	}
	for _, item := range feed.Items {
		if item.Event == nil {
			out.bodies[item.Key] = string(item.Body)
		}
	}
	chains, err := h.disk.store.Chains(context.Background(), b)
	if err != nil {
		w.violate("chains: %v", err)
	}
	for _, c := range chains {
		out.chains[c.Replica] = c
	}
	return out
}

// digest hashes the state of everybody.
func (w *world) digest() record.Hash {
	h := sha256.New()
	for _, host := range w.hosts {
		for _, b := range host.buildings {
			img := w.image(host, b)
			for _, k := range slices.SortedFunc(maps.Keys(img.bodies), record.Key.Compare) {
				fmt.Fprintf(h, "%s %s\n%x\n", host.name, k, img.bodies[k])
			}
			for _, r := range slices.SortedFunc(maps.Keys(img.chains), record.ID.Compare) {
				c := img.chains[r]
				fmt.Fprintf(h, "%s %d %x %d\n", r, c.Held, c.Hash, c.Receipted)
			}
		}
	}
	for _, a := range w.apps {
		fmt.Fprintf(h, "%s %d\n", a.name, len(a.phone.State.Log))
	}
	return record.Hash(h.Sum(nil))
}

// judge asks whether every invariant holds in the healed world.
func (w *world) judge() {
	audit := map[string]bool{}
	for _, b := range []record.ID{north, south} {
		cloud := w.image(w.clouds[0], b)
		for _, h := range w.hosts {
			if !slices.Contains(h.buildings, b) {
				continue
			}
			w.converged(h, cloud, w.image(h, b), b)
			w.chains(h, b, audit)
			w.branches(h, b, audit)
			w.checked(3)
			w.waits(h, b)
		}
		w.lost(b, cloud, audit)
		w.erased(b)
	}
	for _, h := range w.hosts {
		held, err := h.disk.store.Buildings(context.Background())
		for _, b := range held {
			if !slices.Contains(h.buildings, b) || err != nil {
				w.violate("%s holds building %s", h.name, buildingName(b))
			}
		}
	}
	for _, a := range w.apps {
		w.phone(a)
	}
}

func (w *world) converged(h *host, cloud, here image, b record.ID) {
	for k, body := range cloud.bodies {
		if here.bodies[k] != body {
			w.violate("diverged: %s of %s at %s", k.Kind, buildingName(b), h.name)
		}
	}
	if len(here.bodies) != len(cloud.bodies) {
		w.violate("diverged: %d records at %s, %d at the cloud", len(here.bodies), h.name, len(cloud.bodies))
	}
	for r, c := range cloud.chains {
		if o := here.chains[r]; o.Held != c.Held || o.Hash != c.Hash {
			w.violate("diverged: chain %s has %d events at %s, %d at the cloud", r, o.Held, h.name, c.Held)
		}
	}
	for k, body := range here.bodies {
		r, err := record.Decode([]byte(body))
		if err != nil {
			w.violate("record %s: %v", k, err)
		}
		for _, v := range texts(r) {
			if !strings.HasPrefix(v, buildingName(b)+".") {
				w.violate("isolation: %q in %s at %s", v, buildingName(b), h.name)
			}
			w.checked(1)
			if strings.Contains(v, ".phone") && k.Kind == Setting {
				w.violate("a forbidden value stands: %q", v)
			}
		}
	}
}

// chains verifies every chain link by link, and collects the values of refusals.
func (w *world) chains(h *host, b record.ID, audit map[string]bool) {
	list, err := h.disk.store.Chains(context.Background(), b)
	if err != nil {
		w.violate("chains: %v", err)
	}
	for _, c := range list {
		rows, err := h.disk.store.Events(context.Background(), b, c.Replica, 1, ^uint64(0), 1<<20)
		if err != nil {
			w.violate("events: %v", err)
		}
		all := len(rows)
		rows = slices.DeleteFunc(rows, func(r replica.EventRow) bool { return r.N > c.Held })
		if all > len(rows) && w.somebodyHolds(b, record.Dot{Replica: c.Replica, N: c.Held + 1}) {
			w.violate("chain %s: events wait at %s behind one that is held elsewhere", c.Replica, h.name)
		}
		var prev record.Hash
		for i, row := range rows {
			e, err := record.DecodeEvent(row.Body)
			if err != nil || e.Prev != prev || e.N != uint64(i)+1 || record.HashEvent(row.Body) != row.Hash {
				w.violate("chain %s breaks at %d at %s", c.Replica, row.N, h.name)
				break
			}
			prev = row.Hash
			d, err := record.DecodeDetails(row.Details)
			if len(row.Details) == 0 {
				continue
			}
			if err != nil || d.Check(e) != nil {
				w.violate("details of %s:%d do not fit at %s", c.Replica, e.N, h.name)
				continue
			}
			refusedValues(e, d, audit)
		}
		if uint64(len(rows)) != c.Held || prev != c.Hash {
			w.violate("chain %s: %d events, %d held at %s", c.Replica, len(rows), c.Held, h.name)
		}
	}
}

// refusedValues collects what an event keeps of what it refused.
func refusedValues(e record.Event, d record.Details, audit map[string]bool) {
	for j := range e.Refusals {
		for _, v := range d[len(e.Touches)+j].New {
			if s, ok := v.AsText(); ok {
				audit[s] = true
			}
		}
	}
}

func (w *world) somebodyHolds(b record.ID, dot record.Dot) bool {
	for _, h := range w.hosts {
		have, err := h.disk.store.Load(context.Background(), b, replica.Need{Events: []record.Dot{dot}})
		if _, ok := have.Events[dot]; ok || err != nil {
			return true
		}
	}
	return false
}

// waits looks for clocks that stay wrong and records that are still held back.
func (w *world) waits(h *host, b record.ID) {
	have, err := h.disk.store.Load(context.Background(), b, replica.Need{})
	if off := have.State.ClockOffset; err != nil || off > hlc.AheadMax || off < -hlc.AheadMax {
		w.violate("clock: %s is off by %d ms", h.name, off)
	}
	for _, q := range w.heldBack(h, b) {
		if w.explained(q) {
			w.count("held back for an operator")
			continue
		}
		w.violate("held back for ever: %s at %s: %s", q.Key.Kind, h.name, q.Code)
	}
}

// phone holds an app to an empty outbox and to what the cloud has.
func (w *world) phone(a *app) {
	if n := len(a.phone.State.Log); n > 0 && !a.gone { // who is turned away never sees what became of it
		w.violate("outbox: %d transactions of %s never settle", n, a.name)
	}
	for k, body := range w.image(w.clouds[0], a.phone.Building).bodies {
		w.checked(1)
		shown, err := a.phone.View(k).Encode()
		if err != nil || a.may(k) && !a.gone && !w.doubted(a, k) && string(shown) != body {
			w.violate("diverged: %s at %s", k.Kind, a.name)
		}
		if _, has := a.phone.State.Records[k]; !a.may(k) && has && a.roles == 0 {
			w.violate("isolation: %s sees a %s", a.name, k.Kind)
		}
	}
}
