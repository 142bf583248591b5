package desk

import (
	"errors"
	"sync"

	"estate/sync/record"
)

// A create needs to know two things before its transaction: whether a tenant asks, whose
// report may join another, and with what the building's codes begin. Both hardly ever change,
// so they are taken as they were when somebody last looked, and looked at again under the
// building's lock, with the caller's rights: a create that foresaw wrongly begins anew and
// reads first. Nothing is allowed or shown for what is remembered here.

// errChanged says that what a create foresaw is so no longer.
var errChanged = errors.New("desk: not as foreseen")

// prefixesMax bounds what is remembered, at about 100 bytes each; with more people at once
// some creates read first.
const prefixesMax = 8192

// prefixKey names who creates where.
type prefixKey struct {
	building record.ID
	caller   Caller
}

// prefixes are the beginnings of ticket codes, for people who are no tenants.
type prefixes struct {
	mu    sync.RWMutex
	known map[prefixKey]string
}

func (p *prefixes) find(k prefixKey) (string, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	prefix, ok := p.known[k]
	return prefix, ok
}

func (p *prefixes) keep(k prefixKey, prefix string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= prefixesMax {
		p.known = map[prefixKey]string{}
	}
	p.known[k] = prefix
}

// foresee prepares a ticket without reading anything. It leaves to the long way what depends
// on rights that are not known yet, and requests that will be refused: who may not be here
// must not learn why.
func (d *Desk) foresee(c Caller, building record.ID, in NewTicket) (newTicket, bool) {
	prefix, ok := d.prefixes.find(prefixKey{building, c})
	if !ok || in.ExternalRef != "" || in.check() != nil {
		return newTicket{}, false
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, "ticket")
	if err != nil {
		return newTicket{}, false
	}
	n := d.newTicket(c, building, id, in)
	n.prefix, n.foreseen = prefix, true
	return n, true
}

// codeOf is the code that a building shows.
func (d *Desk) codeOf(building item) string { return d.fields(building).text("code") }
