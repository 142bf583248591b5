package record

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"estate/sync/hlc"
)

// Limits of one event.
const (
	EventBytesMax   = 256 << 10
	DetailsBytesMax = 1 << 20
	TouchesMax      = 512
	ActionBytesMax  = 64
	// ErasuresMax bounds what one event erases: with all else it fits EventBytesMax.
	ErasuresMax = 2048
	// An event's form: the second ends in its erasures. An event without any has the first,
	// whatever the release that writes it.
	eventVersion        = 1
	eventVersionErasing = 2
)

// ErrEvent says that bytes are not an event or its details in canonical form.
var ErrEvent = errors.New("record: malformed event")

// Hash is a SHA-256 digest.
type Hash [sha256.Size]byte

// IsZero reports whether the hash is unset: the previous hash of event 1.
func (h Hash) IsZero() bool { return h == Hash{} }

// Actor is who caused a transaction.
type Actor struct {
	Class Class
	// Person is who acted, or on whose account automation acted; zero for a sensor or job.
	Person ID
	// Name is the automation's name ("ingest", "sla"), empty for persons.
	Name string
}

// Touch is one field of one record that a transaction wrote. Old and New are salted hashes
// of the replaced and the new values; zero where there are none. The values themselves are
// in the Details, which can be erased without breaking the chain.
type Touch struct {
	Kind     string
	ID       ID
	Field    string
	Replaced []Dot
	Old      Hash
	New      Hash
}

// Refused names one part of a phone's transaction that an authority did not admit. The
// value is kept in the Details of the event that says so.
type Refused struct {
	Dot   Dot
	Kind  string
	ID    ID
	Field string
	Code  string
}

// Event is one link of a replica's audit chain, and the dot (Replica, N) that values of
// this transaction carry. Event 1 is the replica's card and touches nothing.
type Event struct {
	Version  uint64
	Building ID
	Replica  ReplicaID
	N        uint64
	Prev     Hash
	Stamp    hlc.Stamp
	// EventTime is when it happened, in Unix milliseconds, as the author knew it.
	EventTime int64
	Actor     Actor
	Action    string
	Touches   []Touch
	Refusals  []Refused
	Card      *Card
	// Erasures are transactions whose values and salts are to be erased wherever they lie,
	// ascending. They count only in an event of the cloud's (SPEC R32).
	Erasures []Dot
}

// Dot is the dot that the event's values carry.
func (e Event) Dot() Dot { return Dot{Replica: e.Replica, N: e.N} }

// HashEvent is the chain hash over an event's canonical bytes.
func HashEvent(encoded []byte) Hash {
	var room [hashRoom]byte
	return sha256.Sum256(append(append(room[:0], hashEventLabel...), encoded...))
}

const hashEventLabel = "estate event v1\x00"

// hashRoom holds what is hashed at once for most events and values: it costs no allocation.
const hashRoom = 2048

// Detail is what one touch (or refusal) hashes: a random salt, the values replaced and the
// new ones. An erased detail has no salt and no values.
type Detail struct {
	_    struct{} `cbor:",toarray"`
	Salt []byte
	Old  []Value
	New  []Value
}

// SaltBytes is the length of a detail's salt.
const SaltBytes = 16

// Erased reports whether the detail's content was erased or withheld.
func (d Detail) Erased() bool { return len(d.Salt) == 0 }

// HashValues is the salted hash of a touch's old or new values; zero for none.
func HashValues(salt []byte, label string, values []Value) Hash {
	if len(values) == 0 {
		return Hash{}
	}
	var room [hashRoom]byte
	b := appendHashed(room[:0], salt, label)
	for _, v := range values {
		b = append(append(strconv.AppendInt(b, int64(len(v)), 10), ':'), v...)
	}
	return sha256.Sum256(b)
}

// appendHashed begins what is hashed of values.
func appendHashed(b, salt []byte, label string) []byte {
	return append(append(append(append(b, "estate "...), label...), " v1\x00"...), salt...)
}

// Labels of HashValues.
const (
	LabelOld = "old"
	LabelNew = "new"
)

// Details are the values beside an event: one Detail per touch, then one per refusal.
type Details []Detail

// Encode writes the details.
func (d Details) Encode() ([]byte, error) {
	b, err := Marshal([]Detail(d))
	if err == nil && len(b) > DetailsBytesMax {
		err = fmt.Errorf("%w: details of %d bytes, limit %d", ErrEvent, len(b), DetailsBytesMax)
	}
	return b, err
}

// check holds a detail's form. A salt of any other length could take bytes over from the
// first value under the same hash, and values without a salt are bound by nothing.
func (d Detail) check() error {
	switch len(d.Salt) {
	case SaltBytes:
		return nil
	case 0:
		if len(d.Old)+len(d.New) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: salt of %d bytes", ErrEvent, len(d.Salt))
}

// Check verifies that the details are the ones that the event hashed. Erased details pass:
// the chain holds without them.
func (d Details) Check(e Event) error {
	if len(d) == 0 {
		return nil
	}
	if len(d) != len(e.Touches)+len(e.Refusals) {
		return fmt.Errorf("%w: %d details for %d touches and %d refusals", ErrEvent, len(d), len(e.Touches), len(e.Refusals))
	}
	for i, t := range e.Touches {
		if err := d[i].check(); err != nil {
			return err
		}
		if d[i].Erased() {
			continue
		}
		if HashValues(d[i].Salt, LabelOld, d[i].Old) != t.Old || HashValues(d[i].Salt, LabelNew, d[i].New) != t.New {
			return fmt.Errorf("%w: values of %s.%s do not match their hash", ErrEvent, t.Kind, t.Field)
		}
	}
	return nil
}

// Delta is a transaction's effect on one record, as a small record with a small context:
// the new siblings and, as single dots, what they replaced (design §3, Who sends what).
// Touches whose field may returns false for are left out whole, and so are those whose new
// values are withheld or erased: a context without the sibling would delete it elsewhere.
func Delta(e Event, d Details, key Key, may func(field string) bool) Record {
	var r Record
	for i, t := range e.Touches {
		if t.Kind != key.Kind || t.ID != key.ID || !may(t.Field) {
			continue
		}
		held := i < len(d) && !d[i].Erased()
		if !held && !t.New.IsZero() {
			continue
		}
		var siblings []Sibling
		if held {
			for _, v := range d[i].New {
				siblings = append(siblings, Sibling{Dot: e.Dot(), Stamp: e.Stamp, Class: e.Actor.Class, Value: v})
			}
		}
		r = r.With(t.Field, append(siblings, r.Siblings(t.Field)...))
		for _, dot := range append(slices.Clone(t.Replaced), e.Dot()) {
			r.Context.Dots = append(r.Context.Dots, FieldDot{Field: t.Field, Dot: dot})
		}
	}
	slices.SortFunc(r.Context.Dots, FieldDot.Compare)
	r.Context.Dots = slices.Compact(r.Context.Dots)
	return r
}
