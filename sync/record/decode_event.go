package record

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"estate/sync/cborhead"
	"estate/sync/hlc"
)

// The parts of an event and of what it is made of, and least sizes in bytes to check a
// length before memory is spent on it.
const (
	eventParts   = 12
	actorParts   = 3
	touchedParts = 3
	touchParts   = 4
	refusedParts = 5
	cardParts    = 5
	detailParts  = 3

	touchedBytesMin = 1 + 1 + 17 + 1
	touchBytesMin   = 1 + 1 + 1 + 1 + 1
	refusedBytesMin = 1 + 19 + 1 + 17 + 1 + 1
	listedBytesMin  = 19 // a dot in a list
	detailBytesMin  = 4
	valueBytesMin   = 1
)

// detailNestingMax bounds what a detail's values may nest: more than a record's value may,
// so that the audit keeps what was refused for it.
const detailNestingMax = 13

// DecodeEvent reads an event and checks its form. It returns ErrEvent. The bytes must be
// exactly what Encode would write: the hash is taken over them.
func DecodeEvent(b []byte) (Event, error) {
	var d Decoder
	var e Event
	err := d.Event(&e, b)
	return e, err
}

// Event is DecodeEvent for an event of a page, which it reads into a zero event.
func (d *Decoder) Event(e *Event, b []byte) error {
	if len(b) > EventBytesMax {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrEvent, len(b), EventBytesMax)
	}
	r := eventReader{reader{b: b, names: d.names}, d}
	parts := r.number(cborhead.Array)
	e.Version = r.uint()
	if r.err == nil && e.Version != eventVersion && e.Version != eventVersionErasing {
		return fmt.Errorf("%w: version %d, this program knows %d", ErrEvent, e.Version, eventVersionErasing)
	}
	erasing := e.Version == eventVersionErasing
	if parts != eventParts && !erasing || parts != eventParts+1 && erasing {
		r.fail()
	}
	e.Building, e.Replica, e.N, e.Prev = r.id(), r.id(), r.uint(), r.hash()
	e.Stamp, e.EventTime = hlc.Stamp(r.uint()), r.int()
	e.Actor = r.actor()
	e.Action = r.text()
	e.Touches = r.touches()
	e.Refusals = r.refusals()
	e.Card = r.card()
	if erasing {
		e.Erasures = r.erasures()
	}
	if err := r.done(); err != nil {
		return fmt.Errorf("%w: %w", ErrEvent, err)
	}
	return e.validate()
}

// eventReader reads the parts of an event.
type eventReader struct {
	reader
	d *Decoder
}

func (r *reader) actor() Actor {
	r.tuple(actorParts)
	return Actor{Class: Class(r.small()), Person: r.id(), Name: r.text()}
}

// touches reads what was written, record by record.
func (r *eventReader) touches() (out []Touch) {
	records := r.list(TouchesMax, touchedBytesMin)
	for i := 0; i < records && r.err == nil; i++ {
		r.tuple(touchedParts)
		kind, id := r.text(), r.id()
		if n := len(out); n > 0 && out[n-1].ID == id && out[n-1].Kind == kind {
			r.fail() // belongs to the record before
		}
		n := r.list(TouchesMax-len(out), touchBytesMin)
		if n == 0 {
			r.fail()
		}
		if out == nil {
			out = r.d.touches.take(n, r.d.chunk)
		}
		for j := 0; j < n && r.err == nil; j++ {
			r.tuple(touchParts)
			out = append(out, Touch{Kind: kind, ID: id, Field: r.text(), Replaced: r.listed(), Old: r.hashOrNone(), New: r.hashOrNone()})
		}
	}
	return out
}

// hashOrNone reads the hash of values, or an empty string where there are none.
func (r *reader) hashOrNone() (h Hash) {
	if r.at < len(r.b) && r.b[r.at] == cborhead.Bytes {
		r.at++
		return h
	}
	if h = r.hash(); h.IsZero() {
		r.fail()
	}
	return h
}

// listed reads a list of dots.
func (r *eventReader) listed() []Dot {
	n := r.list(arrayItemsMax, listedBytesMin)
	if n == 0 {
		return nil
	}
	out := r.d.dots.take(n, r.d.chunk)
	for i := 0; i < n && r.err == nil; i++ {
		out = append(out, r.dot())
	}
	return out
}

// erasures reads the dots that an event erases: at least one, ascending.
func (r *reader) erasures() []Dot {
	n := r.list(ErasuresMax, listedBytesMin)
	if n == 0 {
		r.fail()
		return nil
	}
	out := make([]Dot, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		d := r.dot()
		if d.N == 0 || d.Replica.IsZero() || i > 0 && out[i-1].Compare(d) >= 0 {
			r.fail()
		}
		out = append(out, d)
	}
	return out
}

func (r *reader) refusals() []Refused {
	n := r.list(arrayItemsMax, refusedBytesMin)
	if n == 0 {
		return nil
	}
	out := make([]Refused, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(refusedParts)
		out = append(out, Refused{Dot: r.dot(), Kind: r.text(), ID: r.id(), Field: r.text(), Code: r.text()})
	}
	return out
}

// cborNull stands for no card.
const cborNull = 0xf6

func (r *reader) card() *Card {
	if r.at < len(r.b) && r.b[r.at] == cborNull {
		r.at++
		return nil
	}
	r.tuple(cardParts)
	return &Card{Node: r.id(), Tier: Tier(r.small()), PublicKey: r.bytes(), Predecessor: r.dot(), PredecessorHash: r.hash()}
}

// validate holds what an event must be beyond its form.
func (e *Event) validate() error {
	switch {
	case e.N == 0 || e.Building.IsZero() || e.Replica.IsZero() || (e.N == 1) != (e.Card != nil) || (e.N == 1) != e.Prev.IsZero():
		return fmt.Errorf("%w: number, card or previous hash", ErrEvent)
	case e.Actor.Class != Person && e.Actor.Class != Automation:
		return fmt.Errorf("%w: author class %d", ErrEvent, e.Actor.Class)
	case len(e.Touches) > TouchesMax || len(e.Action) > ActionBytesMax || e.N == 1 && len(e.Touches)+len(e.Erasures) > 0:
		return fmt.Errorf("%w: touches or action", ErrEvent)
	}
	for i := range e.Touches {
		t := &e.Touches[i]
		if t.Kind == "" || t.ID.IsZero() || t.Field == "" || len(t.Field) > FieldNameMax || len(t.Kind) > FieldNameMax {
			return fmt.Errorf("%w: touch %d", ErrEvent, i)
		}
		for _, d := range t.Replaced {
			if d.N == 0 || d.Replica.IsZero() {
				return fmt.Errorf("%w: touch %d replaces no dot", ErrEvent, i)
			}
		}
	}
	if e.Card == nil {
		return nil
	}
	if err := e.Card.Validate(); err != nil {
		return err
	}
	if !e.Card.Owns(e.Replica) {
		return fmt.Errorf("%w: the replica's id was made for another node", ErrEvent)
	}
	if e.Card.Predecessor.Replica == e.Replica {
		return fmt.Errorf("%w: a replica cannot follow itself", ErrEvent)
	}
	return nil
}

// DecodeDetails reads details. They share memory with b, which must not change afterwards.
// It returns ErrEvent.
func DecodeDetails(b []byte) (Details, error) {
	if len(b) > DetailsBytesMax {
		return nil, fmt.Errorf("%w: details of %d bytes", ErrEvent, len(b))
	}
	r := reader{b: b}
	n := r.list(arrayItemsMax, detailBytesMin)
	out := make(Details, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(detailParts)
		d := Detail{Salt: r.bytes(), Old: r.values(), New: r.values()}
		if err := d.check(); err != nil && r.err == nil {
			return nil, fmt.Errorf("detail %d: %w", i, err)
		}
		out = append(out, d)
	}
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("%w: details %w", ErrEvent, err)
	}
	return out, nil
}

func (r *reader) values() []Value {
	n := r.list(arrayItemsMax, valueBytesMin)
	if n == 0 {
		return nil
	}
	out := make([]Value, 0, n)
	for i := 0; i < n && r.err == nil; i++ {
		out = append(out, r.value(detailNestingMax))
	}
	return out
}

// CheckDetails reports whether bytes are details that an event hashed: what DecodeDetails
// reads and Details.Check accepts. It keeps none of the values.
func (d *Decoder) CheckDetails(e *Event, b []byte) error {
	if len(b) > DetailsBytesMax {
		return fmt.Errorf("%w: details of %d bytes", ErrEvent, len(b))
	}
	r := reader{b: b}
	n := r.list(arrayItemsMax, detailBytesMin)
	if n > 0 && n != len(e.Touches)+len(e.Refusals) {
		return fmt.Errorf("%w: %d details for %d touches and %d refusals", ErrEvent, n, len(e.Touches), len(e.Refusals))
	}
	for i := 0; i < n && r.err == nil; i++ {
		r.tuple(detailParts)
		salt := r.bytes()
		from := r.at
		old := d.hashValues(&r, salt, LabelOld)
		now := d.hashValues(&r, salt, LabelNew)
		switch {
		case len(salt) == 0 && r.at-from == emptyLists: // erased: the chain holds without it
		case len(salt) != SaltBytes:
			return fmt.Errorf("%w: detail %d has a salt of %d bytes", ErrEvent, i, len(salt))
		case i < len(e.Touches) && (old != e.Touches[i].Old || now != e.Touches[i].New):
			return fmt.Errorf("%w: values of %s.%s do not match their hash", ErrEvent, e.Touches[i].Kind, e.Touches[i].Field)
		}
	}
	if err := r.done(); err != nil {
		return fmt.Errorf("%w: details %w", ErrEvent, err)
	}
	return nil
}

// emptyLists is what two lists without any items take.
const emptyLists = 2

// hashValues is HashValues of the list that comes next.
func (d *Decoder) hashValues(r *reader, salt []byte, label string) Hash {
	n := r.list(arrayItemsMax, valueBytesMin)
	if n == 0 {
		return Hash{}
	}
	b := appendHashed(d.room[:0], salt, label)
	for i := 0; i < n && r.err == nil; i++ {
		v := r.value(detailNestingMax)
		b = append(append(strconv.AppendInt(b, int64(len(v)), 10), ':'), v...)
	}
	d.room = b
	return sha256.Sum256(b)
}
