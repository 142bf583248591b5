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

// standing is the condition of an open ticket.
func standing() string {
	return "building = ?1 AND status IN ('" + strings.Join(desk.OpenStates(), "', '") + "') AND coalesce(deleted, 0) = 0"
}

func countStanding() string {
	return "SELECT coalesce(priority, ''), count(*) FROM ticket WHERE " + standing() + " GROUP BY priority"
}

func countOlder() string {
	return "SELECT count(*) FROM ticket WHERE " + standing() + " AND priority = ?2 AND reported_at < ?3"
}

// OpenTickets implements desk.Query, by the index alone.
func (q *Queries) OpenTickets(ctx context.Context, building record.ID, before map[string]time.Time) (out map[string]desk.Standing, err error) {
	err = q.store.snapshot(ctx, "count open tickets", func(c *conn) error {
		out = map[string]desk.Standing{}
		err := c.each(countStanding(), []any{building[:]}, func(rows *sql.Rows) (bool, error) {
			var priority string
			var n int
			err := rows.Scan(&priority, &n)
			out[priority] = desk.Standing{Open: n}
			return true, err
		})
		for priority, limit := range before {
			count, open := out[priority]
			if err != nil || !open {
				continue
			}
			err = c.each(countOlder(), []any{building[:], priority, limit.UnixMilli()}, func(rows *sql.Rows) (bool, error) {
				return true, rows.Scan(&count.Older)
			})
			out[priority] = count
		}
		return err
	})
	return out, err
}
