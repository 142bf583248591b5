package phone

import (
	"fmt"
	"slices"

	"estate/sync/hlc"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// state is what survives a restart.
type state struct {
	replica      record.ReplicaID // last written under
	n            uint64
	head         record.Hash
	stamp        hlc.Stamp
	offset       int64        // added to the phone's clock, learnt from the tier above
	base         record.Dot   // where the next replica's lineage goes on, if not there
	missing      []wire.Want  // what servers asked for in vain
	forked       []record.Dot // of own replicas that a copy of this app wrote under, too
	transactions []transaction
	hashes       map[record.Dot]record.Hash // of all own events, for good
	refusals     []Refusal
	pulled       map[record.Key]record.Record // what the copies say together
	copies       replica.Copies
	forgotten    map[record.Key]bool // left the view; own transactions on them may still be kept
	cards        map[record.ReplicaID]record.Card
	proofs       replica.Proofs
	cursors      map[string]wire.Cursor // per server address
	issuers      map[string]record.ID   // who sealed the last page from there; learnt anew after a start
	cloud        record.ID              // the cloud's generation when it was last met
}

// transaction is one own event with its values.
type transaction struct {
	event   record.Event
	details record.Details
	body    []byte
	encoded []byte // the details
	settled bool   // by the cloud
}

func (t transaction) touches(k record.Key) bool {
	return slices.ContainsFunc(t.event.Touches, func(o record.Touch) bool { return o.Kind == k.Kind && o.ID == k.ID })
}

func newState() state {
	return state{hashes: map[record.Dot]record.Hash{}, pulled: map[record.Key]record.Record{}, cards: map[record.ReplicaID]record.Card{}, cursors: map[string]wire.Cursor{}, issuers: map[string]record.ID{},
		forgotten: map[record.Key]bool{}, copies: replica.Copies{Held: map[record.Key]replica.Holding{}, Issuers: map[record.ID][]byte{}, Missing: map[record.ID]replica.Missing{}},
		proofs: replica.Proofs{Cards: map[record.ReplicaID]wire.Vouched{}, Heads: map[record.ReplicaID]record.Head{}, Trail: map[record.ReplicaID][]record.Head{}}}
}

const savedVersion = 1

// The saved form, in deterministic CBOR.
type (
	savedState struct {
		Version      uint64             `cbor:"1,keyasint"`
		Building     record.ID          `cbor:"2,keyasint"`
		Node         record.ID          `cbor:"3,keyasint"`
		Replica      record.ReplicaID   `cbor:"4,keyasint"`
		N            uint64             `cbor:"5,keyasint"`
		Head         record.Hash        `cbor:"6,keyasint"`
		Stamp        hlc.Stamp          `cbor:"7,keyasint"`
		Offset       int64              `cbor:"8,keyasint"`
		Transactions []savedTransaction `cbor:"9,keyasint"`
		Hashes       []savedHash        `cbor:"10,keyasint"`
		Refusals     []savedRefusal     `cbor:"11,keyasint"`
		Pulled       []savedRecord      `cbor:"12,keyasint,omitempty"` // of a release before seals
		Cards        []savedCard        `cbor:"13,keyasint"`
		Cursors      []savedCursor      `cbor:"14,keyasint"`
		Proofs       []savedProof       `cbor:"15,keyasint,omitempty"`
		Copies       []savedCopies      `cbor:"16,keyasint,omitempty"`
		Issuers      [][]byte           `cbor:"17,keyasint,omitempty"`
		Missing      []savedMissing     `cbor:"18,keyasint,omitempty"`
		Forgotten    []savedKey         `cbor:"19,keyasint,omitempty"`
		Cloud        record.ID          `cbor:"20,keyasint,omitzero"`
		Base         record.Dot         `cbor:"21,keyasint,omitzero"`
		Wanted       []wire.Want        `cbor:"22,keyasint,omitempty"`
		Forked       []record.Dot       `cbor:"23,keyasint,omitempty"`
		Cut          []record.Dot       `cbor:"24,keyasint,omitempty"` // last common numbers of forks
		CutBy        []record.ID        `cbor:"25,keyasint,omitempty"` // who said so
	}
	savedTransaction struct {
		Body    []byte `cbor:"1,keyasint"`
		Details []byte `cbor:"2,keyasint"`
		Settled bool   `cbor:"3,keyasint"`
	}
	savedHash struct {
		Dot  record.Dot  `cbor:"1,keyasint"`
		Hash record.Hash `cbor:"2,keyasint"`
	}
	savedRefusal struct {
		Dot      record.Dot     `cbor:"1,keyasint"`
		Kind     string         `cbor:"2,keyasint"`
		ID       record.ID      `cbor:"3,keyasint"`
		Field    string         `cbor:"4,keyasint"`
		Code     string         `cbor:"5,keyasint"`
		Value    []record.Value `cbor:"6,keyasint"`
		Reissued record.Dot     `cbor:"7,keyasint"`
	}
	savedRecord struct {
		Kind string    `cbor:"1,keyasint"`
		ID   record.ID `cbor:"2,keyasint"`
		Body []byte    `cbor:"3,keyasint"`
	}
	savedCopies struct {
		Kind  string            `cbor:"1,keyasint"`
		ID    record.ID         `cbor:"2,keyasint"`
		Items []wire.RecordItem `cbor:"3,keyasint"`
		Tags  []savedTag        `cbor:"4,keyasint,omitempty"`
	}
	savedTag struct {
		Server record.ID `cbor:"1,keyasint"`
		Tag    []byte    `cbor:"2,keyasint"`
	}
	savedMissing struct {
		Server record.ID  `cbor:"1,keyasint"`
		Ended  bool       `cbor:"2,keyasint"`
		Keys   []savedKey `cbor:"3,keyasint"`
	}
	savedKey struct {
		Kind string    `cbor:"1,keyasint"`
		ID   record.ID `cbor:"2,keyasint"`
		Code string    `cbor:"3,keyasint,omitempty"`
	}
	savedCard struct {
		Replica record.ReplicaID `cbor:"1,keyasint"`
		Card    record.Card      `cbor:"2,keyasint"`
	}
	savedProof struct {
		Card wire.Vouched `cbor:"1,keyasint"`
		Head *record.Head `cbor:"2,keyasint,omitzero"`
		// Trail are the heads in the order in which they were shown.
		Trail []record.Head `cbor:"3,keyasint,omitempty"`
	}
	savedCursor struct {
		Server string      `cbor:"1,keyasint"`
		Cursor wire.Cursor `cbor:"2,keyasint"`
	}
)

// Save gives the whole outbox as bytes. What a write or an exchange changed is durable
// once these bytes are.
func (o *Outbox) Save() ([]byte, error) {
	s := o.state
	out := savedState{Version: savedVersion, Building: o.config.Building, Node: o.Node(), Replica: s.replica, N: s.n, Head: s.head, Stamp: s.stamp, Offset: s.offset, Cloud: s.cloud, Base: s.base, Wanted: s.missing, Forked: s.forked}
	for _, t := range s.transactions {
		out.Transactions = append(out.Transactions, savedTransaction{Body: t.body, Details: t.encoded, Settled: t.settled})
	}
	for d, h := range s.hashes {
		out.Hashes = append(out.Hashes, savedHash{d, h})
	}
	slices.SortFunc(out.Hashes, func(a, b savedHash) int { return a.Dot.Compare(b.Dot) })
	for _, r := range s.refusals {
		out.Refusals = append(out.Refusals, savedRefusal(r))
	}
	saveCopies(s, &out)
	for id, c := range s.cards {
		out.Cards = append(out.Cards, savedCard{id, c})
	}
	slices.SortFunc(out.Cards, func(a, b savedCard) int { return a.Replica.Compare(b.Replica) })
	for id, card := range s.proofs.Cards {
		proof := savedProof{Card: card, Trail: s.proofs.Trail[id]}
		if h, ok := s.proofs.Heads[id]; ok {
			proof.Head = &h
		}
		out.Proofs = append(out.Proofs, proof)
	}
	slices.SortFunc(out.Proofs, func(a, b savedProof) int { return a.Card.Card.Replica.Compare(b.Card.Card.Replica) })
	for server, c := range s.cursors {
		out.Cursors = append(out.Cursors, savedCursor{server, c})
	}
	slices.SortFunc(out.Cursors, func(a, b savedCursor) int { return compareText(a.Server, b.Server) })
	return record.Marshal(out)
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (o *Outbox) load(saved []byte) error {
	var in savedState
	if err := record.Unmarshal(saved, &in); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if in.Version != savedVersion || in.Building != o.config.Building || in.Node != o.Node() {
		return fmt.Errorf("%w: version %d of node %s in building %s", ErrState, in.Version, in.Node, in.Building)
	}
	s := newState()
	s.replica, s.n, s.head, s.stamp, s.offset, s.cloud = in.Replica, in.N, in.Head, in.Stamp, in.Offset, in.Cloud
	s.base, s.missing, s.forked = in.Base, in.Wanted, in.Forked
	for _, t := range in.Transactions {
		event, err := record.DecodeEvent(t.Body)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
		var details record.Details
		if len(t.Details) > 0 {
			if details, err = record.DecodeDetails(t.Details); err != nil {
				return fmt.Errorf("%w: %w", ErrState, err)
			}
		}
		s.transactions = append(s.transactions, transaction{event: event, details: details, body: t.Body, encoded: t.Details, settled: t.Settled})
	}
	for _, h := range in.Hashes {
		s.hashes[h.Dot] = h.Hash
	}
	for _, r := range in.Refusals {
		s.refusals = append(s.refusals, Refusal(r))
	}
	if err := loadCopies(in, &s); err != nil {
		return err
	}
	for _, c := range in.Cards {
		s.cards[c.Replica] = c.Card
	}
	for _, proof := range in.Proofs {
		id := proof.Card.Card.Replica
		s.proofs.Cards[id] = proof.Card
		if proof.Head != nil {
			s.proofs.Heads[id] = *proof.Head
		}
		if len(proof.Trail) > 0 {
			s.proofs.Trail[id] = proof.Trail
		}
	}
	for _, c := range in.Cursors {
		s.cursors[c.Server] = c.Cursor
	}
	o.state = s
	for k := range s.copies.Held {
		s.pulled[k] = s.copies.Record(k, o)
	}
	return nil
}
