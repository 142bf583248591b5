package record

import (
	"fmt"
	"slices"

	"estate/sync/hlc"
)

// Decode reads a record and checks that it is in canonical form, so that bytes from a peer
// can be stored and compared as they are. The record's values share memory with b, which
// must not change afterwards. It returns ErrRecord.
func Decode(b []byte) (Record, error) {
	var d Decoder
	return d.Record(b)
}

// Record is Decode for a record of a page.
func (from *Decoder) Record(b []byte) (Record, error) {
	if len(b) > RecordBytesMax {
		return Record{}, fmt.Errorf("%w: %d bytes, limit %d", ErrRecord, len(b), RecordBytesMax)
	}
	d := recordReader{reader: reader{b: b, names: from.names}, from: from}
	d.tuple(recordParts)
	if v := d.uint(); d.err == nil && v != recordVersion {
		return Record{}, fmt.Errorf("%w: version %d, this program knows %d", ErrRecord, v, recordVersion)
	}
	d.replicas()
	rec := Record{Fields: d.fields()}
	rec.Context = Context{Vector: d.vector(), Dots: d.dots()}
	if err := d.done(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if slices.Contains(d.cited, false) {
		return Record{}, fmt.Errorf("%w: a replica that nothing cites", ErrRecord)
	}
	return rec, nil
}

// recordReader reads the parts of a record, citing its table of replicas. Each part is read
// in strict order, so that equal records have equal bytes.
type recordReader struct {
	reader
	from  *Decoder
	table []ReplicaID
	cited []bool
	room  [8]ReplicaID // most records cite fewer: no allocation for the table
	seen  [8]bool
}

func (d *recordReader) replicas() {
	b := d.bytes()
	n := len(b) / len(ID{})
	if len(b)%len(ID{}) != 0 || n > recordEntriesMax {
		d.fail()
		return
	}
	d.table, d.cited = d.room[:0], d.seen[:0]
	if n > len(d.room) {
		d.table, d.cited = make([]ReplicaID, 0, n), make([]bool, 0, n)
	}
	for i := range n {
		id := ReplicaID(b[i*len(ID{}) : (i+1)*len(ID{})])
		if i > 0 && d.table[i-1].Compare(id) >= 0 {
			d.fail()
			return
		}
		d.table, d.cited = append(d.table, id), append(d.cited, false)
	}
}

// cite reads a dot whose replica is an index into the table.
func (d *recordReader) cite() Dot {
	i, n := d.uint(), d.uint()
	if i >= uint64(len(d.table)) || n == 0 {
		d.fail()
		return Dot{}
	}
	d.cited[i] = true
	return Dot{Replica: d.table[i], N: n}
}

// Least sizes of the parts of a record, to check a length before memory is spent on it.
const (
	siblingBytesMin = 6
	fieldBytesMin   = 4 + siblingBytesMin
	entryBytesMin   = 3
	dotBytesMin     = 5
)

func (d *recordReader) fields() []Field {
	n := d.list(FieldsMax, fieldBytesMin)
	if n == 0 {
		return nil
	}
	fields, siblings := d.from.fields.take(n, d.from.chunk), d.from.siblings.take(n, d.from.chunk)
	for i := 0; i < n && d.err == nil; i++ {
		d.tuple(2)
		name := d.text()
		if name == "" || len(name) > FieldNameMax || i > 0 && fields[i-1].Name >= name {
			d.fail()
			return nil
		}
		from := len(siblings)
		siblings = d.siblings(siblings)
		fields = append(fields, Field{Name: name, Siblings: siblings[from:len(siblings):len(siblings)]})
	}
	return fields
}

// siblings appends a field's siblings to those of the fields before it.
func (d *recordReader) siblings(out []Sibling) []Sibling {
	n := d.list(SiblingsMax, siblingBytesMin)
	if n == 0 {
		d.fail()
	}
	for i := 0; i < n && d.err == nil; i++ {
		d.tuple(siblingParts)
		s := Sibling{Dot: d.cite(), Stamp: hlc.Stamp(d.uint()), Class: Class(d.small()), Value: d.value(valueNestingMax)}
		if s.Class != Person && s.Class != Automation || i > 0 && out[len(out)-1].CompareIdentity(s) >= 0 {
			d.fail()
			return out
		}
		out = append(out, s)
	}
	return out
}

func (d *recordReader) vector() []Dot {
	n := d.list(recordEntriesMax, entryBytesMin)
	if n == 0 {
		return nil
	}
	out := d.from.dots.take(n, d.from.chunk)
	for i := 0; i < n && d.err == nil; i++ {
		d.tuple(2)
		e := d.cite()
		if i > 0 && out[i-1].Replica.Compare(e.Replica) >= 0 {
			d.fail()
			return nil
		}
		out = append(out, e)
	}
	return out
}

func (d *recordReader) dots() []FieldDot {
	n := d.list(recordEntriesMax, dotBytesMin)
	if n == 0 {
		return nil
	}
	out := make([]FieldDot, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		d.tuple(3)
		dot := FieldDot{Field: d.text(), Dot: d.cite()}
		if dot.Field == "" || len(dot.Field) > FieldNameMax || i > 0 && out[i-1].Compare(dot) >= 0 {
			d.fail()
			return nil
		}
		out = append(out, dot)
	}
	return out
}

// Replicas lists the replicas that an encoded record cites, in order, without decoding the
// rest. It returns nil for bytes that are not a record.
func Replicas(body []byte) []ReplicaID {
	r := reader{b: body}
	r.tuple(recordParts)
	if r.uint() != recordVersion {
		return nil
	}
	table := r.bytes()
	if r.err != nil {
		return nil
	}
	out := make([]ReplicaID, 0, len(table)/len(ID{}))
	for ; len(table) >= len(ID{}); table = table[len(ID{}):] {
		out = append(out, ReplicaID(table[:len(ID{})]))
	}
	return out
}
