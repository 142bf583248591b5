package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/internal/httpapi"
	"estate/internal/media"
	"estate/internal/synclink"
	"estate/sync/replica"
)

const (
	// reportEvery is how often the cloud hears of this box when nothing changes; it takes
	// a box for gone after 45 seconds.
	reportEvery = 30 * time.Second
	// reportBusy is how often it hears of one whose sensors write all the while.
	reportBusy = 10 * time.Second
	// reportSettle is how long a change may develop before it is told, and reportLook how
	// often parts are looked at that tell nobody when they change.
	reportSettle = time.Second
	reportLook   = 5 * time.Second
	// collectMax bounds what a look may cost the store.
	collectMax = 5 * time.Second
)

// reporter tells the cloud how this box is. Nothing waits for it, and what it cannot send
// is told with the next report.
type reporter struct {
	link   *link
	client *http.Client
	base   string
	tried  notable // of the last report, whether the cloud took it or not
	n      uint64
	at     time.Time
}

// notable is what of a report is told at once. Counts and times change all the while and
// go with the next one.
type notable struct {
	state, lane, code, detail string
	waiting, blind, up, down  bool
}

func notableOf(r httpapi.EdgeReport) notable {
	n := notable{state: r.Link.State, lane: r.Link.Lane, code: r.Link.Code, detail: r.Link.Detail, waiting: r.Link.Waiting > 0,
		blind: r.BlindSince != nil, up: r.Media.Up.Waiting > 0, down: r.Media.Down.Waiting > 0}
	if n.state == string(synclink.Connecting) {
		n.state = string(synclink.Offline) // they alternate while the cloud is away
	}
	return n
}

func newReporter(l *link) *reporter {
	return &reporter{link: l, base: l.sessions.Base, client: &http.Client{Transport: &cloudlink.Transport{Sessions: l.sessions, Base: l.transport}}}
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	moved, stop := r.link.changed.Add(r.link.building.id)
	defer stop()
	look := time.NewTicker(reportLook)
	defer look.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-moved:
			settle := time.NewTimer(reportSettle)
			select {
			case <-ctx.Done():
				settle.Stop()
				return
			case <-settle.C:
			}
		case <-look.C:
		}
		told, err := r.once(ctx)
		if !told && err == nil {
			continue
		}
		if failing != (err != nil) && ctx.Err() == nil {
			failing = err != nil
			r.link.building.edge.log.WarnContext(ctx, "tell the cloud how this box is", slog.Bool("failing", failing), slog.Any("error", err))
		}
	}
}

// once reports if there is something to tell. While the cloud is away one report in
// reportEvery is tried: the lanes find out for themselves when it is back, and that is a
// change.
func (r *reporter) once(ctx context.Context) (told bool, err error) {
	report, err := r.collect(ctx)
	if err != nil {
		return false, err
	}
	now, n := time.Now(), notableOf(report)
	due := r.at.Add(reportEvery)
	if report.N != r.n && report.Link.State == string(synclink.Synced) {
		due = r.at.Add(reportBusy)
	}
	if n == r.tried && now.Before(due) {
		return false, nil
	}
	r.tried, r.n, r.at = n, report.N, now
	return true, cloudlink.Report(ctx, r.client, r.base, report)
}

// collect asks the parts of the box.
func (r *reporter) collect(ctx context.Context) (httpapi.EdgeReport, error) {
	ctx, cancel := context.WithTimeout(ctx, collectMax)
	defer cancel()
	b := r.link.building
	report := httpapi.EdgeReport{At: time.Now().UTC(), Version: b.edge.cfg.Version, Link: r.link.Status(ctx, b.id)}
	have, err := b.edge.store.Load(ctx, b.id, replica.Need{})
	if err != nil {
		return report, fmt.Errorf("load state: %w", err)
	}
	report.ClockOffset, report.Replica, report.N = have.State.ClockOffset, have.State.Replica, have.State.N
	for _, q := range []struct {
		lane *media.Lane
		to   *httpapi.Backlog
	}{{b.files.up, &report.Media.Up}, {b.files.down, &report.Media.Down}} {
		s, err := q.lane.Status(ctx)
		if err != nil {
			return report, err
		}
		*q.to = httpapi.Backlog{Waiting: s.Items, OldestAt: orNil(s.Oldest)}
	}
	since, cause := b.devices.blind()
	report.BlindSince, report.BlindCause = orNil(since), cause
	report.Clean()
	return report, nil
}
