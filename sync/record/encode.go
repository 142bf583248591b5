package record

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"estate/sync/cborhead"
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

// Encode writes the record in its canonical form: equal records have equal bytes. It
// returns ErrRecord for what Decode would refuse, so that nothing is stored or sent that a
// peer could not read.
func (r Record) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	table := r.replicas()
	b := make([]byte, 0, 64+len(table)*len(ID{})+16*(len(r.Context.Vector)+len(r.Context.Dots))+64*len(r.Fields))
	b = cborhead.Append(b, cborhead.Array, recordParts)
	b = cborhead.Append(b, cborhead.Uint, recordVersion)
	b = cborhead.Append(b, cborhead.Bytes, uint64(len(table)*len(ID{})))
	for _, id := range table {
		b = append(b, id[:]...)
	}
	b = cborhead.Append(b, cborhead.Array, uint64(len(r.Fields)))
	for _, f := range r.Fields {
		b = appendField(b, f, table)
	}
	b = cborhead.Append(b, cborhead.Array, uint64(len(r.Context.Vector)))
	for _, e := range r.Context.Vector {
		b = appendDot(cborhead.Append(b, cborhead.Array, 2), e, table)
	}
	b = cborhead.Append(b, cborhead.Array, uint64(len(r.Context.Dots)))
	for _, d := range r.Context.Dots {
		b = appendDot(appendText(cborhead.Append(b, cborhead.Array, 3), d.Field), d.Dot, table)
	}
	if len(b) > RecordBytesMax {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrRecord, len(b), RecordBytesMax)
	}
	return b, nil
}

// The encoded form is an array of five: version, replicas, fields, vector, dots. Replicas
// are listed once, in order, and cited by index: a ticket of a dozen fields costs one
// replica id, not a dozen. Records are written by hand rather than by reflection, since
// every write and merge does it.
const (
	recordParts  = 5
	siblingParts = 5
)

func appendText(b []byte, s string) []byte {
	return append(cborhead.Append(b, cborhead.Text, uint64(len(s))), s...)
}

func appendDot(b []byte, d Dot, table []ReplicaID) []byte {
	i, _ := slices.BinarySearchFunc(table, d.Replica, ID.Compare)
	return cborhead.Append(cborhead.Append(b, cborhead.Uint, uint64(i)), cborhead.Uint, d.N)
}

func appendField(b []byte, f Field, table []ReplicaID) []byte {
	b = appendText(cborhead.Append(b, cborhead.Array, 2), f.Name)
	b = cborhead.Append(b, cborhead.Array, uint64(len(f.Siblings)))
	for _, s := range f.Siblings {
		b = appendDot(cborhead.Append(b, cborhead.Array, siblingParts), s.Dot, table)
		b = cborhead.Append(b, cborhead.Uint, uint64(s.Stamp))
		b = append(cborhead.Append(b, cborhead.Uint, uint64(s.Class)), s.Value...)
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
			if itemSize(s.Value, valueNestingMax) != len(s.Value) {
				return fmt.Errorf("%w: sibling %d of %q is no value", ErrRecord, j, f.Name)
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
