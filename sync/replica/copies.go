package replica

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/wire"
)

// Copies are what a phone keeps of the records that servers showed it: verbatim and under
// their seals, so that it can return them to a server that lost them (SPEC R30), with the
// tags by which it is told to forget them (SPEC R29).
type Copies struct {
	Held    map[record.Key]Holding
	Issuers map[record.ID][]byte // the servers' public keys
	// Missing are, by server, the records that a pass from zero did not bring so far. What is
	// still there at the end of the pass is returned.
	Missing map[record.ID]Missing
	// Forks are the last common numbers of chains with two branches, as servers that had cut
	// them said (SPEC R33), and ForkedBy is who said so.
	Forks    map[record.ReplicaID]uint64
	ForkedBy map[record.ReplicaID]record.ID
	// Doubts are the phone's own replicas that somebody else may have written under, from these
	// numbers on: no server has decided on that.
	Doubts map[record.ReplicaID]uint64
	// told are the forks that each server told of since its last pass from zero; an app that was
	// started anew asks again.
	told map[record.ID]map[record.ReplicaID]bool
}

// Holding is what a phone keeps of one record: states of which none covers another.
type Holding struct {
	Items []wire.RecordItem
	Tags  map[record.ID][]byte // by server
}

// Missing is a pass from zero, or what is left of it.
type Missing struct {
	Ended bool
	// Keys are the records that the server has not shown to hold, and the code by which it
	// refused to take one back: that one waits (see Retry), or stays for its next run.
	Keys map[record.Key]string
}

// holdingMax bounds the states of one record that no server has joined yet: one from each
// server, and one from each run of it that was lost.
const holdingMax = 16

// returnBytesGoal keeps a message of returned records far below the frame limit.
const returnBytesGoal = 1 << 20

// Clone copies the copies; bodies are shared.
func (c Copies) Clone() Copies {
	out := Copies{Held: maps.Clone(c.Held), Issuers: maps.Clone(c.Issuers), Missing: maps.Clone(c.Missing), Forks: maps.Clone(c.Forks), ForkedBy: maps.Clone(c.ForkedBy), Doubts: maps.Clone(c.Doubts)}
	out.told = maps.Clone(c.told)
	for s, t := range out.told {
		out.told[s] = maps.Clone(t)
	}
	for k, h := range out.Held {
		out.Held[k] = Holding{Items: slices.Clone(h.Items), Tags: maps.Clone(h.Tags)}
	}
	for s, m := range out.Missing {
		out.Missing[s] = Missing{Ended: m.Ended, Keys: maps.Clone(m.Keys)}
	}
	return out
}

// Take keeps what a page brings, and says which records the phone must forget. The cards of
// the page must be known to the lineage already.
func (c *Copies) Take(building record.ID, page wire.Page, lineage merge.Lineage) (forget []record.Key, err error) {
	if c.Held == nil {
		c.Held, c.Issuers, c.Missing = map[record.Key]Holding{}, map[record.ID][]byte{}, map[record.ID]Missing{}
	}
	server := record.ID{}
	if len(page.Issuer) == ed25519.PublicKeySize {
		server = record.NodeID(page.Issuer)
		c.Issuers[server] = page.Issuer
	}
	if page.From == 0 {
		m := Missing{Keys: map[record.Key]string{}}
		for k := range c.Held {
			m.Keys[k] = ""
		}
		c.Missing[server] = m
	}
	for _, item := range page.Records {
		k := record.Key{Building: building, Kind: item.Kind, ID: item.ID}
		whole, err := c.keep(k, item, server, lineage)
		if err != nil {
			return nil, err
		}
		if whole {
			delete(c.Missing[server].Keys, k)
		}
	}
	for _, k := range c.marked(server, page) {
		c.drop(k)
		forget = append(forget, k)
	}
	if page.Last {
		m := c.Missing[server]
		m.Ended = true
		c.Missing[server] = m
	}
	return forget, nil
}

// keep adds a state. whole says that it covers all that the phone held of the record.
func (c *Copies) keep(k record.Key, item wire.RecordItem, server record.ID, lineage merge.Lineage) (whole bool, err error) {
	r, err := record.Decode(item.Body)
	if err != nil {
		return false, fmt.Errorf("pulled %s %s: %w", item.Kind, item.ID, err)
	}
	h := c.Held[k]
	if len(item.Tag) == wire.TagBytes && !server.IsZero() {
		if h.Tags == nil {
			h.Tags = map[record.ID][]byte{}
		}
		h.Tags[server] = item.Tag
	}
	item.Tag = nil
	covered := false
	var kept []wire.RecordItem
	for _, old := range h.Items {
		o, err := record.Decode(old.Body)
		if err != nil {
			continue // never: it was decoded when it came
		}
		switch {
		case c.includes(r, o, lineage): // also where they are equal: the later seal is kept
		case c.includes(o, r, lineage):
			covered = true
			kept = append(kept, old)
		default:
			kept = append(kept, old)
		}
	}
	whole = len(kept) == 0
	if !covered {
		kept = append(kept, item)
	}
	h.Items = kept[max(0, len(kept)-holdingMax):]
	c.Held[k] = h
	return whole, nil
}

// includes reports whether a state has all of another one. What that has beyond forks it must
// have by value: nobody takes it back under its old name. So it must where the phone's own numbers
// are in doubt: a server that has the other branch covers by its numbers what it never had.
func (c *Copies) includes(r, o record.Record, lineage merge.Lineage) bool {
	clean, whole := c.Cut(o, lineage), c.Cut(r, lineage)
	if !equalRecords(merge.Merge(whole, clean, lineage), whole) {
		return false
	}
	for _, f := range o.Fields {
		for _, s := range f.Siblings {
			if (c.beyond(s.Dot) || c.Doubted(s.Dot)) && !slices.ContainsFunc(r.Siblings(f.Name), func(t record.Sibling) bool { return bytes.Equal(t.Value, s.Value) }) {
				return false
			}
		}
	}
	return true
}

// marked lists the records that a page tells this phone to forget.
func (c *Copies) marked(server record.ID, page wire.Page) []record.Key {
	if len(page.Forget) == 0 {
		return nil
	}
	marks := make(map[string]bool, len(page.Forget))
	for _, m := range page.Forget {
		marks[string(m)] = true
	}
	var out []record.Key
	for k, h := range c.Held {
		if tag := h.Tags[server]; len(tag) > 0 && marks[string(wire.Mark(tag, page.Generation, page.To))] {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, record.Key.Compare)
	return out
}

func (c *Copies) drop(k record.Key) {
	delete(c.Held, k)
	for _, m := range c.Missing {
		delete(m.Keys, k)
	}
}

// Record is what the copies of a record say together, less what is beyond forks.
func (c *Copies) Record(k record.Key, lineage merge.Lineage) record.Record {
	var out record.Record
	for _, item := range c.Held[k].Items {
		if r, err := record.Decode(item.Body); err == nil {
			out = merge.Merge(out, c.Cut(r, lineage), lineage)
		}
	}
	return out
}

// Retry offers a server again, once, what it could not take back yet: what waits for a
// signature, a clock or a disk passes in time.
func (c *Copies) Retry(server record.ID) {
	for k, code := range c.Missing[server].Keys {
		if passes(code) {
			c.Missing[server].Keys[k] = ""
		}
	}
}

// passes reports whether what a code refused may be taken later by the same run of a server.
func passes(code string) bool {
	switch code {
	case wire.CodeContextUnsigned, wire.CodeReplicaUnknown, wire.CodeClockAhead, wire.CodeStoreFailed:
		return true
	}
	return false
}

// Return is the next message for a server whose pass from zero ended without records that
// the phone holds; false where there is nothing to return. own proves numbers of the phone
// itself, as in Proofs.Prove.
func (c *Copies) Return(server record.ID, proofs *Proofs, own func(record.Dot) (record.Head, wire.EventItem, bool)) (wire.Returned, bool) {
	var out wire.Returned
	m := c.Missing[server]
	if !m.Ended {
		return out, false
	}
	size := 0
	for _, k := range slices.SortedFunc(maps.Keys(m.Keys), record.Key.Compare) {
		items := slices.DeleteFunc(slices.Clone(c.Held[k].Items), func(i wire.RecordItem) bool { return i.Seal == nil })
		if m.Keys[k] != "" || len(items) == 0 {
			continue
		}
		next := out
		for _, item := range items {
			size += len(item.Body)
			next.Records = append(next.Records, item)
			if key := c.Issuers[item.Seal.Node]; !slices.ContainsFunc(next.Issuers, func(b []byte) bool { return bytes.Equal(b, key) }) && len(key) > 0 {
				next.Issuers = append(next.Issuers, key)
			}
			if r, err := record.Decode(item.Body); err == nil {
				next.Doubts = c.doubted(next.Doubts, r)
				next.Heads, next.Cards = proofs.collect(next.Heads, next.Cards, numbers(r), own)
			}
		}
		full := size > returnBytesGoal || len(next.Records) > wire.ReturnItemsMax || len(next.Issuers) > wire.ReturnKeysMax || len(next.Doubts) > wire.PullChainsMax ||
			len(next.Heads) >= wire.PushProofsMax || len(next.Cards) >= wire.PushProofsMax
		if full && len(out.Records) > 0 {
			break
		}
		out = next
		if full {
			break
		}
	}
	return out, len(out.Records) > 0
}

// Taken notes what became of what was returned, and says which records the phone must
// forget. What was refused stays with the phone; other servers, and this one's next run,
// are offered it again.
func (c *Copies) Taken(building, server record.ID, t wire.Taken) (forget []record.Key) {
	m := c.Missing[server]
	codes := map[record.Key]string{}
	for _, r := range t.Results {
		k := record.Key{Building: building, Kind: r.Kind, ID: r.ID}
		if !passes(codes[k]) && (r.Code != "" || codes[k] == "") {
			codes[k] = r.Code // of several states of a record, what passes decides: it is tried again
		}
		if r.Forget && !slices.Contains(forget, k) {
			forget = append(forget, k)
		}
	}
	for k, code := range codes {
		if _, asked := m.Keys[k]; !asked {
			continue
		}
		if code == "" {
			delete(m.Keys, k)
		} else {
			m.Keys[k] = code
		}
	}
	forget = slices.DeleteFunc(forget, func(k record.Key) bool { return codes[k] != "" })
	for _, k := range forget {
		c.drop(k)
	}
	return forget
}
