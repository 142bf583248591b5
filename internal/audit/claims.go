package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"estate/sync/record"
)

// sworn is a claim that must hold. The signature is a writer's, to be checked once the
// card tells the writer's key; other claims were checked when they were read.
type sworn struct {
	Claim
	signature []byte
	// writers says that it is the word of the chain's own writer: of a copy that was made of
	// one, the exporting node may have that and nothing else.
	writers bool
}

// head keeps a writer's signed head until its chain's card, and so its key, was read.
func (v *verifier) head(l line) error {
	hash, ok := parseHash(l.Hash)
	if !ok || l.N == 0 || v.chains[l.Replica] != nil {
		return v.link(l, "the signed head is malformed or follows its chain")
	}
	if len(v.claimed) > chainsMax {
		return v.broken("more than %d chains", chainsMax)
	}
	v.claim(sworn{Claim{Building: v.report.Building, Replica: l.Replica, N: l.N, Hash: hash, Source: "the writer's signed head"}, l.Signature, true})
	return nil
}

func (v *verifier) claim(s sworn) { v.claimed[s.Replica] = append(v.claimed[s.Replica], s) }

func (v *verifier) receipt(l line) error {
	hash, ok := parseHash(l.Hash)
	r := record.Receipt{Issuer: l.Node, Replica: l.Replica, N: l.N, Hash: hash, Signature: l.Signature}
	if !ok || v.chains[l.Replica] != nil {
		return v.link(l, "the receipt is malformed or follows its chain")
	}
	if r.Verify(v.report.Building, v.public) != nil {
		return v.link(l, "the receipt's signature does not verify")
	}
	v.report.Receipts++
	v.claim(sworn{Claim: Claim{Building: v.report.Building, Replica: l.Replica, N: l.N, Hash: hash, Source: "the exporting node's receipt"}})
	return nil
}

// claims holds what was signed about the event just read.
func (v *verifier) claims(l line, c *chain) error {
	for _, claim := range v.claimed[l.Replica] {
		if claim.N != c.n {
			continue
		}
		if err := v.signature(l, c, claim); err != nil {
			return err
		}
		switch {
		case claim.Hash == c.hash && claim.signature != nil:
			c.signed = c.n
		case claim.Hash != c.hash && !v.elsewhere(claim):
			return v.link(l, "%s has another hash for this event: it was rewritten", claim.Source)
		}
	}
	return nil
}

// signature holds a writer's signed head to the key of the chain's card.
func (v *verifier) signature(l line, c *chain, claim sworn) error {
	if claim.signature == nil {
		return nil
	}
	h := record.Head{Replica: claim.Replica, N: claim.N, Hash: claim.Hash, Signature: claim.signature}
	if h.Verify(v.report.Building, c.card.PublicKey) != nil {
		return v.link(l, "the signed head does not verify with the key of the chain's card")
	}
	v.report.Heads++
	return nil
}

// endChain holds that nothing signed lies behind the end of the chain that was read.
func (v *verifier) endChain() error {
	c := v.chains[v.current]
	if c == nil {
		return nil
	}
	for _, claim := range v.claimed[v.current] {
		if claim.N <= c.n {
			continue
		}
		if err := v.signature(line{Replica: v.current, N: claim.N}, c, claim); err != nil {
			return err
		}
		if !v.elsewhere(claim) {
			return &Broken{Replica: v.current, N: c.n + 1, Line: v.line, What: fmt.Sprintf("the tail is missing: %s reaches event %d", claim.Source, claim.N)}
		}
	}
	v.report.Unsigned += c.n - c.signed
	return nil
}

// ReadClaims reads the receipts of another node's export of the same building: what that
// node swears to hold. Their signatures are checked, the events are not read.
func ReadClaims(r io.Reader) ([]Claim, error) {
	v := verifier{chains: map[record.ID]*chain{}, claimed: map[record.ID][]sworn{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineBytesMax)
	for lines.Scan() {
		v.line++
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, v.broken("is not a line of an audit export")
		}
		var err error
		switch {
		case (v.line == 1) != (l.Type == typeHeader):
			err = v.broken("the header must be the first line, and only that")
		case l.Type == typeHeader:
			err = v.header(l)
		case l.Type == typeReceipt:
			err = v.receipt(l)
		case l.Type == typeFork, l.Type == typeBranch, l.Type == typeEvent, l.Type == typeEnd:
			return v.sworn(), nil
		}
		if err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the file: %w", err)
	}
	return v.sworn(), nil
}

// sworn lists what was claimed, in the name of the exporting node.
func (v *verifier) sworn() []Claim {
	var out []Claim
	for _, claims := range v.claimed {
		for _, c := range claims {
			c.Source = "node " + v.report.Node.String()
			out = append(out, c.Claim)
		}
	}
	slices.SortFunc(out, func(a, b Claim) int { return a.Replica.Compare(b.Replica) })
	return out
}
