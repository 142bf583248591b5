package sqlitestore

import (
	"bytes"
	"hash/maphash"
	"sync"

	"estate/sync/record"
	"estate/sync/replica"
)

// Limits of what is kept in memory: a few megabytes at the most. A box has one building.
const (
	hotBuildingsMax = 8
	// hotRecordsMax is a generation: the building, its people at work and what they look at.
	hotRecordsMax = 256
	// hotBodyMax keeps long records out, which few requests read.
	hotBodyMax   = 8 << 10
	hotChainsMax = 2048
)

// hot is what requests and decisions read again and again, such as the caller's membership,
// exactly as the last commit left it. Only this process writes the file, and only commits
// change what is here: before one, the records that it changes are forgotten, so that they
// are read from the file until it is over; after it, all that it changed is taken at once,
// before anybody hears of it. What a snapshot found is kept only where no commit was under
// way: so no record that somebody saw goes back. A state may stand for a moment where it
// stood before a commit that is on the disk and not acknowledged yet.
type hot struct {
	mu        sync.Mutex
	commits   uint64 // counts their beginnings and their ends: odd while one is under way
	buildings map[record.ID]*hotBuilding
	seed      maphash.Seed // of probes
}

type hotBuilding struct {
	state *replica.State
	// untouched: the store is known to hold no phone's touch of any record.
	untouched bool
	// Records that were used lately are young; once those are many they are old, and the old
	// ones are forgotten.
	young, old map[record.Key]hotRecord
	chains     map[record.ReplicaID]*replica.Chain // nil where the store is known to have none
	// totals are how many records of a kind its list shows in all.
	totals map[string]int
	probes map[string]*probe // by kind
	fresh  map[string]*fresh // by kind
	// media is the last position of a media record that was saved since this was made, and
	// none is from where on a look found none since then, where one did.
	media uint64
	none  *uint64
}

type hotRecord struct {
	stored  replica.Stored
	touches []replica.PhoneTouch
}

// at gives what is kept of a building. The lock is held.
func (h *hot) at(building record.ID) *hotBuilding {
	b := h.buildings[building]
	if b == nil {
		if h.buildings == nil || len(h.buildings) >= hotBuildingsMax {
			h.buildings = map[record.ID]*hotBuilding{}
		}
		b = &hotBuilding{young: map[record.Key]hotRecord{}, chains: map[record.ReplicaID]*replica.Chain{}, totals: map[string]int{},
			probes: map[string]*probe{}, fresh: map[string]*fresh{}}
		h.buildings[building] = b
	}
	return b
}

func (b *hotBuilding) record(k record.Key) (hotRecord, bool) {
	r, ok := b.young[k]
	if !ok {
		if r, ok = b.old[k]; ok {
			delete(b.old, k)
			b.put(k, r)
		}
	}
	return r, ok
}

func (b *hotBuilding) put(k record.Key, r hotRecord) {
	if len(b.young) >= hotRecordsMax {
		b.old, b.young = b.young, map[record.Key]hotRecord{}
	}
	b.young[k] = r
}

func (b *hotBuilding) forget(k record.Key) (had bool) {
	_, young := b.young[k]
	_, old := b.old[k]
	delete(b.young, k)
	delete(b.old, k)
	return young || old
}

// near reports whether a need asks for nothing but what may be kept here.
func near(n replica.Need) bool {
	return n.Peer.IsZero() && !n.AllChains && len(n.Events)+len(n.Waiting)+len(n.Unsettled)+len(n.HeldBack)+len(n.Sums.Keys) == 0
}

// load answers a need as one snapshot would, where all of it is here. Otherwise it gives
// the count of commits, for keep.
func (h *hot) load(building record.ID, need replica.Need) (have replica.Have, commits uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.buildings[building]
	if b == nil || b.state == nil {
		return have, h.commits, false
	}
	have = emptyHave(*b.state)
	for _, k := range need.Keys {
		r, found := b.record(k)
		if !found {
			return have, h.commits, false
		}
		r.into(k, have)
	}
	unknown := lineOf(need.Chains, have.Chains, func(id record.ReplicaID) (*replica.Chain, bool) {
		c, known := b.chains[id]
		return c, known
	})
	return have, h.commits, len(unknown) == 0
}

func (r hotRecord) into(k record.Key, have replica.Have) {
	have.Records[k] = r.stored
	if len(r.touches) > 0 {
		have.Touches[k] = r.touches
	}
}

// keep takes what a snapshot found that began when so many commits had been counted.
func (h *hot) keep(commits uint64, building record.ID, need replica.Need, have replica.Have) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commits != commits || commits%2 != 0 {
		return
	}
	b := h.at(building)
	b.state = &have.State
	b.keep(need.Keys, have)
	b.keepLine(need.Chains, have.Chains, func(record.ReplicaID) bool { return false })
}

// keep takes records that are in the store. What is not there is looked up each time.
func (b *hotBuilding) keep(keys []record.Key, have replica.Have) {
	if len(keys) > hotRecordsMax/4 {
		return // a page of a list, not what each request needs
	}
	for _, k := range keys {
		if s, ok := have.Records[k]; ok && len(s.Body) <= hotBodyMax {
			b.put(k, hotRecord{stored: s, touches: have.Touches[k]})
		}
	}
}

// keepLine takes chains with all their ancestors: those that are not among what was found
// are not in the store. Nothing is kept of those that changed since the last commit.
func (b *hotBuilding) keepLine(asked []record.ReplicaID, found map[record.ReplicaID]replica.Chain, changed func(record.ReplicaID) bool) {
	if len(asked) == 0 {
		return
	}
	if len(b.chains)+len(found) > hotChainsMax {
		clear(b.chains)
		if len(found) > hotChainsMax {
			return
		}
	}
	absent := func(id record.ReplicaID) {
		if _, ok := found[id]; !ok && !changed(id) {
			b.chains[id] = nil
		}
	}
	for id, c := range found {
		if !changed(id) {
			b.chains[id] = &c
		}
		if c.Card != nil && !c.Card.Predecessor.Replica.IsZero() {
			absent(c.Card.Predecessor.Replica)
		}
	}
	for _, id := range asked {
		absent(id)
	}
}

// ending forgets the records that a commit is about to change, and gives those that were here.
func (h *hot) ending(c *changes) (known []record.Key) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commits++
	h.brought(c.leads)
	for building := range c.touched {
		h.at(building).untouched = false
	}
	for k := range c.records {
		if h.at(k.Building).forget(k) {
			known = append(known, k)
		}
	}
	return known
}

// ended takes what a commit changed: of records only those that were asked for before, and
// in memory of their own.
func (h *hot) ended(c *changes, known []record.Key, committed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commits++
	h.brought(c.leads) // again: a probe may be made while the commit is under way
	if !committed {
		clear(h.buildings) // what is on the disk now is found there
		return
	}
	for building, s := range c.states {
		h.at(building).state = &s
	}
	for id, chain := range c.chains {
		b := h.at(id.building)
		if delete(b.chains, id.replica); len(b.chains) < hotChainsMax {
			b.chains[id.replica] = &chain
		}
	}
	for of, new := range c.totals {
		b := h.at(of.building)
		if total, known := b.totals[of.kind]; known && !new.unsure {
			b.totals[of.kind] = total + new.shown
		} else {
			delete(b.totals, of.kind)
		}
	}
	for k, saved := range c.records {
		b := h.buildings[k.Building]
		if b == nil {
			continue
		}
		if k.Kind == kindMedia {
			b.media = max(b.media, saved.position)
		}
		if f := b.fresh[k.Kind]; f != nil && saved.saved {
			f.add(k.ID)
		}
	}
	for _, k := range known {
		saved, b := c.records[k], h.at(k.Building)
		if !saved.saved || saved.touched || !b.untouched || len(saved.body) > hotBodyMax {
			continue
		}
		if stored, err := decodeStored(bytes.Clone(saved.body), saved.position); err == nil {
			b.put(k, hotRecord{stored: stored})
		}
	}
}

// lineOf adds chains with their ancestors to into and gives the ids of which get knows
// nothing. A nil chain is one that there is not.
func lineOf(ids []record.ReplicaID, into map[record.ReplicaID]replica.Chain, get func(record.ReplicaID) (*replica.Chain, bool)) (unknown []record.ReplicaID) {
	for _, id := range ids {
		for {
			if _, done := into[id]; done {
				break
			}
			c, known := get(id)
			if !known {
				unknown = append(unknown, id)
			}
			if c == nil {
				break
			}
			into[id] = *c
			if c.Card == nil || c.Card.Predecessor.Replica.IsZero() {
				break
			}
			id = c.Card.Predecessor.Replica
		}
	}
	return unknown
}

func decodeStored(body []byte, position uint64) (replica.Stored, error) {
	r, err := record.Decode(body)
	return replica.Stored{Record: r, Body: body, Position: position}, err
}

// The parts that a transaction asks for. No commit comes between: it holds the lock.

func (h *hot) stateOf(building record.ID) (replica.State, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.at(building).state; s != nil {
		return *s, true
	}
	return replica.State{}, false
}

func (h *hot) untouchedIn(building record.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at(building).untouched
}

func (h *hot) knowUntouched(building record.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(building).untouched = true
}

// recordOf adds a record to what a decision has, where it is here.
func (h *hot) recordOf(k record.Key, have replica.Have) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.at(k.Building).record(k)
	if ok {
		r.into(k, have)
	}
	return ok
}

func (h *hot) chainOf(id chainID) (*replica.Chain, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, known := h.at(id.building).chains[id.replica]
	return c, known
}

// keepRead takes records that a transaction read, and that nobody saved in it.
func (h *hot) keepRead(building record.ID, keys []record.Key, have replica.Have) {
	if len(keys) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(building).keep(keys, have)
}

// keepLineRead takes chains that a transaction read, but for those that were saved in it.
func (h *hot) keepLineRead(building record.ID, asked []record.ReplicaID, found map[record.ReplicaID]replica.Chain, saved func(record.ReplicaID) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at(building).keepLine(asked, found, saved)
}

func (h *hot) count() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.commits
}

// total is how many records of a kind are shown, where no commit came since so many had been
// counted.
func (h *hot) total(commits uint64, of kindOf) (int, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commits != commits || commits%2 != 0 {
		return 0, false
	}
	n, known := h.at(of.building).totals[of.kind]
	return n, known
}

func (h *hot) keepTotal(commits uint64, of kindOf, total int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commits == commits && commits%2 == 0 {
		h.at(of.building).totals[of.kind] = total
	}
}

// noMedia reports whether it is certain that no media record stands behind a position, and
// gives what a look that begins now is of.
func (h *hot) noMedia(building record.ID, after uint64) (bool, *hotBuilding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := h.at(building)
	return b.none != nil && *b.none <= after && b.media <= after, b
}

// keepNoMedia notes that a look found none.
func (h *hot) keepNoMedia(of *hotBuilding, after uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	of.none = &after
}
