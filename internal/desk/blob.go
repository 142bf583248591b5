package desk

import (
	"context"

	"estate/sync/record"
)

// HoldsBlob reports whether a record of the building names a blob, as photo or thumbnail:
// the right of the building's own nodes to bring or fetch it. It asks nobody's role and is
// for nodes only.
func (d *Desk) HoldsBlob(ctx context.Context, building record.ID, digest record.Hash) (bool, error) {
	for _, shape := range []string{shapeMediaByDigest, shapeMediaByThumb} {
		found, err := d.query.Select(ctx, Selection{Shape: shape, Building: building, Lead: record.Bytes(digest[:]), Limit: 1})
		if err != nil {
			return false, translate(err)
		}
		if len(found.Rows) > 0 {
			return true, nil
		}
	}
	return false, nil
}
