package wire

import (
	"encoding/binary"
	"math"
	"unicode/utf8"

	"estate/sync/record"
)

// The items of a page are nearly all that an edge and the cloud exchange, so they are written
// and read by hand; what is around them stays the library's. The reader takes only the usual
// form and leaves all else to the library, which decides alone what is refused.

// The parts of CBOR that a page's items are made of.
const (
	cborUint  = 0 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborArray = 4 << 5
	cborMap   = 5 << 5

	keyEvents  = 6
	keyRecords = 7
	// itemBytes is about what an item's keys, ids and lengths take.
	itemBytes = 64
	// fieldsMax is the library's limit for the fields of a map; no message has as many.
	fieldsMax = 16
	// nestingMax and elementsMax are the library's limits, see lenient.
	nestingMax  = 16
	elementsMax = 1 << 17
)

// encodePage gives the bytes that the library would.
func encodePage(p Page) ([]byte, error) {
	events, records := p.Events, p.Records
	p.Events, p.Records = nil, nil
	rest, err := record.Marshal(p)
	if err != nil || len(events)+len(records) == 0 {
		return rest, err
	}
	size := len(rest) + itemBytes
	for i := range events {
		size += itemBytes + len(events[i].Body) + len(events[i].Details)
	}
	for i := range records {
		size += itemBytes + len(records[i].Kind) + len(records[i].Body)
	}
	at := 1 // of the first key that follows the items
	for at < len(rest) && rest[at] < keyEvents {
		at++
		at += skip(rest[at:], nestingMax)
	}
	fields := rest[0]
	b := append(make([]byte, 0, size), 0)
	b = append(b, rest[1:at]...)
	if len(events) > 0 {
		fields++
		b = appendHead(append(b, keyEvents), cborArray, uint64(len(events)))
		for i := range events {
			b = appendEvent(b, &events[i])
		}
	}
	if len(records) > 0 {
		fields++
		b = appendHead(append(b, keyRecords), cborArray, uint64(len(records)))
		for i := range records {
			if b, err = appendRecord(b, &records[i]); err != nil {
				return nil, err
			}
		}
	}
	b[0] = fields
	return append(b, rest[at:]...), nil
}

func appendEvent(b []byte, e *EventItem) []byte {
	at := len(b)
	b = append(b, cborMap)
	if len(e.Body) > 0 {
		b[at]++
		b = append(appendHead(append(b, 1), cborBytes, uint64(len(e.Body))), e.Body...)
	}
	if len(e.Details) > 0 {
		b[at]++
		b = append(appendHead(append(b, 2), cborBytes, uint64(len(e.Details))), e.Details...)
	}
	if !e.Replica.IsZero() {
		b[at]++
		b = append(appendHead(append(b, 3), cborBytes, uint64(len(e.Replica))), e.Replica[:]...)
	}
	if e.N > 0 {
		b[at]++
		b = appendHead(append(b, 4), cborUint, e.N)
	}
	return b
}

func appendRecord(b []byte, r *RecordItem) ([]byte, error) {
	if r.Seal != nil || len(r.Tag) > 0 { // a phone's page
		sealed, err := record.Marshal(r)
		return append(b, sealed...), err
	}
	at := len(b)
	b = append(b, cborMap)
	if r.Kind != "" {
		b[at]++
		b = append(appendHead(append(b, 1), cborText, uint64(len(r.Kind))), r.Kind...)
	}
	if !r.ID.IsZero() {
		b[at]++
		b = append(appendHead(append(b, 2), cborBytes, uint64(len(r.ID))), r.ID[:]...)
	}
	if len(r.Body) > 0 {
		b[at]++
		b = append(appendHead(append(b, 3), cborBytes, uint64(len(r.Body))), r.Body...)
	}
	return b, nil
}

// appendHead writes the head of one item, in its shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// head reads the head of an item of definite length; size is 0 where there is none.
func head(b []byte) (major byte, n uint64, size int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, n = b[0]&^0x1f, uint64(b[0]&0x1f)
	switch {
	case n < 24:
		return major, n, 1
	case n == 24 && len(b) >= 2:
		return major, uint64(b[1]), 2
	case n == 25 && len(b) >= 3:
		return major, uint64(binary.BigEndian.Uint16(b[1:])), 3
	case n == 26 && len(b) >= 5:
		return major, uint64(binary.BigEndian.Uint32(b[1:])), 5
	case n == 27 && len(b) >= 9:
		return major, binary.BigEndian.Uint64(b[1:]), 9
	}
	return 0, 0, 0
}

// skip is the length of the item at the front, 0 where none of the usual form is there.
func skip(b []byte, nesting int) int {
	major, n, size := head(b)
	if size == 0 {
		return 0
	}
	switch major {
	case cborBytes, cborText:
		if n > uint64(len(b)-size) {
			return 0
		}
		return size + int(n)
	case cborArray, cborMap:
		if nesting == 0 || n > elementsMax {
			return 0
		}
		if major == cborMap {
			n *= 2
		}
		for range n {
			one := skip(b[size:], nesting-1)
			if one == 0 {
				return 0
			}
			size += one
		}
	}
	return size
}

// pageReader reads the items of a page. What it cannot read makes it give up.
type pageReader struct {
	b  []byte
	at int
	ok bool
}

// decodePage reads a page whose items are of the usual form; ok is false for any other. The
// items share memory with the payload, which must not change afterwards.
func decodePage(payload []byte) (p Page, ok bool) {
	r := pageReader{b: payload, ok: true}
	fields := r.length(cborMap, fieldsMax)
	rest := make([]byte, 1, 1<<10)
	var events []EventItem
	var records []RecordItem
	for i := 0; i < fields && r.ok; i++ {
		from := r.at
		key := r.number(cborUint)
		switch {
		case key == keyEvents && events == nil:
			events = make([]EventItem, 0, r.count())
			for range cap(events) {
				events = append(events, r.event())
			}
		case key == keyRecords && records == nil:
			records = make([]RecordItem, 0, r.count())
			for range cap(records) {
				records = append(records, r.record())
			}
		case key == keyEvents || key == keyRecords:
			r.ok = false
		default:
			r.pass(skip(r.b[r.at:], nestingMax-1))
			if r.ok {
				rest = append(rest, r.b[from:r.at]...)
				rest[0]++
			}
		}
	}
	if !r.ok || r.at != len(r.b) {
		return Page{}, false
	}
	rest[0] |= cborMap
	if lenient.Unmarshal(rest, &p) != nil {
		return Page{}, false
	}
	p.Events, p.Records = events, records
	return p, true
}

func (r *pageReader) pass(size int) {
	r.ok = r.ok && size > 0
	if r.ok {
		r.at += size
	}
}

func (r *pageReader) number(want byte) uint64 {
	if !r.ok {
		return 0
	}
	major, n, size := head(r.b[r.at:])
	r.ok = major == want
	r.pass(size)
	return n
}

// length reads how many parts a container has, no more than limit.
func (r *pageReader) length(major byte, limit uint64) int {
	n := r.number(major)
	if n > limit {
		r.ok = false
	}
	if !r.ok {
		return 0
	}
	return int(n)
}

// count reads the length of a list of items, no more than a receiver takes.
func (r *pageReader) count() int {
	return r.length(cborArray, uint64(min(2*PageItemsMax, len(r.b)-r.at)))
}

// content reads what a byte or text string holds.
func (r *pageReader) content(major byte) []byte {
	n := r.length(major, uint64(len(r.b)-r.at))
	if !r.ok || n > len(r.b)-r.at {
		r.ok = false
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at : r.at]
}

func (r *pageReader) id() (id record.ID) {
	b := r.content(cborBytes)
	r.ok = r.ok && len(b) == len(id)
	copy(id[:], b)
	return id
}

// fields reads a map whose keys are ascending, as a sender writes them: none comes twice.
func (r *pageReader) fields(field func(key uint64)) {
	last := uint64(0)
	for n := r.length(cborMap, fieldsMax); n > 0 && r.ok; n-- {
		key := r.number(cborUint)
		r.ok = r.ok && key > last
		last = key
		field(key)
	}
}

func (r *pageReader) event() (e EventItem) {
	r.fields(func(key uint64) {
		switch key {
		case 1:
			e.Body = r.content(cborBytes)
		case 2:
			e.Details = r.content(cborBytes)
		case 3:
			e.Replica = r.id()
		case 4:
			e.N = r.number(cborUint)
		default:
			r.ok = false
		}
	})
	return e
}

func (r *pageReader) record() (item RecordItem) {
	r.fields(func(key uint64) {
		switch key {
		case 1:
			kind := r.content(cborText)
			r.ok = r.ok && utf8.Valid(kind)
			item.Kind = string(kind)
		case 2:
			item.ID = r.id()
		case 3:
			item.Body = r.content(cborBytes)
		default:
			r.ok = false // a phone's page, or a field of a later release
		}
	})
	return item
}
