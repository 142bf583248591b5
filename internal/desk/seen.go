package desk

import (
	"context"
	"encoding/base64"
	"fmt"

	"estate/internal/problem"
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
)

// seenBytesMax bounds a token from outside: a context of a thousand phones is far below.
const seenBytesMax = 64 << 10

// seen is the token of what a record shows: the record's context.
func seen(r record.Record) string {
	b, err := record.Record{Context: r.Context}.Encode()
	if err != nil {
		return "" // the context of a stored record always encodes
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// shown is what an author was shown, with the cards by which its entries cover those of
// earlier runs. Cards never change, so they can be read before the lock is held.
type shown struct {
	context record.Context
	cards   map[record.ReplicaID]replica.Chain
}

// Card implements merge.Lineage.
func (s *shown) Card(id record.ReplicaID) (record.Card, bool) {
	c, ok := s.cards[id]
	if !ok || c.Card == nil {
		return record.Card{}, false
	}
	return *c.Card, true
}

func (s *shown) contextOf() *record.Context {
	if s == nil {
		return nil
	}
	return &s.context
}

// fromToken reads what base64 made of bytes, and no second spelling of it: the decoder alone
// lets line breaks and stray bits pass.
func fromToken(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && base64.RawURLEncoding.EncodeToString(b) != text {
		err = base64.CorruptInputError(0)
	}
	return b, err
}

// shown reads a token; nil for none.
func (d *Desk) shown(ctx context.Context, building record.ID, token string) (*shown, error) {
	if token == "" {
		return nil, nil
	}
	bad := problem.Invalid(problem.FieldError{Field: "seen", Message: "is not a token of this service"})
	if len(token) > seenBytesMax {
		return nil, bad
	}
	b, err := fromToken(token)
	if err != nil {
		return nil, bad
	}
	r, err := record.Decode(b)
	if err != nil || len(r.Fields) > 0 {
		return nil, bad
	}
	var need replica.Need
	for _, dot := range r.Context.Reaches() {
		need.Chains = append(need.Chains, dot.Replica)
	}
	have, err := d.node.Store.Load(ctx, building, need)
	if err != nil {
		return nil, translate(fmt.Errorf("load cards: %w", err))
	}
	return &shown{context: r.Context, cards: have.Chains}, nil
}

// covers reports whether the author of a write was shown a value: everything, where they
// sent no token.
func (x *draft) covers(k record.Key, field string, dot record.Dot) bool {
	s := x.seen[k]
	return s == nil || merge.Covers(s.context, field, dot, s)
}
