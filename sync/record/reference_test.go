package record_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"estate/sync/hlc"
	"estate/sync/record"
)

// The reference: a second reader and writer of the encoding, by the library's reflection
// and with checks of its own. It is slow and shares no line with the package's; the fuzz
// targets and properties hold that both take the same bytes and read the same from them.

// Modes as SPEC R18 asks: no tags, no indefinite lengths, no duplicate keys, valid UTF-8.
func referenceMode(nesting int) cbor.DecMode {
	m, err := cbor.DecOptions{DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		UTF8: cbor.UTF8RejectInvalid, MaxNestedLevels: nesting, MaxArrayElements: 1 << 17, MaxMapPairs: 1 << 12}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

func referenceWriter() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	m, err := o.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}

var (
	strict      = referenceMode(16)
	insideValue = referenceMode(8)
	canonical   = referenceWriter()
	errNotSo    = errors.New("reference: not a canonical form")
)

type (
	refRecord struct {
		_        struct{} `cbor:",toarray"`
		Version  uint64
		Replicas []byte
		Fields   []refField
		Vector   []refEntry
		Dots     []refDot
	}
	refField struct {
		_        struct{} `cbor:",toarray"`
		Name     string
		Siblings []refSibling
	}
	refSibling struct {
		_          struct{} `cbor:",toarray"`
		Replica, N uint64
		Stamp      uint64
		Class      uint8
		Value      cbor.RawMessage
	}
	refEntry struct {
		_          struct{} `cbor:",toarray"`
		Replica, N uint64
	}
	refDot struct {
		_          struct{} `cbor:",toarray"`
		Field      string
		Replica, N uint64
	}
)

// referenceDecode reads a record as the text of the rules says.
func referenceDecode(b []byte) (record.Record, error) {
	var w refRecord
	if len(b) > record.RecordBytesMax {
		return record.Record{}, errNotSo
	}
	if err := strict.Unmarshal(b, &w); err != nil {
		return record.Record{}, err
	}
	again, err := canonical.Marshal(w)
	if err != nil || !bytes.Equal(again, b) || w.Version != 1 || len(w.Replicas)%16 != 0 {
		return record.Record{}, errNotSo
	}
	r, cited := record.Record{}, map[uint64]bool{}
	var table []record.ID
	for i := 0; i < len(w.Replicas); i += 16 {
		table = append(table, record.ID(w.Replicas[i:i+16]))
	}
	dot := func(i, n uint64) record.Dot {
		if i >= uint64(len(table)) || n == 0 {
			err = errNotSo
			return record.Dot{}
		}
		cited[i] = true
		return record.Dot{Replica: table[i], N: n}
	}
	for _, f := range w.Fields {
		field := record.Field{Name: f.Name}
		for _, s := range f.Siblings {
			if len(s.Value) > record.ValueBytesMax || s.Class != 1 && s.Class != 2 || insideValue.Wellformed(s.Value) != nil {
				return r, errNotSo
			}
			field.Siblings = append(field.Siblings, record.Sibling{Dot: dot(s.Replica, s.N), Stamp: hlc.Stamp(s.Stamp), Class: record.Class(s.Class), Value: record.Value(s.Value)})
		}
		r.Fields = append(r.Fields, field)
	}
	for _, e := range w.Vector {
		r.Context.Vector = append(r.Context.Vector, dot(e.Replica, e.N))
	}
	for _, d := range w.Dots {
		r.Context.Dots = append(r.Context.Dots, record.FieldDot{Field: d.Field, Dot: dot(d.Replica, d.N)})
	}
	if err != nil || len(cited) != len(table) || !rising(table, record.ID.Compare) || !inOrder(r) {
		return r, errNotSo
	}
	return r, nil
}

func inOrder(r record.Record) bool {
	names := func(s string) bool { return s != "" && len(s) <= record.FieldNameMax && utf8.ValidString(s) }
	for _, f := range r.Fields {
		if !names(f.Name) || len(f.Siblings) == 0 || len(f.Siblings) > record.SiblingsMax || !rising(f.Siblings, record.Sibling.CompareIdentity) {
			return false
		}
	}
	for _, d := range r.Context.Dots {
		if !names(d.Field) {
			return false
		}
	}
	return len(r.Fields) <= record.FieldsMax && len(r.Context.Vector) <= 1<<16 && len(r.Context.Dots) <= 1<<16 &&
		rising(r.Fields, func(a, b record.Field) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) }) &&
		rising(r.Context.Vector, func(a, b record.Dot) int { return a.Replica.Compare(b.Replica) }) &&
		rising(r.Context.Dots, record.FieldDot.Compare)
}

func rising[T any](list []T, compare func(a, b T) int) bool {
	for i := 1; i < len(list); i++ {
		if compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}

type (
	refLink struct {
		_       struct{} `cbor:",toarray"`
		Replica []byte
		N       uint64
	}
	refActor struct {
		_      struct{} `cbor:",toarray"`
		Class  uint8
		Person []byte
		Name   string
	}
	refTouched struct {
		_       struct{} `cbor:",toarray"`
		Kind    string
		ID      []byte
		Touches []refTouch
	}
	refTouch struct {
		_        struct{} `cbor:",toarray"`
		Field    string
		Replaced []refLink
		Old, New []byte
	}
	refRefused struct {
		_     struct{} `cbor:",toarray"`
		Dot   refLink
		Kind  string
		ID    []byte
		Field string
		Code  string
	}
	refCard struct {
		_               struct{} `cbor:",toarray"`
		Node            []byte
		Tier            uint8
		PublicKey       []byte
		Predecessor     refLink
		PredecessorHash []byte
	}
	refEvent struct {
		_                 struct{} `cbor:",toarray"`
		Version           uint64
		Building, Replica []byte
		N                 uint64
		Prev              []byte
		Stamp             uint64
		EventTime         int64
		Actor             refActor
		Action            string
		Touched           []refTouched
		Refusals          []refRefused
		Card              *refCard
	}
	// refErasing is an event of the second version.
	refErasing struct {
		_                 struct{} `cbor:",toarray"`
		Version           uint64
		Building, Replica []byte
		N                 uint64
		Prev              []byte
		Stamp             uint64
		EventTime         int64
		Actor             refActor
		Action            string
		Touched           []refTouched
		Refusals          []refRefused
		Card              *refCard
		Erasures          []refLink
	}
	refDetail struct {
		_        struct{} `cbor:",toarray"`
		Salt     []byte
		Old, New []cbor.RawMessage
	}
)

// fixed refuses byte strings of another length than the type has.
func fixed(n int, parts ...[]byte) bool {
	return !slices.ContainsFunc(parts, func(p []byte) bool { return len(p) != n })
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// referenceEvent says whether bytes are an event by the text of the rules.
func referenceEvent(b []byte) (refEvent, error) {
	var e refEvent
	if len(b) > record.EventBytesMax {
		return e, errNotSo
	}
	version := uint64(1)
	var x refErasing
	again, err := []byte(nil), strict.Unmarshal(b, &x)
	if err == nil {
		e = refEvent{Version: x.Version, Building: x.Building, Replica: x.Replica, N: x.N, Prev: x.Prev, Stamp: x.Stamp, EventTime: x.EventTime,
			Actor: x.Actor, Action: x.Action, Touched: x.Touched, Refusals: x.Refusals, Card: x.Card}
		version = 2
		again, err = canonical.Marshal(x)
	} else if err = strict.Unmarshal(b, &e); err == nil {
		again, err = canonical.Marshal(e)
	}
	if err != nil || !bytes.Equal(again, b) || version == 2 && !ascendingLinks(x.Erasures) {
		return e, errNotSo
	}
	first := e.N == 1
	ok := e.Version == version && (!first || version == 1) && fixed(16, e.Building, e.Replica, e.Actor.Person) && fixed(32, e.Prev) &&
		e.N > 0 && !isZero(e.Building) && !isZero(e.Replica) && first == (e.Card != nil) && first == isZero(e.Prev) &&
		(e.Actor.Class == 1 || e.Actor.Class == 2) && len(e.Action) <= record.ActionBytesMax && (!first || len(e.Touched) == 0) &&
		touchedAlike(e.Touched)
	for _, r := range e.Refusals {
		ok = ok && fixed(16, r.ID, r.Dot.Replica)
	}
	if !ok {
		return e, errNotSo
	}
	if c := e.Card; c != nil {
		return e, c.check(e.Replica)
	}
	return e, nil
}

// touchedAlike holds the list of what an event wrote, record by record.
func touchedAlike(list []refTouched) bool {
	all := 0
	for i, r := range list {
		all += len(r.Touches)
		if r.Kind == "" || len(r.Kind) > record.FieldNameMax || !fixed(16, r.ID) || isZero(r.ID) || len(r.Touches) == 0 || all > record.TouchesMax ||
			i > 0 && list[i-1].Kind == r.Kind && bytes.Equal(list[i-1].ID, r.ID) {
			return false
		}
		for _, t := range r.Touches {
			if t.Field == "" || len(t.Field) > record.FieldNameMax || !hashOrNone(t.Old) || !hashOrNone(t.New) {
				return false
			}
			for _, d := range t.Replaced {
				if !fixed(16, d.Replica) || isZero(d.Replica) || d.N == 0 {
					return false
				}
			}
		}
	}
	return true
}

func hashOrNone(b []byte) bool { return len(b) == 0 || len(b) == 32 && !isZero(b) }

func (e refEvent) touches() (n int) {
	for _, r := range e.Touched {
		n += len(r.Touches)
	}
	return n
}

// ascendingLinks holds the list of what an event erases.
func ascendingLinks(list []refLink) bool {
	for i, d := range list {
		if !fixed(16, d.Replica) || isZero(d.Replica) || d.N == 0 ||
			i > 0 && cmp.Or(bytes.Compare(list[i-1].Replica, d.Replica), cmp.Compare(list[i-1].N, d.N)) >= 0 {
			return false
		}
	}
	return len(list) > 0 && len(list) <= record.ErasuresMax
}

func (c refCard) check(replica []byte) error {
	if !fixed(16, c.Node, c.Predecessor.Replica) || !fixed(32, c.PublicKey, c.PredecessorHash) {
		return errNotSo
	}
	none := c.Predecessor.N == 0
	switch {
	case record.NodeID(c.PublicKey) != record.ID(c.Node), c.Tier < 1 || c.Tier > 3,
		none != isZero(c.Predecessor.Replica), none != isZero(c.PredecessorHash),
		record.MarkReplica(record.ID(replica), record.ID(c.Node)) != record.ID(replica), bytes.Equal(c.Predecessor.Replica, replica):
		return fmt.Errorf("%w: card", errNotSo)
	}
	return nil
}

// referenceDetails says whether bytes are details by the text of the rules.
func referenceDetails(b []byte) ([]refDetail, error) {
	var list []refDetail
	if len(b) > record.DetailsBytesMax {
		return nil, errNotSo
	}
	if err := strict.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	again, err := canonical.Marshal(list)
	if err != nil || !bytes.Equal(again, b) {
		return nil, errNotSo
	}
	for _, d := range list {
		values := slices.Concat(d.Old, d.New)
		if len(d.Salt) != record.SaltBytes && (len(d.Salt) > 0 || len(values) > 0) {
			return nil, errNotSo
		}
		if slices.ContainsFunc(values, func(v cbor.RawMessage) bool { return len(v) > record.ValueBytesMax }) {
			return nil, errNotSo
		}
	}
	return list, nil
}
