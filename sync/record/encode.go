package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"estate/sync/hlc"
)

// Limits of one record. A record near them is a modelling mistake; the store and the wire
// must still survive it.
const (
	RecordBytesMax   = 512 << 10
	FieldsMax        = 256
	FieldNameMax     = 64
	SiblingsMax      = 1024
	recordVersion    = 1
	recordEntriesMax = 1 << 16
)

// ErrRecord says that bytes are not a record in canonical form.
var ErrRecord = errors.New("record: malformed record")

// The encoded form, as the decoder sees it. Replicas are listed once, in order, and cited by index: a ticket of a
// dozen fields costs one replica id, not a dozen.
type recordWire struct {
	_        struct{} `cbor:",toarray"`
	Version  uint64
	Replicas []byte
	Fields   []fieldWire
	Vector   []entryWire
	Dots     []dotWire
}

type fieldWire struct {
	_        struct{} `cbor:",toarray"`
	Name     string
	Siblings []siblingWire
}

type siblingWire struct {
	_       struct{} `cbor:",toarray"`
	Replica uint64
	N       uint64
	Stamp   hlc.Stamp
	Class   Class
	Value   Value
}

type entryWire struct {
	_       struct{} `cbor:",toarray"`
	Replica uint64
	N       uint64
}

type dotWire struct {
	_       struct{} `cbor:",toarray"`
	Field   string
	Replica uint64
	N       uint64
}

// Encode writes the record in its canonical form: equal records have equal bytes. It
// returns ErrRecord for what Decode would refuse, so that nothing is stored or sent that a
// peer could not read.
func (r Record) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	table := r.replicas()
	b := make([]byte, 0, 64+len(table)*len(ID{})+16*(len(r.Context.Vector)+len(r.Context.Dots))+64*len(r.Fields))
	b = appendHead(b, cborArray, recordParts)
	b = appendHead(b, cborUint, recordVersion)
	b = appendHead(b, cborBytes, uint64(len(table)*len(ID{})))
	for _, id := range table {
		b = append(b, id[:]...)
	}
	b = appendHead(b, cborArray, uint64(len(r.Fields)))
	for _, f := range r.Fields {
		b = appendField(b, f, table)
	}
	b = appendHead(b, cborArray, uint64(len(r.Context.Vector)))
	for _, e := range r.Context.Vector {
		b = appendDot(appendHead(b, cborArray, 2), e, table)
	}
	b = appendHead(b, cborArray, uint64(len(r.Context.Dots)))
	for _, d := range r.Context.Dots {
		b = appendDot(appendText(appendHead(b, cborArray, 3), d.Field), d.Dot, table)
	}
	if len(b) > RecordBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrRecord, len(b), RecordBytesMax)
	}
	return b, nil
}

// Records are written by hand rather than by reflection: every write, merge and decode
// does it. The decoder stays the library's, so each checks the other.
const (
	cborUint  = 0 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborArray = 4 << 5

	recordParts  = 5
	siblingParts = 5
)

// appendHead writes the head of one CBOR item, in its shortest form.
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

func appendText(b []byte, s string) []byte {
	return append(appendHead(b, cborText, uint64(len(s))), s...)
}

func appendDot(b []byte, d Dot, table []ReplicaID) []byte {
	i, _ := slices.BinarySearchFunc(table, d.Replica, ID.Compare)
	return appendHead(appendHead(b, cborUint, uint64(i)), cborUint, d.N)
}

func appendField(b []byte, f Field, table []ReplicaID) []byte {
	b = appendText(appendHead(b, cborArray, 2), f.Name)
	b = appendHead(b, cborArray, uint64(len(f.Siblings)))
	for _, s := range f.Siblings {
		b = appendDot(appendHead(b, cborArray, siblingParts), s.Dot, table)
		b = appendHead(b, cborUint, uint64(s.Stamp))
		b = append(appendHead(b, cborUint, uint64(s.Class)), s.Value...)
	}
	return b
}

func (r Record) replicas() []ReplicaID {
	ids := make([]ReplicaID, 0, len(r.Fields)+len(r.Context.Vector)+len(r.Context.Dots))
	for _, f := range r.Fields {
		for _, s := range f.Siblings {
			ids = append(ids, s.Dot.Replica)
		}
	}
	for _, e := range r.Context.Vector {
		ids = append(ids, e.Replica)
	}
	for _, d := range r.Context.Dots {
		ids = append(ids, d.Dot.Replica)
	}
	slices.SortFunc(ids, ID.Compare)
	return slices.Compact(ids)
}

// Decode reads a record and checks that it is in canonical form, so that bytes from a peer
// can be stored and compared as they are. It returns ErrRecord.
func Decode(b []byte) (Record, error) {
	if len(b) > RecordBytesMax {
		return Record{}, fmt.Errorf("%w: %d bytes, limit %d", ErrRecord, len(b), RecordBytesMax)
	}
	var w recordWire
	if err := Unmarshal(b, &w); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if w.Version != recordVersion {
		return Record{}, fmt.Errorf("%w: version %d, this program knows %d", ErrRecord, w.Version, recordVersion)
	}
	if len(w.Replicas)%len(ID{}) != 0 {
		return Record{}, fmt.Errorf("%w: replica table", ErrRecord)
	}
	r, err := w.record()
	if err != nil {
		return Record{}, err
	}
	// The decoder accepts longer forms of a number, and a replica table in any order. Only
	// writing it again shows that these are the canonical bytes.
	again, err := r.Encode()
	if err != nil {
		return Record{}, err
	}
	if !bytes.Equal(again, b) {
		return Record{}, fmt.Errorf("%w: not canonical", ErrRecord)
	}
	return r, nil
}

func (w recordWire) record() (Record, error) {
	bad := false
	replica := func(i uint64) ReplicaID {
		if i >= uint64(len(w.Replicas)/len(ID{})) {
			bad = true
			return ReplicaID{}
		}
		return ReplicaID(w.Replicas[i*16 : i*16+16])
	}
	var r Record
	if len(w.Fields) > 0 {
		r.Fields = make([]Field, len(w.Fields))
	}
	for i, f := range w.Fields {
		r.Fields[i] = Field{Name: f.Name, Siblings: make([]Sibling, len(f.Siblings))}
		for j, s := range f.Siblings {
			r.Fields[i].Siblings[j] = Sibling{Dot: Dot{Replica: replica(s.Replica), N: s.N}, Stamp: s.Stamp, Class: s.Class, Value: s.Value}
		}
	}
	for _, e := range w.Vector {
		r.Context.Vector = append(r.Context.Vector, Dot{Replica: replica(e.Replica), N: e.N})
	}
	for _, d := range w.Dots {
		r.Context.Dots = append(r.Context.Dots, FieldDot{Field: d.Field, Dot: Dot{Replica: replica(d.Replica), N: d.N}})
	}
	if bad {
		return Record{}, fmt.Errorf("%w: replica index out of range", ErrRecord)
	}
	return r, nil
}

// validate holds the limits and the canonical form: strict order everywhere, no empty
// parts.
func (r Record) validate() error {
	if len(r.Fields) > FieldsMax || len(r.Context.Vector) > recordEntriesMax || len(r.Context.Dots) > recordEntriesMax {
		return fmt.Errorf("%w: beyond its limits", ErrRecord)
	}
	for i, f := range r.Fields {
		if !validName(f.Name) || i > 0 && r.Fields[i-1].Name >= f.Name || len(f.Siblings) == 0 || len(f.Siblings) > SiblingsMax {
			return fmt.Errorf("%w: field %q", ErrRecord, f.Name)
		}
		for j, s := range f.Siblings {
			if s.Dot.N == 0 || s.Class != Person && s.Class != Automation || len(s.Value) == 0 || len(s.Value) > ValueBytesMax || j > 0 && f.Siblings[j-1].CompareIdentity(s) >= 0 {
				return fmt.Errorf("%w: sibling %d of %q", ErrRecord, j, f.Name)
			}
			if err := valueDecoding.Wellformed(s.Value); err != nil {
				return fmt.Errorf("%w: sibling %d of %q: %w", ErrRecord, j, f.Name, err)
			}
		}
	}
	for i, e := range r.Context.Vector {
		if e.N == 0 || i > 0 && r.Context.Vector[i-1].Replica.Compare(e.Replica) >= 0 {
			return fmt.Errorf("%w: vector", ErrRecord)
		}
	}
	for i, d := range r.Context.Dots {
		if d.Dot.N == 0 || !validName(d.Field) || i > 0 && r.Context.Dots[i-1].Compare(d) >= 0 {
			return fmt.Errorf("%w: dots", ErrRecord)
		}
	}
	return nil
}

func validName(s string) bool { return s != "" && len(s) <= FieldNameMax && utf8.ValidString(s) }

// Replicas lists the replicas that an encoded record cites, in order, without decoding the
// rest. It returns nil for bytes that are not a record.
func Replicas(body []byte) []ReplicaID {
	// The form begins with an array of five, the version and the byte string of replicas.
	if len(body) < 3 || body[0] != 0x85 || body[1] != recordVersion {
		return nil
	}
	var table []byte
	if _, err := decoding.UnmarshalFirst(body[2:], &table); err != nil {
		return nil
	}
	out := make([]ReplicaID, 0, len(table)/len(ID{}))
	for ; len(table) >= len(ID{}); table = table[len(ID{}):] {
		out = append(out, ReplicaID(table[:len(ID{})]))
	}
	return out
}
