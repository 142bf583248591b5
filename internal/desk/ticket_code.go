package desk

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"

	"estate/sync/record"
)

// Lengths of the part of a ticket's code that tells tickets of a building apart. Four
// characters are a million; where one is already taken here, the next grows.
const (
	codeCharsMin = 4
	codeCharsMax = 10
)

// crockford leaves out letters that people misread, and has no vowels but A and E to make
// words of.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// TicketCode is the code of a ticket with so many characters behind the building's code,
// derived from its id, so that it can be minted with nobody else there.
func TicketCode(building string, ticket record.ID, chars int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "ticket code %s", ticket))
	text := base32.NewEncoding(crockford).WithPadding(base32.NoPadding).EncodeToString(sum[:])
	return building + "-" + text[:chars]
}

// mintCode picks the shortest code that no other ticket here has. Two nodes that are apart
// may still pick one twice; the id tells the tickets apart, and search shows both.
func (d *Desk) mintCode(ctx context.Context, building record.ID, prefix string, ticket record.ID) (string, error) {
	if prefix == "" {
		prefix = "T"
	}
	for chars := codeCharsMin; ; chars++ {
		code := TicketCode(prefix, ticket, chars)
		items, _, err := d.selectItems(ctx, Selection{Shape: shapeTicketsByCode, Building: building, Lead: record.Text(code), Limit: 2, Guess: true})
		if err != nil {
			return "", err
		}
		taken := false
		for _, it := range items {
			taken = taken || it.key.ID != ticket
		}
		if !taken || chars == codeCharsMax {
			return code, nil
		}
	}
}
