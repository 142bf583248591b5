package sim

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"maps"
	"slices"

	"estate/sync/hlc"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Phone is the model of an installed app: a view that it pulled, and its own transactions
// until the cloud has settled them. It is built of record and merge alone.
type Phone struct {
	Building record.ID
	Person   record.ID
	Key      ed25519.PrivateKey
	Random   io.Reader
	Now      func() int64
	State    PhoneState
}

// PhoneState is what a phone's disk holds.
type PhoneState struct {
	Replica  record.ReplicaID // zero until the next write mints one
	N        uint64
	Head     record.Hash
	Stamp    hlc.Stamp
	Offset   int64
	Log      []Transaction // not settled yet, of this and of earlier replicas
	Chains   map[record.ReplicaID]*PhoneChain
	Records  map[record.Key]record.Record
	Cards    map[record.ReplicaID]record.Card
	Proofs   replica.Proofs
	Copies   replica.Copies
	Cursors  map[record.ID]wire.Cursor
	Refusals map[record.FieldDot]string
	// Base is where the next replica's lineage goes on, where that is not the last number: a
	// server lacks numbers after it that this phone has let go of. Zero for none.
	Base record.Dot
	// Saved are the texts that the app said to have saved, and where: whoever still has this
	// disk has not lost them.
	Saved map[string]record.FieldDot
}

// PhoneChain is what a phone keeps for good of one of its replicas: its links.
type PhoneChain struct {
	Events []wire.EventItem // empty where the transaction was let go of; the card stays
	Hashes []record.Hash
	Head   record.Head
	// Settled is up to where the cloud said so, and Beyond the numbers above of which it did.
	Settled uint64
	Beyond  map[uint64]bool
	// Fork is the first number that may name two transactions: the app was copied while it
	// ran. Zero for none.
	Fork uint64
}

// Transaction is one transaction of the outbox.
type Transaction struct {
	Event   record.Event
	Details record.Details
}

// NewPhone makes a phone with an empty disk.
func NewPhone(building, person record.ID, key ed25519.PrivateKey, random io.Reader, now func() int64) *Phone {
	return &Phone{Building: building, Person: person, Key: key, Random: random, Now: now, State: PhoneState{
		Chains: map[record.ReplicaID]*PhoneChain{}, Records: map[record.Key]record.Record{}, Cards: map[record.ReplicaID]record.Card{},
		Cursors: map[record.ID]wire.Cursor{}, Refusals: map[record.FieldDot]string{}, Saved: map[string]record.FieldDot{}}}
}

// ID is the phone's node id.
func (p *Phone) ID() record.ID { return record.NodeID(p.Key.Public().(ed25519.PublicKey)) }

// Card implements merge.Lineage.
func (p *Phone) Card(r record.ReplicaID) (record.Card, bool) {
	c, ok := p.State.Cards[r]
	return p.State.Copies.Card(c), ok
}

// Clone copies the disk.
func (s PhoneState) Clone() PhoneState {
	s.Log = slices.Clone(s.Log)
	s.Chains = maps.Clone(s.Chains)
	for r, c := range s.Chains {
		b := *c
		b.Events, b.Hashes, b.Beyond = slices.Clone(c.Events), slices.Clone(c.Hashes), maps.Clone(c.Beyond)
		s.Chains[r] = &b
	}
	s.Records, s.Cards, s.Cursors, s.Refusals = maps.Clone(s.Records), maps.Clone(s.Cards), maps.Clone(s.Cursors), maps.Clone(s.Refusals)
	s.Proofs, s.Copies, s.Saved = s.Proofs.Clone(), s.Copies.Clone(), maps.Clone(s.Saved)
	return s
}

// Restart makes the next write mint a fresh replica, as every start of the app does.
func (p *Phone) Restart() {
	if p.State.N > 0 {
		p.State.Replica = record.ReplicaID{}
	}
}

// View is a record as the phone shows it: what it pulled, plus its own open transactions.
func (p *Phone) View(k record.Key) record.Record {
	r := p.State.Records[k]
	for _, t := range p.State.Log {
		r = merge.Merge(r, record.Delta(t.Event, t.Details, k, p.mine(t.Event, k)), p)
	}
	return r
}

// mine says which fields of a transaction no authority has refused.
func (p *Phone) mine(e record.Event, k record.Key) func(string) bool {
	return func(field string) bool {
		_, refused := p.State.Refusals[part(k, field, e.Dot())]
		return !refused
	}
}

// part names one field of a transaction.
func part(k record.Key, field string, d record.Dot) record.FieldDot {
	return record.FieldDot{Field: k.Kind + "/" + k.ID.String() + "/" + field, Dot: d}
}

// Put is one field of a phone's write: new values, and what the author saw and replaces.
type Put struct {
	Key      record.Key
	Field    string
	Values   []record.Value
	Replaced []record.Sibling
}

// Set is the ordinary write of a field: it replaces all that is shown.
func (p *Phone) Set(k record.Key, field, text string) Put {
	return Put{Key: k, Field: field, Values: []record.Value{record.Text(text)}, Replaced: p.View(k).Siblings(field)}
}

// Write makes one transaction, minting a replica first where the app was started anew.
func (p *Phone) Write(puts ...Put) (record.Dot, error) {
	s := &p.State
	now := p.Now() + s.Offset
	if s.Replica.IsZero() {
		if err := p.mint(now); err != nil {
			return record.Dot{}, err
		}
	}
	e := record.Event{Actor: record.Actor{Class: record.Person, Person: p.Person}, Action: "edit", EventTime: now}
	var details record.Details
	for _, put := range puts {
		salt := make([]byte, record.SaltBytes)
		if _, err := io.ReadFull(p.Random, salt); err != nil {
			return record.Dot{}, err
		}
		t := record.Touch{Kind: put.Key.Kind, ID: put.Key.ID, Field: put.Field, Replaced: []record.Dot{}}
		d := record.Detail{Salt: salt, Old: []record.Value{}, New: append([]record.Value{}, put.Values...)}
		for _, old := range put.Replaced {
			t.Replaced, d.Old = append(t.Replaced, old.Dot), append(d.Old, old.Value)
		}
		for _, v := range put.Values {
			if text, ok := v.AsText(); ok {
				s.Saved[text] = part(put.Key, put.Field, record.Dot{Replica: s.Replica, N: s.N + 1})
			}
		}
		t.Old, t.New = record.HashValues(salt, record.LabelOld, d.Old), record.HashValues(salt, record.LabelNew, d.New)
		e.Touches, details = append(e.Touches, t), append(details, d)
	}
	return p.append(e, details, now)
}

func (p *Phone) mint(now int64) error {
	s := &p.State
	id, err := record.NewReplicaID(now, p.Random, p.ID())
	if err != nil {
		return err
	}
	card := &record.Card{Node: p.ID(), Tier: record.TierPhone, PublicKey: p.Key.Public().(ed25519.PublicKey)}
	for r, c := range s.Chains {
		if c.Head.N == s.N && c.Head.Hash == s.Head {
			card.Predecessor, card.PredecessorHash = record.Dot{Replica: r, N: s.N}, s.Head
		}
	}
	if b := s.Base; b.N > 0 {
		card.Predecessor, card.PredecessorHash, s.Base = b, s.Chains[b.Replica].Hashes[b.N-1], record.Dot{}
	}
	s.Replica, s.N, s.Head = id, 0, record.Hash{}
	s.Cards[id] = *card
	_, err = p.append(record.Event{Actor: record.Actor{Class: record.Automation, Name: "replica"}, Action: "card", EventTime: now, Card: card}, nil, now)
	return err
}

func (p *Phone) append(e record.Event, details record.Details, now int64) (record.Dot, error) {
	s := &p.State
	stamp, err := hlc.Next(s.Stamp, now)
	if err != nil {
		return record.Dot{}, err
	}
	e.Version, e.Building, e.Replica, e.N, e.Prev, e.Stamp = 1, p.Building, s.Replica, s.N+1, s.Head, stamp
	body, err := e.Encode()
	if err != nil {
		return record.Dot{}, err
	}
	s.Stamp, s.N, s.Head = stamp, e.N, record.HashEvent(body)
	item := wire.EventItem{Body: body, Replica: e.Replica, N: e.N}
	if len(details) > 0 {
		if item.Details, err = details.Encode(); err != nil {
			return record.Dot{}, err
		}
	}
	c := s.Chains[e.Replica]
	if c == nil {
		c = &PhoneChain{}
		s.Chains[e.Replica] = c
	}
	c.Events, c.Hashes = append(c.Events, item), append(c.Hashes, s.Head)
	c.Head = record.SignHead(p.Key, p.Building, e.Replica, e.N, s.Head)
	s.Log = append(s.Log, Transaction{Event: e, Details: details})
	return e.Dot(), nil
}

// Pull asks a server for its next page, and for what the cloud said of the open chains.
func (p *Phone) Pull(server record.ID) wire.Pull {
	at := p.State.Cursors[server]
	pull := wire.Pull{Cursor: at, Holds: len(p.State.Copies.Held) > 0, Replicas: p.Outbox(), Heads: p.State.Proofs.Ask(server, at.Position == 0)}
	p.State.Copies.Contest(server, &pull, func(d record.Dot) (record.Hash, bool) {
		if c := p.State.Chains[d.Replica]; c != nil && d.N <= uint64(len(c.Hashes)) {
			return c.Hashes[d.N-1], true
		}
		return record.Hash{}, false
	}, func(d record.Dot, h record.Hash) record.Head {
		return record.SignHead(p.Key, p.Building, d.Replica, d.N, h)
	})
	return pull
}

// Return is the next message of records that a server seems to have lost.
func (p *Phone) Return(server record.ID) (wire.Returned, bool) {
	return p.State.Copies.Return(server, &p.State.Proofs, p.own)
}

// Taken takes the answer to it.
func (p *Phone) Taken(server record.ID, t wire.Taken) {
	p.forget(p.State.Copies.Taken(p.Building, server, t))
	p.drop()
}

// forget takes copies away. What the phone wrote itself and has not settled stays.
func (p *Phone) forget(keys []record.Key) {
	for _, k := range keys {
		delete(p.State.Records, k)
	}
}

// Pushed takes a server's answer. Only the cloud's settles.
func (p *Phone) Pushed(a wire.Pushed, tier record.Tier, public ed25519.PublicKey) error {
	if err := p.branched(a.Results); err != nil {
		return err
	}
	for _, r := range a.Results {
		for _, o := range r.Refused {
			p.State.Refusals[part(record.Key{Kind: o.Kind, ID: o.ID}, o.Field, r.Dot)] = o.Code
		}
	}
	if a.Receipt == nil {
		return nil
	}
	if err := a.Receipt.Verify(p.Building, public); err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	if err := p.settle(*a.Receipt, tier); err != nil {
		return err
	}
	if c := p.State.Chains[a.Receipt.Replica]; c != nil && tier == record.TierCloud {
		if a.Beyond != nil {
			if err := a.Beyond.Verify(p.Building, public); err != nil {
				return fmt.Errorf("settled beyond: %w", err)
			}
		}
		c.answered(a)
	}
	p.drop()
	return nil
}

// answered takes what the cloud said without naming hashes that this app knows: it counts for
// the transactions that it just answered for.
func (c *PhoneChain) answered(a wire.Pushed) {
	if c.Beyond == nil {
		c.Beyond = map[uint64]bool{}
	}
	for _, r := range a.Results {
		beyond := a.Beyond != nil && a.Beyond.Replica == r.Dot.Replica && a.Beyond.Has(r.Dot.N)
		if beyond || a.Receipt.Replica == r.Dot.Replica && r.Dot.N <= a.Receipt.Settled {
			c.Beyond[r.Dot.N] = true
		}
	}
}

// settle takes a receipt. One for another transaction than this app's says that it was copied.
func (p *Phone) settle(r record.Receipt, tier record.Tier) error {
	c := p.State.Chains[r.Replica]
	if c == nil || r.N == 0 {
		return nil
	}
	if last := uint64(len(c.Hashes)); r.N > last {
		if r.Replica == p.State.Replica {
			return p.fork(record.Dot{Replica: r.Replica, N: last + 1}) // somebody else writes under it
		}
		return nil // this app was restored from an old copy since
	}
	if c.Hashes[r.N-1] != r.Hash {
		return p.fork(record.Dot{Replica: r.Replica, N: firstOwn})
	}
	if tier == record.TierCloud {
		c.Settled = max(c.Settled, r.Settled)
	}
	return nil
}

// Told takes the receipts of a page: only the cloud's word settles, whoever passes it on.
func (p *Phone) Told(receipts []record.Receipt, cloud ed25519.PublicKey) error {
	for _, r := range receipts {
		if r.Verify(p.Building, cloud) == nil {
			if err := p.settle(r, record.TierCloud); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pulled takes a page of the phone's view.
func (p *Phone) Pulled(from record.ID, page wire.Page) error {
	if err := p.compare(page); err != nil {
		return err
	}
	p.State.Proofs.Take(p.Building, page)
	for _, item := range page.Events {
		e, err := record.DecodeEvent(item.Body)
		if err != nil {
			return fmt.Errorf("card: %w", err)
		}
		if e.Card != nil {
			p.State.Cards[e.Replica] = *e.Card
		}
	}
	if p.State.Copies.Learn(page) {
		for k := range p.State.Copies.Held {
			p.State.Records[k] = p.State.Copies.Record(k, p)
		}
	}
	for _, item := range page.Records {
		r, err := record.Decode(item.Body)
		if err != nil {
			return fmt.Errorf("record: %w", err)
		}
		for _, d := range r.Context.Reaches() {
			if h := p.State.Proofs.Heads[d.Replica]; h.N < d.N && p.State.Copies.Forks[d.Replica] == 0 {
				return fmt.Errorf("record: cites %d of %s, signed to %d", d.N, d.Replica, h.N)
			}
		}
		k := record.Key{Building: p.Building, Kind: item.Kind, ID: item.ID}
		p.State.Records[k] = merge.Merge(p.State.Records[k], p.State.Copies.Cut(r, p), p)
	}
	forget, err := p.State.Copies.Take(p.Building, page, p)
	if err != nil {
		return err
	}
	p.forget(forget)
	p.State.Cursors[from] = wire.Cursor{Generation: page.Generation, View: page.View, Position: page.To, Anchor: page.Anchor}
	p.drop()
	return nil
}

// drop removes the transactions that the cloud has settled and what was pulled covers, or
// that were refused.
func (p *Phone) drop() {
	p.State.Log = slices.DeleteFunc(p.State.Log, func(t Transaction) bool {
		c := p.State.Chains[t.Event.Replica]
		if t.Event.N > c.Settled && !c.Beyond[t.Event.N] {
			return false
		}
		for _, touch := range t.Event.Touches {
			k := record.Key{Building: p.Building, Kind: touch.Kind, ID: touch.ID}
			if p.mine(t.Event, k)(touch.Field) && !merge.Covers(p.State.Records[k].Context, touch.Field, t.Event.Dot(), p) {
				return false
			}
		}
		if t.Event.Card == nil {
			c.Events[t.Event.N-1] = wire.EventItem{}
		}
		return true
	})
}
