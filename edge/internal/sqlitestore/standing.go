package sqlitestore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"estate/internal/desk"
	"estate/sync/record"
)

// standingColumns are those of the index by which open tickets are counted: it answers alone, and
// what is closed stands elsewhere in it.
func standingColumns() []string {
	return []string{"status", "priority", "reported_at", "deleted"}
}

// orderStanding makes that index.
func (c *conn) orderStanding(t tableText) error {
	for _, name := range standingColumns() {
		if t.Index(name) < 0 {
			return nil
		}
	}
	return c.exec("CREATE INDEX IF NOT EXISTS ticket_standing ON ticket (building, " + strings.Join(standingColumns(), ", ") + ")")
}

// standing is the condition of a ticket that stands open in one state.
const standing = "building = ?1 AND status = ?2 AND coalesce(deleted, 0) = 0"

// Each state is counted by itself: its tickets lie in the index by their priority, so there is
// nothing to sort. SQLite sorts in memory, and a box of a million open tickets has little.
const (
	countStanding = "SELECT coalesce(priority, ''), count(*) FROM ticket WHERE " + standing + " GROUP BY priority"
	countOlder    = "SELECT count(*) FROM ticket WHERE " + standing + " AND priority = ?3 AND reported_at < ?4"
)

// OpenTickets implements desk.Query, by the index alone.
func (q *Queries) OpenTickets(ctx context.Context, building record.ID, before map[string]time.Time) (out map[string]desk.Standing, err error) {
	err = q.store.snapshot(ctx, "count open tickets", func(c *conn) error {
		out = map[string]desk.Standing{}
		for _, state := range desk.OpenStates() {
			if err := c.countState(building, state, before, out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// countState adds the tickets of one state to a count.
func (c *conn) countState(building record.ID, state string, before map[string]time.Time, to map[string]desk.Standing) error {
	var found []string
	err := c.each(countStanding, []any{building[:], state}, func(rows *sql.Rows) (bool, error) {
		var priority string
		var n int
		err := rows.Scan(&priority, &n)
		count := to[priority]
		count.Open += n
		to[priority], found = count, append(found, priority)
		return true, err
	})
	for _, priority := range found {
		limit, bounded := before[priority]
		if err != nil || !bounded {
			continue
		}
		err = c.each(countOlder, []any{building[:], state, priority, limit.UnixMilli()}, func(rows *sql.Rows) (bool, error) {
			var n int
			err := rows.Scan(&n)
			count := to[priority]
			count.Older += n
			to[priority] = count
			return true, err
		})
	}
	return err
}
