package synclink

import (
	"context"
	"log/slog"

	"estate/sync/replica"
)

// returnKeysLogged bounds one line of the log.
const returnKeysLogged = 20

// reportReturn says what a phone brought back: it means that this store had lost something
// that it acknowledged, and names what it is.
func (s *Server) reportReturn(ctx context.Context, who caller, r replica.Return) {
	building, person := slog.String("building", who.building.String()), slog.String("person", who.person.String())
	if len(r.Restored) > 0 {
		if s.config.Hooks.Returned != nil {
			s.config.Hooks.Returned(who.building, who.person, len(r.Restored))
		}
		var keys []string
		for _, k := range r.Restored[:min(len(r.Restored), returnKeysLogged)] {
			keys = append(keys, k.Kind+" "+k.ID.String())
		}
		s.config.Log.WarnContext(ctx, "a phone returned records that this store had lost", building, person, slog.Int("records", len(r.Restored)), slog.Any("keys", keys))
	}
	codes := map[string]int{}
	for _, result := range r.Taken.Results {
		if result.Code != "" {
			codes[result.Code]++
		}
	}
	if len(codes) > 0 {
		s.config.Log.WarnContext(ctx, "records that a phone returned were not taken", building, person, slog.Any("codes", codes))
	}
}
