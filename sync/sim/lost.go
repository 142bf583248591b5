package sim

import (
	"maps"
	"slices"
	"strings"

	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// lost asks for each value that some node's history holds: it stands, or somebody who knew
// it replaced it and is accounted for, or it was refused and the audit has it.
func (w *world) lost(b record.ID, cloud image, audit map[string]bool) {
	stands := map[string]bool{}
	for _, body := range cloud.bodies {
		if r, err := record.Decode([]byte(body)); err == nil {
			for _, v := range texts(r) {
				stands[v] = true
			}
			if len(replica.Conflicts(Rules{}, Ticket, r)) > 0 {
				w.count("conflict")
			}
		}
	}
	for _, q := range w.heldBack(w.clouds[0], b) {
		if r, err := record.Decode(q.Body); err == nil && w.explained(q) {
			for _, v := range texts(r) {
				stands[v] = true
			}
		}
	}
	kept := w.kept(stands)
	seen := map[string]bool{}
	for _, h := range w.hosts {
		for _, v := range slices.Sorted(maps.Keys(h.disk.held)) {
			if strings.HasPrefix(v, buildingName(b)+".") && !seen[v] && !kept[v] && !audit[v] && !w.undone[v] {
				w.violate("lost: %s, which %s held", v, h.name)
			}
			w.checked(1)
			seen[v] = true
		}
	}
	for _, a := range w.apps {
		if a.phone.Building == b && !a.gone {
			w.saved(a, kept, audit)
		}
	}
}

// saved asks the same for what an app said to have saved, as far as its own disk goes back.
// What servers refused it knows to be refused, and what it shows by the word of a revoked
// node it still shows.
func (w *world) saved(a *app, kept, audit map[string]bool) {
	shown := map[string]bool{}
	for k := range a.phone.State.Copies.Held {
		if w.doubted(a, k) {
			for _, v := range texts(a.phone.View(k)) {
				shown[v] = true
			}
		}
	}
	shown = w.kept(shown) // and what those who wrote it had seen
	for _, v := range slices.Sorted(maps.Keys(a.phone.State.Saved)) {
		w.checked(1)
		_, refused := a.phone.State.Refusals[a.phone.State.Saved[v]]
		if !kept[v] && !audit[v] && !shown[v] && !refused && !w.undone[v] {
			w.violate("lost: %s, which %s had saved", v, a.name)
		}
	}
}

// kept adds to the values that stand those that somebody replaced who knew them, if the
// new value is kept. A value that was written again may have been on both sides.
func (w *world) kept(stands map[string]bool) map[string]bool {
	out, open := maps.Clone(stands), []string{}
	maps.Copy(out, w.removals)
	older := map[string][]string{}
	for old, by := range w.over {
		for _, v := range by {
			older[v] = append(older[v], old)
		}
	}
	for v := range out {
		open = append(open, v)
	}
	for len(open) > 0 {
		v := open[0]
		open = open[1:]
		for _, old := range older[v] {
			if !out[old] {
				out[old] = true
				open = append(open, old)
			}
		}
	}
	return out
}

// shown notes what an app has on its screen by the word of a server that nobody took away:
// it is returned (SPEC R30), unless the app is turned away everywhere.
func (w *world) shown(a *app) {
	for k, h := range a.phone.State.Copies.Held {
		for _, item := range h.Items {
			if r, err := record.Decode(item.Body); err == nil && !a.gone && a.may(k) && !w.revoked[item.Seal.Node] {
				for _, v := range texts(r) {
					w.clouds[0].disk.held[v] = true
				}
			}
		}
	}
}

// doubted reports whether an app shows something by the word of a node that was revoked
// since: nobody takes it back, and nobody can say that it is wrong.
func (w *world) doubted(a *app, k record.Key) bool {
	return slices.ContainsFunc(a.phone.State.Copies.Held[k].Items, func(i wire.RecordItem) bool { return w.revoked[i.Seal.Node] })
}
