package desk

import (
	"context"
	"crypto/ed25519"

	"estate/internal/auth"
	"estate/internal/problem"
	"estate/sync/record"
)

// BindPhone ties a phone's node to the person who first uses it, and refuses one that is
// another's or was revoked. The key is nil where the phone sent no card this time; then the
// node must be bound already.
func (d *Desk) BindPhone(ctx context.Context, building, person, node record.ID, public ed25519.PublicKey) error {
	n, err := d.NodeOf(ctx, building, node)
	switch {
	case err == nil && n.Revoked:
		return problem.New(problem.NodeRevoked, "")
	case err == nil && n.Person == person && n.Tier == record.TierPhone:
		return nil
	case err == nil:
		return problem.New(problem.NodeUnknown, "this app is registered for somebody else")
	case !problem.HasCode(err, problem.NotFound):
		return err
	case public == nil:
		return problem.New(problem.NodeUnknown, "send the app's card first")
	}
	if wait, ok := d.bindings.Take(building.String() + " " + person.String()); !ok {
		return problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: wait}, "too many new apps")
	}
	return d.RegisterNode(ctx, building, Node{ID: node, Tier: record.TierPhone, PublicKey: public, Person: person})
}

// KeepsPhotoLocation reports whether a building's photos keep their GPS position. Where it
// cannot be read the position is removed.
func (d *Desk) KeepsPhotoLocation(ctx context.Context, building record.ID) bool {
	k := key(building, "building", building)
	found, err := d.load(ctx, building, k)
	return err == nil && d.fields(found.item(k)).bool("keep_photo_location")
}
