package record

import (
	"fmt"

	"estate/sync/cborhead"
)

// An event is an array: version, building, replica, number, previous hash, stamp, event time,
// actor, action, touches, refusals, card, and in the second version what it erases. It is kept
// for ever, so it says nothing twice: touches of one record that follow each other share its
// kind and id, and where there is no value there is no hash, but an empty string.

// Encode writes the event in its canonical form.
func (e Event) Encode() ([]byte, error) {
	version, parts := uint64(eventVersion), uint64(eventParts)
	if len(e.Erasures) > 0 {
		version, parts = eventVersionErasing, eventParts+1
	}
	b := make([]byte, 0, eventBytesUsual+touchBytesUsual*len(e.Touches)+2*listedBytesMin*len(e.Erasures))
	b = cborhead.Append(cborhead.Append(b, cborhead.Array, parts), cborhead.Uint, version)
	b = cborhead.Append(appendID(appendID(b, e.Building), e.Replica), cborhead.Uint, e.N)
	b = cborhead.Append(appendHash(b, e.Prev), cborhead.Uint, uint64(e.Stamp))
	b = appendInt(b, e.EventTime)
	b = cborhead.Append(cborhead.Append(b, cborhead.Array, actorParts), cborhead.Uint, uint64(e.Actor.Class))
	b = appendText(appendID(b, e.Actor.Person), e.Actor.Name)
	b = appendTouches(appendText(b, e.Action), e.Touches)
	b = cborhead.Append(b, cborhead.Array, uint64(len(e.Refusals)))
	for _, x := range e.Refusals {
		b = appendListed(cborhead.Append(b, cborhead.Array, refusedParts), x.Dot)
		b = appendText(appendText(appendID(appendText(b, x.Kind), x.ID), x.Field), x.Code)
	}
	b = appendCard(b, e.Card)
	if len(e.Erasures) > 0 {
		b = appendDots(b, e.Erasures)
	}
	if len(b) > EventBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrEvent, len(b), EventBytesMax)
	}
	return b, nil
}

// What events usually take, to make room for them at once.
const (
	eventBytesUsual = 192
	touchBytesUsual = 96
)

// appendTouches writes touches record by record.
func appendTouches(b []byte, touches []Touch) []byte {
	b = cborhead.Append(b, cborhead.Array, uint64(touchedRecords(touches)))
	for len(touches) > 0 {
		n := sameRecord(touches)
		b = appendText(cborhead.Append(b, cborhead.Array, touchedParts), touches[0].Kind)
		b = cborhead.Append(appendID(b, touches[0].ID), cborhead.Array, uint64(n))
		for _, t := range touches[:n] {
			b = appendDots(appendText(cborhead.Append(b, cborhead.Array, touchParts), t.Field), t.Replaced)
			b = appendHashOrNone(appendHashOrNone(b, t.Old), t.New)
		}
		touches = touches[n:]
	}
	return b
}

// sameRecord is how many touches at the front are of one record.
func sameRecord(touches []Touch) (n int) {
	for n = 1; n < len(touches) && touches[n].ID == touches[0].ID && touches[n].Kind == touches[0].Kind; n++ {
	}
	return n
}

func touchedRecords(touches []Touch) (records int) {
	for ; len(touches) > 0; records++ {
		touches = touches[sameRecord(touches):]
	}
	return records
}

func appendCard(b []byte, c *Card) []byte {
	if c == nil {
		return append(b, cborNull)
	}
	b = cborhead.Append(appendID(cborhead.Append(b, cborhead.Array, cardParts), c.Node), cborhead.Uint, uint64(c.Tier))
	b = append(cborhead.Append(b, cborhead.Bytes, uint64(len(c.PublicKey))), c.PublicKey...)
	return appendHash(appendListed(b, c.Predecessor), c.PredecessorHash)
}

// appendDots writes a list of dots.
func appendDots(b []byte, dots []Dot) []byte {
	b = cborhead.Append(b, cborhead.Array, uint64(len(dots)))
	for _, d := range dots {
		b = appendListed(b, d)
	}
	return b
}

// appendListed writes a dot with its whole replica id.
func appendListed(b []byte, d Dot) []byte {
	return cborhead.Append(appendID(cborhead.Append(b, cborhead.Array, 2), d.Replica), cborhead.Uint, d.N)
}

func appendID(b []byte, id ID) []byte {
	return append(cborhead.Append(b, cborhead.Bytes, uint64(len(id))), id[:]...)
}

func appendHash(b []byte, h Hash) []byte {
	return append(cborhead.Append(b, cborhead.Bytes, uint64(len(h))), h[:]...)
}

func appendHashOrNone(b []byte, h Hash) []byte {
	if h.IsZero() {
		return cborhead.Append(b, cborhead.Bytes, 0)
	}
	return appendHash(b, h)
}

func appendInt(b []byte, n int64) []byte {
	if n < 0 {
		return cborhead.Append(b, cborhead.Negative, uint64(-1-n))
	}
	return cborhead.Append(b, cborhead.Uint, uint64(n))
}
