package pgstore

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/internal/projection"
	"estate/sync/record"
	"estate/sync/replica"
)

// Whoever makes many tickets asks for each code whether it is taken, and hardly any is. A
// probe knows of most free codes that they are free. It is right up to a position: this
// process's commits extend it, and what others say that they wrote is read before it answers
// again. It may lag by what a notification takes, so only a Selection that says that this
// will do is answered by it; minting a code is a guess in any case.

const (
	// probesMax bounds the buildings that have one, and so what all of them take: 8 MB.
	probesMax = 64
	// probeFrom is from how many look-ups between two comparisons on a building gets a probe:
	// it costs to read all leads once.
	probeFrom = 100
	// probeFill is how many leads are read for a probe: with more, few are known to be free.
	probeFill = 300_000
	// probesAsked bounds the buildings whose look-ups are counted.
	probesAsked = 1024
)

type probes struct {
	mu   sync.Mutex
	seed maphash.Seed
	at   map[record.ID]*probe
	// asked counts look-ups in buildings without a probe since the last comparison.
	asked map[record.ID]int
	// deaf is while nobody tells what other processes write.
	deaf bool
}

type probe struct {
	bits projection.Leads // nil where there are too many leads
	// upTo is the position up to which each lead has its bit, and seen the furthest one that
	// anybody told of.
	upTo, seen uint64
	// aheadFrom and aheadTo are what commits of this process brought beyond upTo, without a gap.
	aheadFrom, aheadTo uint64
	filled             bool
	filling            bool
	asked              bool // since the last comparison
}

// extend takes a commit that led from one position to another. One that comes while the probe
// is filled counts once it is: else a probe that takes longer to fill than commits take to come
// were behind for ever, and filled without an end.
func (p *probe) extend(from, to uint64) {
	if p.aheadTo == 0 || from > p.aheadTo || to < p.aheadFrom {
		p.aheadFrom, p.aheadTo = from, to
	} else {
		p.aheadFrom, p.aheadTo = min(p.aheadFrom, from), max(p.aheadTo, to)
	}
	p.catchUp()
}

// catchUp joins what was brought ahead with what was read, where they meet.
func (p *probe) catchUp() {
	if p.filled && p.aheadFrom <= p.upTo {
		p.upTo = max(p.upTo, p.aheadTo)
	}
}

func newProbes() probes {
	return probes{seed: maphash.MakeSeed(), at: map[record.ID]*probe{}, asked: map[record.ID]int{}}
}

// absent reports whether no record is known to have a lead. fill is a probe that the caller
// is to fill: nobody else does until it has, or failed.
func (ps *probes) absent(building record.ID, hash uint64) (absent bool, fill *probe) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.at[building]
	if p == nil {
		if n := ps.asked[building]; n > 0 || len(ps.asked) < probesAsked {
			ps.asked[building]++
		}
		if ps.deaf || ps.asked[building] < probeFrom || len(ps.at) == probesMax {
			return false, nil
		}
		p = &probe{bits: projection.NewLeads()}
		ps.at[building] = p
	}
	p.asked = true
	switch {
	case p.bits == nil || p.filling:
		return false, nil
	case p.filled && p.upTo >= p.seen:
		return !p.bits.Has(hash), nil
	}
	p.filling = true
	return false, p
}

// behind is where a probe is to be filled from, and the furthest position heard of by now.
func (ps *probes) behind(p *probe) (upTo, seen uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return p.upTo, p.seen
}

// fill adds what a snapshot at a position found; more says that there is more than it gave.
func (ps *probes) fill(p *probe, position, seen uint64, hashes []uint64, more bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.filling = false
	if more {
		p.bits = nil
		return
	}
	for _, hash := range hashes {
		p.bits.Add(hash)
	}
	p.filled = true
	p.upTo = max(p.upTo, position)
	p.catchUp()
	if p.seen == seen { // nothing came meanwhile
		p.seen = p.upTo
	}
}

// lacks reports whether a lead was free when its probe was filled, by who filled it: what
// came since came after the question.
func (ps *probes) lacks(p *probe, hash uint64) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return p.bits != nil && !p.bits.Has(hash)
}

// failed lets the next one try.
func (ps *probes) failed(p *probe) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.filling = false
}

// heard notes that somebody came to a position.
func (ps *probes) heard(building record.ID, position uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.at[building]; p != nil {
		p.seen = max(p.seen, position)
	}
}

// wants reports whether a building's commits extend a probe.
func (ps *probes) wants(building record.ID) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.at[building]
	return p != nil && p.bits != nil
}

// committed extends a probe by a commit of this process that led from one position to another.
// Where another came in between it is behind.
func (ps *probes) committed(building record.ID, from, to uint64, leads []uint64) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.at[building]
	if p == nil || p.bits == nil {
		return
	}
	for _, hash := range leads {
		p.bits.Add(hash)
	}
	p.extend(from, to)
	p.seen = max(p.seen, to)
}

// tick drops what was not asked for since the last tick, and lists the rest.
func (ps *probes) tick() []record.ID {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	clear(ps.asked)
	maps.DeleteFunc(ps.at, func(_ record.ID, p *probe) bool { return !p.asked && !p.filling })
	for _, p := range ps.at {
		p.asked = false
	}
	return slices.Collect(maps.Keys(ps.at))
}

// listen says whether others are heard from now on. What they did meanwhile nobody knows.
func (ps *probes) listen(hears bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.deaf = !hears
	clear(ps.at)
}

// leads are those of records that are about to be saved.
func (s *Store) leads(rows []replica.RecordRow) (hashes []uint64) {
	var cells []projection.Cell
	for i := range rows {
		table, ok := s.tables[rows[i].Key.Kind]
		if !ok || table.probed < 0 {
			continue
		}
		if cells = table.Cells(&rows[i].Record, cells); cells[table.probed].Holds == projection.Text {
			hashes = append(hashes, maphash.Bytes(s.probes.seed, cells[table.probed].Bytes))
		}
	}
	return hashes
}

// nothing reports whether a selection is known to find nothing, as of a moment ago.
func (q *Queries) nothing(ctx context.Context, shape shapeText, s desk.Selection) bool {
	value, ok := s.Lead.AsText()
	if !ok || !s.Guess || shape.allLeads == "" {
		return false
	}
	ps := &q.store.probes
	hash := maphash.String(ps.seed, value)
	absent, fill := ps.absent(s.Building, hash)
	if fill == nil {
		return absent
	}
	if err := q.fill(ctx, shape, s.Building, fill); err != nil {
		ps.failed(fill) // the look-up that follows says what is wrong
		return false
	}
	return ps.lacks(fill, hash)
}

// fill reads leads that a probe does not know: all, or those of records that moved since.
func (q *Queries) fill(ctx context.Context, shape shapeText, building record.ID, p *probe) error {
	upTo, seen := q.store.probes.behind(p)
	var state replica.State
	var hashes []uint64
	n := 0
	b := &pgx.Batch{}
	queueState(b, building, &state)
	text, args := shape.allLeads, []any{[16]byte(building), probeFill + 1}
	if upTo > 0 {
		text, args = shape.newLeads, []any{[16]byte(building), bits(upTo), bits(upTo + probeFill)}
	}
	query(b, func(rows pgx.Rows) error {
		var lead *string
		err := rows.Scan(&lead)
		n++
		if lead != nil {
			hashes = append(hashes, maphash.String(q.store.probes.seed, *lead))
		}
		return err
	}, text, args...)
	if err := q.store.snapshot(ctx, "read leads", b); err != nil {
		return fmt.Errorf("fill a probe: %w", err)
	}
	more := n > probeFill || upTo > 0 && state.Position > upTo+probeFill
	q.store.probes.fill(p, state.Position, seen, hashes, more)
	return nil
}
