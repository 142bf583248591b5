package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"estate/cloud/internal/fleet"
	"estate/internal/auth"
	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/internal/reading"
	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
)

const (
	// reportEvery and reportBurst limit one edge's reports: it sends at most one a second.
	reportEvery = 500 * time.Millisecond
	reportBurst = 20
	// batchEvery and batchBurst limit one edge's batches of readings: some 200,000 rollups to
	// catch up with at once.
	batchEvery = 250 * time.Millisecond
	batchBurst = 100
	// reportWait is what a slow line may take to send one.
	reportWait = 10 * time.Second
	// reportLife is how long a report of an edge that has no WebSocket counts as being in
	// touch: one may be lost of those that come every 30 seconds.
	reportLife = 45 * time.Second
)

// edges is the API's view of the fleet.
type edges struct {
	fleet      *fleet.Store
	enrolments *auth.Enrolments
	links      *synclink.Server
	lines      *lines
	changed    *watch.Set
	now        func() time.Time
}

var _ httpapi.EdgesPort = edges{}

// view says of an edge what is known, and no more.
func (e edges) view(x fleet.Edge) (httpapi.EdgeView, error) {
	v := httpapi.EdgeView{ID: x.Node, Building: x.Building, EnrolledAt: utc(&x.EnrolledAt), Revoked: x.RevokedAt != nil, HeardAt: utc(x.LastSeenAt)}
	if x.State.ReportedAt == nil || len(x.State.Report) == 0 {
		v.Connected, _ = e.connected(x, nil)
		return v, nil
	}
	var r httpapi.EdgeReport
	if err := json.Unmarshal(x.State.Report, &r); err != nil {
		return v, fmt.Errorf("read the report of edge %s: %w", x.Node, err)
	}
	r.Shift(x.State.ReportedAt.Sub(r.At))
	var since time.Time
	v.Connected, since = e.connected(x, &r)
	behind := r.N - min(x.Held, r.N)
	switch {
	case !v.Connected:
		r.Link.State, r.Link.Since = string(synclink.Offline), since.UTC()
	case behind > 0 && r.Link.State == string(synclink.Synced):
		r.Link.State = string(synclink.Syncing) // the edge has receipts that this database lacks the reason for
	}
	v.SyncedTo, v.Behind = x.Held, &behind
	v.ReportedAt, v.Version, v.Link, v.Media = utc(x.State.ReportedAt), r.Version, &r.Link, &r.Media
	v.BlindSince, v.BlindCause, v.ClockOffset = r.BlindSince, r.BlindCause, &r.ClockOffset
	return v, nil
}

// connected reports whether an edge is in touch with any process, and since when not.
func (e edges) connected(x fleet.Edge, r *httpapi.EdgeReport) (yes bool, since time.Time) {
	if x.RevokedAt != nil {
		return false, *x.RevokedAt
	}
	if e.lines.holds(x.Node) {
		return true, since
	}
	now := e.now()
	if line := x.State.Line; line != nil {
		since = line.Until
		if line.Process != e.lines.process && line.ClosedAt == nil && now.Before(line.Until) {
			return true, since
		}
		since = earlier(since, now)
	}
	if r != nil && r.Link.Lane == string(synclink.LanePost) && (r.Link.State == string(synclink.Synced) || r.Link.State == string(synclink.Syncing)) {
		since = x.State.ReportedAt.Add(reportLife)
		return now.Before(since), since
	}
	if since.IsZero() && x.State.ReportedAt != nil {
		since = *x.State.ReportedAt
	}
	return false, since
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func (c *Cloud) edges() edges {
	return edges{fleet: c.fleet, enrolments: c.gate.Enrolments, links: c.links, lines: c.lines, changed: &c.changed, now: c.cfg.Now}
}

// reachable tells whether a box of the building is in touch with any process, so that an order
// to a device gets there in time.
func (c *Cloud) reachable(ctx context.Context, building record.ID) (bool, error) {
	list, err := c.fleet.List(ctx, building)
	if err != nil {
		return false, err
	}
	e := c.edges()
	for _, x := range list {
		v, err := e.view(x)
		if err != nil {
			return false, err
		}
		if v.Connected {
			return true, nil
		}
	}
	return false, nil
}

// Edges implements httpapi.EdgesPort.
func (e edges) Edges(ctx context.Context, buildings []record.ID) ([]httpapi.EdgeView, error) {
	if buildings == nil {
		buildings = []record.ID{{}}
	}
	var out []httpapi.EdgeView
	for _, b := range buildings {
		list, err := e.fleet.List(ctx, b)
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			v, err := e.view(x)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// Edge implements httpapi.EdgesPort.
func (e edges) Edge(ctx context.Context, node record.ID) (httpapi.EdgeView, error) {
	x, err := e.fleet.Edge(ctx, node)
	if problem.HasCode(err, problem.NodeUnknown) {
		err = problem.New(problem.NotFound, "edge")
	}
	if err != nil {
		return httpapi.EdgeView{}, err
	}
	return e.view(x)
}

// CreateEnrolment implements httpapi.EdgesPort.
func (e edges) CreateEnrolment(ctx context.Context, building, by record.ID) (auth.EnrolCode, auth.Enrolment, error) {
	return e.enrolments.Create(ctx, building, by)
}

// Revoke implements httpapi.EdgesPort. Other processes are told by the database.
func (e edges) Revoke(ctx context.Context, node, _ record.ID) error {
	if err := e.fleet.Revoke(ctx, node); err != nil {
		return err
	}
	e.links.Revoke(node)
	return nil
}

// Watch implements httpapi.EdgesPort.
func (e edges) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return e.changed.Add(building)
}

// followFleet passes on what any process did to edges.
func (c *Cloud) followFleet(ctx context.Context) {
	l := fleet.Listener{Pool: c.store.Pool(), Log: c.cfg.Log, On: func(e fleet.Event) {
		if e.Revoked {
			c.links.Revoke(e.Node)
		}
		c.changed.Wake(e.Building)
	}}
	l.Run(ctx)
}

// serveState takes an edge's report of itself.
func (c *Cloud) serveState(w http.ResponseWriter, r *http.Request) {
	c.serveNode(w, r, c.reports, httpapi.EdgeReportBytesMax, func(body *json.Decoder, peer replica.Peer, _ record.ID) error {
		var report httpapi.EdgeReport
		if err := decodeOne(body, &report); err != nil {
			return err
		}
		if err := report.Validate(); err != nil {
			return err
		}
		text, err := json.Marshal(report)
		if err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
		return c.fleet.Report(r.Context(), peer.Node, report.Replica, text)
	})
}

// pathNodeReadings takes a box's rollups, and its readings around alarms.
const pathNodeReadings = "/sync/readings"

// serveReadings takes what an edge's devices measured.
func (c *Cloud) serveReadings(w http.ResponseWriter, r *http.Request) {
	c.serveNode(w, r, c.batches, reading.BatchBytesMax, func(body *json.Decoder, _ replica.Peer, building record.ID) error {
		var batch reading.Batch
		if err := decodeOne(body, &batch); err != nil {
			return err
		}
		return c.readings.Add(r.Context(), building, batch)
	})
}

// serveNode answers an edge that sends JSON: who it is, how often it may, how much.
func (c *Cloud) serveNode(w http.ResponseWriter, r *http.Request, limit *auth.Limiter, bytesMax int64, take func(*json.Decoder, replica.Peer, record.ID) error) {
	err := func() error {
		peer, building, err := c.gate.Authenticate(r)
		if err != nil {
			return err
		}
		if wait, ok := limit.Take(peer.Node.String()); !ok {
			return problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: wait}, "")
		}
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(reportWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return fmt.Errorf("set read deadline: %w", err)
		}
		body := json.NewDecoder(http.MaxBytesReader(w, r.Body, bytesMax))
		body.DisallowUnknownFields()
		return take(body, peer, building)
	}()
	if err != nil {
		c.outage.Refuse(w, r, err, c.cfg.Log)
		return
	}
	c.outage.Over(r.Context(), c.cfg.Log)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "{}\n") // an edge that has gone sends it again
}

// decodeOne reads a body that is one JSON value.
func decodeOne(body *json.Decoder, into any) error {
	err := body.Decode(into)
	if err == nil {
		if _, more := body.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return problem.New(problem.TooLarge, "limit %d bytes", large.Limit)
	case err != nil:
		return problem.New(problem.InvalidInput, "the body is not the JSON that this address takes")
	}
	return nil
}
