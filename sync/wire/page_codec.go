package wire

import (
	"slices"
	"unicode/utf8"

	"estate/sync/cborhead"
	"estate/sync/record"
)

// The items of a page are nearly all that an edge and the cloud exchange, so they are written
// and read by hand; what is around them stays the library's. The reader takes only the usual
// form and leaves all else to the library, which decides alone what is refused.

// The parts of CBOR that a page's items are made of.
const (
	keyEvents  = 6
	keyRecords = 7
	// itemBytes is about what an item's keys, ids and lengths take.
	itemBytes = 64
	// fieldsMax is more than the fields of any message.
	fieldsMax = 23
	// nestingMax and elementsMax are the library's limits, see lenient.
	nestingMax  = 16
	elementsMax = 1 << 17
)

// appendPage adds the bytes that the library would give.
func appendPage(b []byte, p Page) ([]byte, error) {
	events, records := p.Events, p.Records
	p.Events, p.Records = nil, nil
	rest, err := record.Marshal(p)
	if err != nil || len(events)+len(records) == 0 {
		return append(b, rest...), err
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
	start := len(b)
	b = append(slices.Grow(b, size), 0)
	b = append(b, rest[1:at]...)
	if len(events) > 0 {
		fields++
		b = cborhead.Append(append(b, keyEvents), cborhead.Array, uint64(len(events)))
		for i := range events {
			b = appendEvent(b, &events[i])
		}
	}
	if len(records) > 0 {
		fields++
		b = cborhead.Append(append(b, keyRecords), cborhead.Array, uint64(len(records)))
		for i := range records {
			if b, err = appendRecord(b, &records[i]); err != nil {
				return nil, err
			}
		}
	}
	b[start] = fields
	return append(b, rest[at:]...), nil
}

func appendEvent(b []byte, e *EventItem) []byte {
	at := len(b)
	b = append(b, cborhead.Map)
	if len(e.Body) > 0 {
		b[at]++
		b = append(cborhead.Append(append(b, 1), cborhead.Bytes, uint64(len(e.Body))), e.Body...)
	}
	if len(e.Details) > 0 {
		b[at]++
		b = append(cborhead.Append(append(b, 2), cborhead.Bytes, uint64(len(e.Details))), e.Details...)
	}
	if !e.Replica.IsZero() {
		b[at]++
		b = append(cborhead.Append(append(b, 3), cborhead.Bytes, uint64(len(e.Replica))), e.Replica[:]...)
	}
	if e.N > 0 {
		b[at]++
		b = cborhead.Append(append(b, 4), cborhead.Uint, e.N)
	}
	return b
}

func appendRecord(b []byte, r *RecordItem) ([]byte, error) {
	if r.Seal != nil || len(r.Tag) > 0 { // a phone's page
		sealed, err := record.Marshal(r)
		return append(b, sealed...), err
	}
	at := len(b)
	b = append(b, cborhead.Map)
	if r.Kind != "" {
		b[at]++
		b = append(cborhead.Append(append(b, 1), cborhead.Text, uint64(len(r.Kind))), r.Kind...)
	}
	if !r.ID.IsZero() {
		b[at]++
		b = append(cborhead.Append(append(b, 2), cborhead.Bytes, uint64(len(r.ID))), r.ID[:]...)
	}
	if len(r.Body) > 0 {
		b[at]++
		b = append(cborhead.Append(append(b, 3), cborhead.Bytes, uint64(len(r.Body))), r.Body...)
	}
	return b, nil
}

// skip is the length of the item at the front, 0 where none of the usual form is there.
func skip(b []byte, nesting int) int {
	major, n, size := cborhead.Parse(b)
	if size == 0 {
		return 0
	}
	switch major {
	case cborhead.Bytes, cborhead.Text:
		if n > uint64(len(b)-size) {
			return 0
		}
		return size + int(n)
	case cborhead.Array, cborhead.Map:
		if nesting == 0 || n > elementsMax {
			return 0
		}
		if major == cborhead.Map {
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
	b    []byte
	at   int
	ok   bool
	name string // the last one
}

// decodePage reads a page whose items are of the usual form; ok is false for any other. The
// items share memory with the payload, which must not change afterwards.
func decodePage(payload []byte) (p Page, ok bool) {
	r := pageReader{b: payload, ok: true}
	fields := r.length(cborhead.Map, fieldsMax)
	rest := make([]byte, 1, 1<<10)
	var events []EventItem
	var records []RecordItem
	for i := 0; i < fields && r.ok; i++ {
		from := r.at
		key := r.number(cborhead.Uint)
		switch {
		case key == keyEvents && events == nil:
			events = make([]EventItem, r.count())
			for i := range events {
				r.event(&events[i])
			}
		case key == keyRecords && records == nil:
			records = make([]RecordItem, r.count())
			for i := range records {
				r.record(&records[i])
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
	rest[0] |= cborhead.Map
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
	major, n, size := cborhead.Parse(r.b[r.at:])
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
	return r.length(cborhead.Array, uint64(min(2*PageItemsMax, len(r.b)-r.at)))
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
	b := r.content(cborhead.Bytes)
	r.ok = r.ok && len(b) == len(id)
	copy(id[:], b)
	return id
}

// key reads the next key of a map whose keys are ascending, as a sender writes them: none
// comes twice.
func (r *pageReader) key(last *uint64) uint64 {
	key := r.number(cborhead.Uint)
	r.ok = r.ok && key > *last
	*last = key
	return key
}

func (r *pageReader) event(e *EventItem) {
	last := uint64(0)
	for n := r.length(cborhead.Map, fieldsMax); n > 0 && r.ok; n-- {
		switch r.key(&last) {
		case 1:
			e.Body = r.content(cborhead.Bytes)
		case 2:
			e.Details = r.content(cborhead.Bytes)
		case 3:
			e.Replica = r.id()
		case 4:
			e.N = r.number(cborhead.Uint)
		default:
			r.ok = false
		}
	}
}

func (r *pageReader) record(item *RecordItem) {
	last := uint64(0)
	for n := r.length(cborhead.Map, fieldsMax); n > 0 && r.ok; n-- {
		switch r.key(&last) {
		case 1:
			item.Kind = r.text()
		case 2:
			item.ID = r.id()
		case 3:
			item.Body = r.content(cborhead.Bytes)
		default:
			r.ok = false // a phone's page, or a field of a later release
		}
	}
}

// text reads a name, which most often is the one before again.
func (r *pageReader) text() string {
	b := r.content(cborhead.Text)
	if r.name != string(b) {
		r.ok = r.ok && utf8.Valid(b)
		r.name = string(b)
	}
	return r.name
}
