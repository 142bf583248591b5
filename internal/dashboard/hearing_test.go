package dashboard_test

import (
	"strconv"
	"testing"
	"time"
)

// TestHearing: how the box hears its devices, and how much room their readings have, is on the page
// of devices, each trouble with what to do.
func TestHearing(t *testing.T) {
	t.Parallel()
	b, c := signedIn(t)
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	b.eval(`location.hash = '#devices'`)
	says := func(what, text string) {
		t.Helper()
		b.await(what, `document.querySelector('.heard').textContent.includes(`+strconv.Quote(text)+`)`)
	}
	become := func(hearing, disk object) {
		t.Helper()
		c.do(func() { // and all is to be read again
			c.hearing, c.disk = hearing, disk
			c.push(object{"type": "reset"})
		})
	}
	says("the forecast", "Readings take 12 MB of 2 GB on the box, 40 MB a day more: room for 49 days")
	fine := object{"heard": true}
	disk := func(state string, more object) object {
		out := object{"state": state, "bytes": 1_900_000_000, "budget_bytes": 2_000_000_000, "bytes_per_day": 40_000_000, "readings_from": "2026-10-03T00:00:00Z", "rollups_from": "2025-01-03T00:00:00Z"}
		for name, v := range more {
			out[name] = v
		}
		return out
	}
	become(fine, disk("room", object{"days_left": 2, "full_at": ago(-48 * time.Hour)}))
	says("that there is room for two days", "room for 2 days")
	b.await("a warning of it", `document.querySelector('.heard .notice')?.textContent.includes('2 days')`)
	become(fine, disk("thinning", nil))
	says("that the oldest make room", "the oldest single readings make room")
	says("how far they go back", "2026")
	become(fine, disk("over", nil))
	says("what to do where nothing may go", "readings_bytes_max")
	become(fine, object{"state": "room", "bytes": 900, "budget_bytes": 2_000_000_000, "bytes_per_day": 10})
	says("that there is room for good", "900 B of 2 GB")
	become(object{"heard": false, "blind_since": ago(time.Minute), "code": "mqtt_away", "detail": "connection refused", "remedy": "Check that the broker runs."}, nil)
	says("since when nobody is heard", "Devices are not heard since")
	says("what to do about it", "Check that the broker runs.")
	become(object{"heard": true, "code": "mqtt_broker_dropped", "detail": "12 messages", "remedy": "Raise its limits."}, nil)
	says("what else is wrong with the broker", "Something is wrong with the broker12 messagesRaise its limits.")
	become(object{"heard": true, "store_failing_since": ago(time.Minute), "last_blind": object{"from": ago(2 * time.Hour), "to": ago(time.Hour), "seconds": 3600}}, nil)
	says("that nothing is stored", "cannot be stored since")
	says("when nobody was heard", "Devices were not heard from")
	become(object{"heard": true, "last_blind": object{"from": ago(50 * time.Hour), "to": ago(49 * time.Hour), "seconds": 3600}}, nil)
	become(object{"heard": true, "last_blind": object{"from": ago(2 * time.Minute), "to": ago(2 * time.Minute), "seconds": 0}}, object{"state": "room", "bytes": 900, "budget_bytes": 2_000_000_000, "bytes_per_day": 10, "days_left": 18636, "full_at": "2077-12-01T06:47:00Z"})
	says("that there is room for good", "there is room for good")
	b.await("no word of a moment", `!document.querySelector('.heard .notice')`)
	become(object{"heard": true, "last_blind": object{"from": ago(50 * time.Hour), "to": ago(49 * time.Hour), "seconds": 3600}}, nil)
	b.await("nothing to say", `document.querySelector('.heard').textContent === ''`)
	b.faultless()
}
