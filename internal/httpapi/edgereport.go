package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"estate/internal/problem"
	"estate/sync/record"
)

// Limits of what a box reports of itself.
const (
	// EdgeReportBytesMax is many times the longest honest report.
	EdgeReportBytesMax = 16 << 10
	// EdgeTextMax bounds each text of a report, in characters.
	EdgeTextMax = 1000
	// edgeYearMin and edgeYearMax bound times: what lies outside cannot be shown once it is
	// moved to the cloud's clock.
	edgeYearMin = 1970
	edgeYearMax = 2200
)

// EdgeView is a box in a building. Times that the box reported are moved to the cloud's
// clock.
type EdgeView struct {
	ID         record.ID  `json:"id"`
	Building   record.ID  `json:"building"`
	Name       string     `json:"name,omitempty"`
	EnrolledAt *time.Time `json:"enrolled_at,omitempty"`
	Revoked    bool       `json:"revoked"`
	Connected  bool       `json:"connected" doc:"It has a link open at any process of the cloud; a process that died is noticed after 45 seconds"`
	HeardAt    *time.Time `json:"heard_at,omitempty"`
	SyncedTo   uint64     `json:"synced_to,omitempty" doc:"Up to which of its own transactions the cloud holds them and gives receipts"`
	Behind     *uint64    `json:"behind,omitempty" doc:"How many of its own transactions, of those in its last report, the cloud does not hold"`

	ReportedAt  *time.Time    `json:"reported_at,omitempty" doc:"When it last told what follows; nothing of it before the first report"`
	Version     string        `json:"version,omitempty"`
	Link        *LinkStatus   `json:"link,omitempty" doc:"As the box reported; offline while it is not connected, and syncing while the cloud lacks what it reported"`
	Media       *MediaBacklog `json:"media,omitempty"`
	BlindSince  *time.Time    `json:"blind_since,omitempty" doc:"Since when it does not hear its devices"`
	BlindCause  string        `json:"blind_cause,omitempty"`
	ClockOffset *int64        `json:"clock_offset_ms,omitempty" doc:"What the box adds to its own clock, learnt from the cloud"`
}

// MediaBacklog is the files that wait to move between a box and the cloud.
type MediaBacklog struct {
	Up   Backlog `json:"up"`
	Down Backlog `json:"down"`
}

// Backlog is a queue: how much waits, and for how long.
type Backlog struct {
	Waiting  int        `json:"waiting"`
	OldestAt *time.Time `json:"oldest_at,omitempty"`
}

// EdgeReport is what a box tells the cloud of itself, at PathEdgeState.
type EdgeReport struct {
	At          time.Time    `json:"at"` // by the clock of the report's other times
	Version     string       `json:"version"`
	Link        LinkStatus   `json:"link"`
	Media       MediaBacklog `json:"media"`
	BlindSince  *time.Time   `json:"blind_since,omitempty"`
	BlindCause  string       `json:"blind_cause,omitempty"`
	ClockOffset int64        `json:"clock_offset_ms"`
	// Replica and N are the box's own chain and where it ends.
	Replica record.ID `json:"replica"`
	N       uint64    `json:"n"`
}

// PathEdgeState takes the report of a box, which shows its session token.
const PathEdgeState = "/sync/state"

// times lists every time of the report.
func (r *EdgeReport) times() []*time.Time {
	return []*time.Time{&r.At, &r.Link.Since, r.Link.ReceiptAt, r.Link.HeardAt, r.Link.NextAt, r.Link.OldestAt, r.BlindSince, r.Media.Up.OldestAt, r.Media.Down.OldestAt}
}

func (r *EdgeReport) texts() []*string {
	return []*string{&r.Version, &r.Link.Lane, &r.Link.Code, &r.Link.Detail, &r.Link.Remedy, &r.BlindCause}
}

// Clean cuts texts, which may be any error's, to what the cloud takes.
func (r *EdgeReport) Clean() {
	for _, t := range r.texts() {
		*t = strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return ' '
			}
			return c
		}, strings.ToValidUTF8(*t, "�"))
		if utf8.RuneCountInString(*t) > EdgeTextMax {
			*t = string([]rune(*t)[:EdgeTextMax])
		}
	}
}

// Validate says what the cloud does not take.
func (r *EdgeReport) Validate() error {
	var fields []problem.FieldError
	wrong := func(field, format string, args ...any) {
		fields = append(fields, problem.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if !slices.Contains([]string{"offline", "connecting", "syncing", "synced"}, r.Link.State) {
		wrong("link.state", "offline, connecting, syncing or synced")
	}
	for _, t := range r.texts() {
		if !utf8.ValidString(*t) || utf8.RuneCountInString(*t) > EdgeTextMax || strings.ContainsFunc(*t, unicode.IsControl) {
			wrong("text", "at most %d printable characters each", EdgeTextMax)
			break
		}
	}
	for _, t := range r.times() {
		if t != nil && (t.Year() < edgeYearMin || t.Year() > edgeYearMax) {
			wrong("time", "must be between %d and %d", edgeYearMin, edgeYearMax)
			break
		}
	}
	if r.Link.Waiting < 0 || r.Link.Attempts < 0 || r.Media.Up.Waiting < 0 || r.Media.Down.Waiting < 0 {
		wrong("waiting", "counts are not negative")
	}
	if len(fields) > 0 {
		return problem.Invalid(fields...)
	}
	return nil
}

// Shift moves every time of the report, to another clock.
func (r *EdgeReport) Shift(by time.Duration) {
	for _, t := range r.times() {
		if t != nil {
			*t = t.Add(by).UTC()
		}
	}
}
