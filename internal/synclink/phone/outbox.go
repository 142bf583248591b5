// Package phone is the reference client for installed apps: an own replica whose
// transactions are made offline, kept until the cloud has settled them, and pushed to
// whatever server is in reach, edge or cloud, in any order and any number of times.
//
// It must never drop a transaction that the cloud has not settled, never reuse a number,
// and never show as synced what no receipt covers. Tests and simulators use it; the
// TypeScript client follows it.
package phone

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// ErrSetMany says that a write adds several elements to one set: each is a transaction of
// its own.
var ErrSetMany = errors.New("phone: one new element of a set per transaction")

// ErrState says that saved bytes are not an outbox of this key and building.
var ErrState = errors.New("phone: saved state does not fit")

// Config says whose outbox it is.
type Config struct {
	Key      ed25519.PrivateKey
	Building record.ID
	Person   record.ID
	// Cloud is the cloud's public key: only its receipts let go of a transaction.
	Cloud  ed25519.PublicKey
	Rules  replica.Rules
	Random io.Reader
	// Admit is the person's rights as the app knows them, for fields that an edit implies;
	// nil implies them always. The server decides in any case.
	Admit replica.Admit
}

// Change is what a write does to one record.
type Change struct {
	Kind   string
	ID     record.ID
	Fields []replica.FieldWrite
}

// Refusal is a part of a transaction that an authority did not admit. It is kept for good,
// with its value, for the author to see.
type Refusal struct {
	Dot   record.Dot
	Kind  string
	ID    record.ID
	Field string
	Code  string
	Value []record.Value
	// Reissued is the transaction that carries the value again, after the clock was
	// corrected; zero for none.
	Reissued record.Dot
}

// Outbox is a phone's replica of one building as plain data: no clock, no socket, no disk.
// It is not safe for concurrent use. Times are the phone's wall clock in Unix milliseconds.
type Outbox struct {
	config Config
	minted bool // this run has its own replica
	state  state
	// held is what servers said in this run that they hold of own replicas, per address
	// and generation: it only saves pushing again.
	held map[string]heldBy
}

type heldBy struct {
	generation record.ID
	upTo       map[record.ReplicaID]uint64
	asked      map[wire.Want]struct{}
}

// New starts an outbox, from nothing or from what Save gave.
func New(c Config, saved []byte) (*Outbox, error) {
	o := &Outbox{config: c, held: map[string]heldBy{}}
	if len(saved) == 0 {
		o.state = newState()
		return o, nil
	}
	return o, o.load(saved)
}

// Node is the id of this installed app.
func (o *Outbox) Node() record.ID {
	return record.NodeID(o.public())
}

func (o *Outbox) public() ed25519.PublicKey {
	public, _ := o.config.Key.Public().(ed25519.PublicKey)
	return public
}

// Card implements merge.Lineage over the cards that this phone has seen.
func (o *Outbox) Card(r record.ReplicaID) (record.Card, bool) {
	c, ok := o.state.cards[r]
	return o.state.copies.Card(c), ok
}

// Shown is a record as this phone shows it: what it pulled plus its own transactions.
func (o *Outbox) Shown(kind string, id record.ID) record.Record {
	key := record.Key{Building: o.config.Building, Kind: kind, ID: id}
	r := o.state.pulled[key]
	for _, t := range o.state.transactions {
		if t.touches(key) {
			delta := record.Delta(t.event, t.details, key, func(field string) bool { return !o.refused(t.event.Dot(), key, field) })
			r = merge.Merge(r, delta, o)
		}
	}
	return r
}

// Keys lists the records that the phone shows, in order.
func (o *Outbox) Keys() []record.Key {
	keys := make([]record.Key, 0, len(o.state.pulled))
	for k := range o.state.pulled {
		keys = append(keys, k)
	}
	for _, t := range o.state.transactions {
		for _, touch := range t.event.Touches {
			keys = append(keys, record.Key{Building: o.config.Building, Kind: touch.Kind, ID: touch.ID})
		}
	}
	slices.SortFunc(keys, record.Key.Compare)
	return slices.Compact(keys)
}

// Kept counts the transactions that are still kept, and of these the ones that the cloud
// has not settled.
func (o *Outbox) Kept() (kept, unsettled int) {
	for _, t := range o.state.transactions {
		if t.event.Card != nil {
			continue // kept for ever, as proof of who wrote
		}
		kept++
		if !t.settled {
			unsettled++
		}
	}
	return kept, unsettled
}

// Refusals lists all that was refused, oldest first.
func (o *Outbox) Refusals() []Refusal { return slices.Clone(o.state.refusals) }

func (o *Outbox) refused(dot record.Dot, key record.Key, field string) bool {
	return slices.ContainsFunc(o.state.refusals, func(r Refusal) bool {
		return r.Dot == dot && (r.Kind == "" || r.Kind == key.Kind && r.ID == key.ID && r.Field == field)
	})
}

// Write makes one transaction on top of what the phone shows. eventTime is when it
// happened; zero for now. The caller saves the outbox before it tells anyone that the
// write is kept. A write that changes nothing returns a zero dot.
func (o *Outbox) Write(now int64, action string, eventTime int64, changes ...Change) (record.Dot, error) {
	if eventTime == 0 {
		eventTime = now + o.state.offset
	}
	var touches []record.Touch
	var details record.Details
	for _, c := range changes {
		ts, ds, err := o.touch(c)
		if err != nil {
			return record.Dot{}, err
		}
		touches, details = append(touches, ts...), append(details, ds...)
	}
	if len(touches) == 0 {
		return record.Dot{}, nil
	}
	if err := o.mint(now); err != nil {
		return record.Dot{}, err
	}
	actor := record.Actor{Class: record.Person, Person: o.config.Person}
	return o.append(now, record.Event{EventTime: eventTime, Actor: actor, Action: action, Touches: touches}, details)
}

// mint starts a fresh replica at the first write of a run, so that no dot is ever used
// twice, whatever backup the app was restored from.
func (o *Outbox) mint(now int64) error {
	if o.minted {
		return nil
	}
	id, err := record.NewReplicaID(now, o.config.Random, o.Node())
	if err != nil {
		return err
	}
	card := &record.Card{Node: o.Node(), Tier: record.TierPhone, PublicKey: o.public()}
	if o.state.n > 0 {
		card.Predecessor = record.Dot{Replica: o.state.replica, N: o.state.n}
		card.PredecessorHash = o.state.head
	}
	if hash, known := o.state.hashes[o.state.base]; known {
		card.Predecessor, card.PredecessorHash = o.state.base, hash
	}
	o.state.base = record.Dot{}
	o.state.replica, o.state.n, o.state.head = id, 0, record.Hash{}
	o.state.cards[id] = *card
	o.minted = true
	_, err = o.append(now, record.Event{EventTime: now + o.state.offset, Action: "card", Card: card,
		Actor: record.Actor{Class: record.Person, Person: o.config.Person}}, nil)
	return err
}

func (o *Outbox) append(now int64, e record.Event, details record.Details) (record.Dot, error) {
	stamp, err := hlc.Next(o.state.stamp, now+o.state.offset)
	if err != nil {
		return record.Dot{}, err
	}
	e.Building, e.Replica, e.N, e.Prev, e.Stamp = o.config.Building, o.state.replica, o.state.n+1, o.state.head, stamp
	body, err := e.Encode()
	if err != nil {
		return record.Dot{}, err
	}
	var encoded []byte
	if len(details) > 0 {
		if encoded, err = details.Encode(); err != nil {
			return record.Dot{}, err
		}
	}
	o.state.stamp, o.state.n, o.state.head = stamp, e.N, record.HashEvent(body)
	o.state.hashes[e.Dot()] = o.state.head
	o.state.transactions = append(o.state.transactions, transaction{event: e, details: details, body: body, encoded: encoded})
	return e.Dot(), nil
}

// touch turns a change into touches on what is shown.
func (o *Outbox) touch(c Change) ([]record.Touch, record.Details, error) {
	kind, ok := o.config.Rules.Kind(c.Kind)
	if !ok {
		return nil, nil, fmt.Errorf("phone: unknown kind %q", c.Kind)
	}
	key := record.Key{Building: o.config.Building, Kind: c.Kind, ID: c.ID}
	shown := o.Shown(c.Kind, c.ID)
	var touches []record.Touch
	var details record.Details
	for _, f := range o.implied(key, kind, c.Fields, shown) {
		rule, ok := o.config.Rules.Field(c.Kind, f.Field)
		if !ok {
			return nil, nil, fmt.Errorf("phone: unknown field %s.%s", c.Kind, f.Field)
		}
		replaced, values := replacing(f, rule.Policy.Kind == merge.Set, shown.Siblings(f.Field))
		if len(values) > 1 {
			return nil, nil, fmt.Errorf("%w: %s.%s", ErrSetMany, c.Kind, f.Field)
		}
		if len(replaced)+len(values) == 0 {
			continue
		}
		t, d, err := o.hashed(key, f.Field, replaced, values)
		if err != nil {
			return nil, nil, err
		}
		touches, details = append(touches, t), append(details, d)
	}
	return touches, details, nil
}

// implied adds "not deleted" to a person's edit, so that it wins over a deletion made
// without knowing of it.
func (o *Outbox) implied(key record.Key, kind replica.KindRule, fields []replica.FieldWrite, shown record.Record) []replica.FieldWrite {
	const deleted = "deleted"
	named := slices.ContainsFunc(fields, func(f replica.FieldWrite) bool { return f.Field == deleted })
	if !kind.Deletable || named || len(fields) == 0 {
		return fields
	}
	value := record.Bool(false)
	if o.config.Admit != nil && o.config.Admit(key, deleted, []record.Value{value}, shown, record.Record{}) != "" {
		return fields
	}
	return append(slices.Clone(fields), replica.FieldWrite{Field: deleted, Value: value})
}

// replacing says which siblings a field's write replaces and what it adds.
func replacing(f replica.FieldWrite, isSet bool, shown []record.Sibling) (replaced []record.Sibling, values []record.Value) {
	if !isSet {
		if len(f.Value) > 0 {
			values = []record.Value{f.Value}
			if len(shown) == 1 && shown[0].Class == record.Person && bytes.Equal(shown[0].Value, f.Value) {
				return nil, nil
			}
		}
		return shown, values
	}
	equal := func(v record.Value) func(record.Sibling) bool {
		return func(s record.Sibling) bool { return bytes.Equal(s.Value, v) }
	}
	for _, v := range f.Add {
		if !slices.ContainsFunc(shown, equal(v)) {
			values = append(values, v)
		}
	}
	for _, s := range shown {
		if slices.ContainsFunc(f.Remove, func(v record.Value) bool { return equal(v)(s) }) {
			replaced = append(replaced, s)
		}
	}
	return replaced, values
}

// hashed builds the touch and its detail: salted hashes of the old and the new values.
func (o *Outbox) hashed(key record.Key, field string, replaced []record.Sibling, values []record.Value) (record.Touch, record.Detail, error) {
	d := record.Detail{Salt: make([]byte, record.SaltBytes), Old: []record.Value{}, New: append([]record.Value{}, values...)}
	if _, err := io.ReadFull(o.config.Random, d.Salt); err != nil {
		return record.Touch{}, d, fmt.Errorf("salt: %w", err)
	}
	t := record.Touch{Kind: key.Kind, ID: key.ID, Field: field, Replaced: []record.Dot{}}
	for _, s := range replaced {
		t.Replaced = append(t.Replaced, s.Dot)
		d.Old = append(d.Old, s.Value)
	}
	t.Old, t.New = record.HashValues(d.Salt, record.LabelOld, d.Old), record.HashValues(d.Salt, record.LabelNew, d.New)
	return t, d, nil
}
