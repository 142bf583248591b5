package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

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

// The encoded form. Replicas are listed once, in order, and cited by index: a ticket of a
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
	index := func(id ReplicaID) uint64 {
		i, _ := slices.BinarySearchFunc(table, id, ID.Compare)
		return uint64(i)
	}
	w := recordWire{Version: recordVersion, Replicas: make([]byte, 0, len(table)*len(ID{})),
		Fields: make([]fieldWire, len(r.Fields)), Vector: make([]entryWire, len(r.Context.Vector)), Dots: make([]dotWire, len(r.Context.Dots))}
	for _, id := range table {
		w.Replicas = append(w.Replicas, id[:]...)
	}
	for i, f := range r.Fields {
		w.Fields[i] = fieldWire{Name: f.Name, Siblings: make([]siblingWire, len(f.Siblings))}
		for j, s := range f.Siblings {
			w.Fields[i].Siblings[j] = siblingWire{Replica: index(s.Dot.Replica), N: s.Dot.N, Stamp: s.Stamp, Class: s.Class, Value: s.Value}
		}
	}
	for i, e := range r.Context.Vector {
		w.Vector[i] = entryWire{Replica: index(e.Replica), N: e.N}
	}
	for i, d := range r.Context.Dots {
		w.Dots[i] = dotWire{Field: d.Field, Replica: index(d.Dot.Replica), N: d.Dot.N}
	}
	b, err := Marshal(w)
	if err != nil {
		return nil, err
	}
	if len(b) > RecordBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrRecord, len(b), RecordBytesMax)
	}
	return b, nil
}

func (r Record) replicas() []ReplicaID {
	var ids []ReplicaID
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
	r := Record{Fields: make([]Field, len(w.Fields))}
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
		if f.Name == "" || len(f.Name) > FieldNameMax || i > 0 && r.Fields[i-1].Name >= f.Name || len(f.Siblings) == 0 || len(f.Siblings) > SiblingsMax {
			return fmt.Errorf("%w: field %q", ErrRecord, f.Name)
		}
		for j, s := range f.Siblings {
			if s.Dot.N == 0 || s.Class != Person && s.Class != Automation || len(s.Value) == 0 || len(s.Value) > ValueBytesMax || j > 0 && f.Siblings[j-1].CompareIdentity(s) >= 0 {
				return fmt.Errorf("%w: sibling %d of %q", ErrRecord, j, f.Name)
			}
		}
	}
	for i, e := range r.Context.Vector {
		if e.N == 0 || i > 0 && r.Context.Vector[i-1].Replica.Compare(e.Replica) >= 0 {
			return fmt.Errorf("%w: vector", ErrRecord)
		}
	}
	for i, d := range r.Context.Dots {
		if d.Dot.N == 0 || d.Field == "" || len(d.Field) > FieldNameMax || i > 0 && r.Context.Dots[i-1].Compare(d) >= 0 {
			return fmt.Errorf("%w: dots", ErrRecord)
		}
	}
	return nil
}
