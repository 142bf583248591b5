package sqlitestore

import (
	"context"
	"database/sql"

	"estate/sync/record"
	"estate/sync/replica"
)

const (
	kindMedia = "media"
	// selectMedia has the kind in its text, as the partial index has it: only so it fits.
	selectMedia = `SELECT position, id, body FROM record WHERE building = ? AND kind IS 'media' AND position > ? ORDER BY position LIMIT ?`
)

// MediaFeed reads the media records of a building with positions behind after, in their
// order, at most limit. It costs what it finds, however much else moved.
func (s *Store) MediaFeed(ctx context.Context, building record.ID, after uint64, limit int) (items []replica.FeedItem, err error) {
	none, look := s.hot.noMedia(building, after)
	if none {
		return nil, nil
	}
	err = s.snapshot(ctx, "read media feed", func(c *conn) error {
		items = nil
		return c.each(selectMedia, []any{building[:], bits(after), limit}, func(rows *sql.Rows) (bool, error) {
			item := replica.FeedItem{Key: record.Key{Building: building, Kind: kindMedia}}
			var id sql.RawBytes
			var position int64
			err := rows.Scan(&position, &id, &item.Body)
			item.Position = uint64(position)
			copy(item.Key.ID[:], id)
			items = append(items, item)
			return true, err
		})
	})
	if err == nil && len(items) == 0 {
		s.hot.keepNoMedia(look, after)
	}
	return items, err
}
