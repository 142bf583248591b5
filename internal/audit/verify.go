package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"estate/sync/record"
)

// Verify checks a file against itself and against what other nodes signed for the same
// building. It returns the report as far as it came, and a *Broken for the first thing
// that does not hold; any other error is of the reader.
func Verify(r io.Reader, claims []Claim) (Report, error) {
	v := verifier{chains: map[record.ID]*chain{}, claimed: map[record.ID][]sworn{}, others: claims, withheld: map[record.Dot]bool{}, erased: map[record.Dot]bool{},
		forks: map[record.ID]*Fork{}, beside: map[record.ID]besides{}, roots: map[record.Hash][]*beside{}}
	for _, c := range claims {
		v.claim(sworn{Claim: c})
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineBytesMax)
	for lines.Scan() {
		v.line++
		if err := v.take(lines.Bytes()); err != nil {
			return v.report, err
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			v.line++
			return v.report, v.broken("the line is longer than any event")
		}
		return v.report, fmt.Errorf("read the file: %w", err)
	}
	return v.report, v.close()
}

// chain is what the check keeps of one replica.
type chain struct {
	n      uint64
	hash   record.Hash
	card   record.Card
	signed uint64 // up to where the writer's signature reached
}

type verifier struct {
	report  Report
	public  []byte
	line    int
	chains  map[record.ID]*chain
	claimed map[record.ID][]sworn // what must be so, by replica: receipts, heads, cards
	others  []Claim
	current record.ID // the chain that is being read
	// withheld are events that lack some value, erased those that the cloud's events name.
	withheld map[record.Dot]bool
	erased   map[record.Dot]bool
	// forks and beside are what branches there are, roots the events beside chains by the hash
	// that they follow.
	forks  map[record.ID]*Fork
	beside map[record.ID]besides
	roots  map[record.Hash][]*beside
	ended  bool
}

func (v *verifier) broken(format string, args ...any) *Broken {
	return &Broken{Line: v.line, What: fmt.Sprintf(format, args...)}
}

func (v *verifier) link(l line, format string, args ...any) *Broken {
	return &Broken{Replica: l.Replica, N: l.N, Line: v.line, What: fmt.Sprintf(format, args...)}
}

func (v *verifier) take(raw []byte) error {
	var l line
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || d.More() {
		return v.broken("is not a line of an audit export")
	}
	switch {
	case v.ended:
		return v.broken("something follows the end")
	case (v.line == 1) != (l.Type == typeHeader):
		return v.broken("the header must be the first line, and only that")
	}
	switch l.Type {
	case typeHeader:
		return v.header(l)
	case typeHead:
		return v.head(l)
	case typeReceipt:
		return v.receipt(l)
	case typeFork:
		return v.fork(l)
	case typeBranch:
		return v.branch(l)
	case typeEvent:
		return v.event(l)
	case typeEnd:
		v.ended = true
		if l.Beside != v.report.Beside {
			return v.broken("the file was written with %d events beside chains and has %d", l.Beside, v.report.Beside)
		}
		if l.Events != v.report.Events {
			return v.broken("the file was written with %d events and has %d", l.Events, v.report.Events)
		}
		return nil
	}
	return v.broken("unknown type %q", l.Type)
}

func (v *verifier) header(l line) error {
	if l.Version != formatVersion {
		return v.broken("version %d of the form, this program knows %d", l.Version, formatVersion)
	}
	if l.Building.IsZero() || record.NodeID(l.PublicKey) != l.Node {
		return v.broken("the exporting node is not its key's")
	}
	if slices.ContainsFunc(v.others, func(c Claim) bool { return c.Building != l.Building }) {
		return v.broken("the other node's heads are of another building than %s", l.Building)
	}
	v.report.Building, v.report.Node, v.public = l.Building, l.Node, l.PublicKey
	if l.ExportedAt != nil {
		v.report.ExportedAt = *l.ExportedAt
	}
	return nil
}

// decode reads an event and holds it to what stands beside it.
func (v *verifier) decode(l line) (e record.Event, hash record.Hash, err error) {
	if e, err = record.DecodeEvent(l.Body); err != nil {
		return e, hash, v.link(l, "the event does not decode: %v", err)
	}
	hash = record.HashEvent(l.Body)
	switch {
	case hashText(hash) != l.Hash:
		return e, hash, v.link(l, "the event's bytes do not have the hash that stands beside them")
	case e.Building != v.report.Building:
		return e, hash, v.link(l, "the event belongs to building %s", e.Building)
	case e.Replica != l.Replica || e.N != l.N:
		return e, hash, v.link(l, "the line holds event %d of replica %s", e.N, e.Replica)
	}
	return e, hash, nil
}

func (v *verifier) event(l line) error {
	e, hash, err := v.decode(l)
	if err != nil {
		return err
	}
	c, err := v.follow(l, e)
	if err != nil {
		return err
	}
	c.n, c.hash = e.N, hash
	v.report.Events++
	v.rooted(c)
	if err := v.values(l, e, func() { v.withheld[e.Dot()] = true }); err != nil {
		return err
	}
	v.erasures(c, e)
	return v.claims(l, c)
}

// erasures notes what an event of the cloud's erases; in another's the list counts for
// nothing.
func (v *verifier) erasures(c *chain, e record.Event) {
	if len(e.Erasures) == 0 || c.card.Tier != record.TierCloud {
		return
	}
	for _, d := range e.Erasures {
		v.erased[d] = true
	}
	v.report.Erasures = append(v.report.Erasures, Erasure{Event: e.Dot(), By: e.Actor, At: time.UnixMilli(e.EventTime).UTC(), Action: e.Action, Events: len(e.Erasures)})
}

// follow holds the chain: numbers without a gap, each event naming the hash before it.
func (v *verifier) follow(l line, e record.Event) (*chain, error) {
	c := v.chains[l.Replica]
	if c == nil {
		if err := v.endChain(); err != nil {
			return nil, err
		}
		if l.N != 1 {
			return nil, v.missing(l, 1)
		}
		c = &chain{card: *e.Card} // event 1 has a card: DecodeEvent holds it
		v.chains[l.Replica], v.current = c, l.Replica
		v.report.Chains++
		return c, v.predecessor(l, e.Card)
	}
	switch {
	case l.Replica != v.current:
		return nil, v.link(l, "the chain was left and taken up again")
	case l.N > c.n+1:
		return nil, v.missing(l, c.n+1)
	case l.N <= c.n:
		return nil, v.link(l, "the number stands twice or out of order")
	case e.Prev != c.hash:
		return nil, v.link(l, "does not link: the previous hash that it names is not that of event %d", c.n)
	case v.forks[l.Replica] != nil && l.N >= v.forks[l.Replica].First:
		return nil, v.link(l, "the chain goes on beyond its fork")
	}
	return c, nil
}

func (v *verifier) missing(l line, n uint64) error {
	return &Broken{Replica: l.Replica, N: n, Line: v.line, What: "is missing"}
}

// predecessor holds what a card says of the node's chain before.
func (v *verifier) predecessor(l line, card *record.Card) error {
	p := card.Predecessor
	if p.N == 0 {
		return nil
	}
	continues := sworn{Claim: Claim{Replica: p.Replica, N: p.N, Hash: card.PredecessorHash, Source: "the card of replica " + l.Replica.String()}, writers: true}
	before := v.chains[p.Replica]
	if before == nil {
		v.claim(continues)
		return nil
	}
	if before.n < p.N && v.elsewhere(continues) {
		return nil
	}
	if before.n < p.N || before.n == p.N && before.hash != card.PredecessorHash {
		return v.link(l, "the card continues event %d of replica %s, which the file does not hold so", p.N, p.Replica)
	}
	if before.n > p.N {
		return v.link(l, "the card comes after the chain that it continues")
	}
	return nil
}

// values holds the values beside an event to their hashes; withheld is called where some are
// missing.
func (v *verifier) values(l line, e record.Event, withheld func()) error {
	if len(l.Details) == 0 {
		if len(e.Touches)+len(e.Refusals) > 0 {
			withheld()
		}
		return nil
	}
	d, err := record.DecodeDetails(l.Details)
	if err != nil {
		return v.link(l, "the values beside the event do not decode: %v", err)
	}
	if err := d.Check(e); err != nil {
		return v.link(l, "the values beside the event are not those that it hashed: %v", err)
	}
	if slices.ContainsFunc(d, record.Detail.Erased) {
		withheld()
	}
	return nil
}

// count says, at the end, why values are missing: an erasure may stand before or behind
// what it erases.
func (v *verifier) count() {
	for dot := range v.withheld {
		if v.erased[dot] {
			v.report.Erased++
		} else {
			v.report.Withheld++
		}
	}
	for dot := range v.erased {
		if c := v.chains[dot.Replica]; c != nil && dot.N <= c.n && !v.withheld[dot] {
			v.report.Unerased++
		}
	}
}

func (v *verifier) close() error {
	v.line++
	if !v.ended {
		return v.broken("the file was cut: its end is missing")
	}
	if err := v.endChain(); err != nil {
		return err
	}
	for _, replica := range slices.SortedFunc(maps.Keys(v.claimed), record.ID.Compare) {
		if v.chains[replica] == nil {
			return &Broken{Replica: replica, N: 1, Line: v.line, What: "the whole chain is missing: " + v.claimed[replica][0].Source + " knows it"}
		}
	}
	v.report.Claims = len(v.others)
	v.count()
	v.forked()
	return nil
}
