package edge

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"estate/edge/internal/cloudlink"
	"estate/edge/internal/local"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/internal/synclink"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/watch"
	"estate/sync/wire"
)

// noticeWait is what keeping a notice may take: the link goes on without it.
const noticeWait = 2 * time.Second

// link is how the building's records travel: up to the cloud, and to and from phones.
type link struct {
	building  *building
	transport *http.Transport
	sessions  *cloudlink.Sessions
	uplink    *synclink.Uplink
	server    *synclink.Server
	changed   watch.Set
}

// cloudURL is the address to use: the configured one, else what the enrolment noted.
func cloudURL(cfg Config, enrolment local.Enrolment) string {
	if cfg.CloudURL == "" {
		return enrolment.CloudURL
	}
	clean, err := cloudlink.CleanURL(cfg.CloudURL)
	if err != nil {
		return enrolment.CloudURL // refused by Validate before
	}
	return clean
}

func newLink(b *building, enrolment local.Enrolment) (*link, error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, fmt.Errorf("the standard transport was replaced by a %T", http.DefaultTransport)
	}
	l := &link{building: b, transport: transport.Clone()}
	base := cloudURL(b.edge.cfg, enrolment)
	l.sessions = &cloudlink.Sessions{Client: &http.Client{Transport: l.transport}, Base: base, Server: enrolment.Server, Key: b.edge.key, Now: time.Now}
	var err error
	// Times of the link are the system clock's: they are deadlines and pauses.
	l.uplink, err = synclink.NewUplink(synclink.UplinkConfig{Node: b.node, Watch: b.edge.store.Watch, Building: b.id,
		Peer: replica.Peer{Node: record.NodeID(enrolment.CloudKey), Tier: record.TierCloud, PublicKey: enrolment.CloudKey},
		URL:  base, Token: l.sessions.Token, Transport: l.transport, Now: time.Now, Jitter: rand.Float64, Log: b.edge.log,
		Hooks: synclink.Hooks{Alarm: l.alarm, Closed: l.closed}, Waiting: l.waiting, Changed: l.follow})
	if err != nil {
		return nil, err
	}
	l.server, err = synclink.NewServer(synclink.ServerConfig{Node: b.node, Watch: b.edge.store.Watch, Now: time.Now, Log: b.edge.log,
		Authenticate: func(*http.Request) (replica.Peer, record.ID, error) {
			// No node but the cloud exchanges whole buildings, and it is this box that calls.
			return replica.Peer{}, record.ID{}, problem.New(problem.TokenInvalid, "")
		},
		Phones: &synclink.Phones{Node: b.node, Person: l.person, Rights: l.rights, Bind: b.desk.BindPhone, Limit: synclink.NewPhoneLimit(time.Now)},
		Hooks:  synclink.Hooks{Alarm: l.alarm, Returned: l.returned}})
	return l, err
}

func (l *link) run(ctx context.Context) error {
	defer l.transport.CloseIdleConnections()
	var reporting sync.WaitGroup
	defer reporting.Wait()
	reporting.Go(func() { newReporter(l).run(ctx) })
	return l.uplink.Run(ctx)
}

func (l *link) close() { l.server.Close() }

// phones serves the exchange of installed apps below /sync/.
func (l *link) phones() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(synclink.PathExchange, l.server.Exchange())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		auth.Refuse(w, r, problem.New(problem.NotFound, ""), l.building.edge.log)
	})
	return mux
}

func (l *link) person(r *http.Request) (record.ID, error) {
	token, found, err := auth.BearerToken(r)
	if err != nil || !found {
		return record.ID{}, err
	}
	id, err := l.building.auth.Verify(r.Context(), token)
	return id.Person, err
}

func (l *link) rights(ctx context.Context, building, person record.ID) (replica.Admit, replica.View, error) {
	view, admit, err := l.building.desk.PhoneView(ctx, desk.Caller{Person: person}, building)
	return admit, view, err
}

func (l *link) alarm(building, node record.ID, code string) {
	e := l.building.edge
	e.log.Error("replication alarm", obs.Building(building), obs.Node(node), obs.Code(code))
	ctx, cancel := context.WithTimeout(context.Background(), noticeWait)
	defer cancel()
	if err := e.local.Note(ctx, building, node, code, e.now()); err != nil {
		e.log.Warn("an alarm stands in this log only", obs.Code(code), slog.Any("error", err))
	}
}

// returned tells an operator that this box had lost what it once acknowledged.
func (l *link) returned(building, _ record.ID, _ int) {
	l.alarm(building, l.building.edge.key.ID(), wire.CodeRecordsReturned)
}

// closed drops a session token that the cloud may no longer accept.
func (l *link) closed(_, _ record.ID, code string) {
	if code != "" {
		l.sessions.Drop()
	}
}

// follow tells screens, and the media lanes once the link works.
func (l *link) follow(s synclink.Status) {
	l.changed.Wake(l.building.id)
	if s.State == synclink.Synced {
		l.building.edge.log.Info("in step with the cloud", slog.String("lane", string(s.Lane)))
		l.building.files.wake()
	}
}

// waiting counts the events of this box and of phones that the cloud gave no receipt for.
func (l *link) waiting(ctx context.Context) (synclink.Waiting, error) {
	var out synclink.Waiting
	store := l.building.edge.store
	chains, err := store.Chains(ctx, l.building.id)
	if err != nil {
		return out, err
	}
	for _, c := range chains {
		if c.Held <= c.Receipted || c.Card == nil || c.Card.Tier == record.TierCloud {
			continue // what the cloud wrote needs no receipt of its own
		}
		out.Items += int(c.Held - c.Receipted)
		events, err := store.Events(ctx, l.building.id, c.Replica, c.Receipted+1, c.Receipted+1, 1)
		if err != nil {
			return out, err
		}
		for _, row := range events {
			e, err := record.DecodeEvent(row.Body)
			if err != nil {
				return out, err
			}
			if at := waitsSince(e, l.building.edge.now()); out.Oldest.IsZero() || at.Before(out.Oldest) {
				out.Oldest = at
			}
		}
	}
	return out, nil
}

// waitsSince is since when an event waits, as far as its author can be believed: an app
// that claims a time beyond the calendar must not make the link's status unwritable.
func waitsSince(e record.Event, now time.Time) time.Time {
	return time.UnixMilli(min(max(e.EventTime, 1), now.UnixMilli())).UTC()
}

// Status implements httpapi.LinksPort.
func (l *link) Status(ctx context.Context, _ record.ID) httpapi.LinkStatus {
	s := l.uplink.Status(ctx)
	return httpapi.LinkStatus{State: string(s.State), Since: s.Since.UTC(), Lane: string(s.Lane), ReceiptAt: orNil(s.ReceiptAt), HeardAt: orNil(s.HeardAt),
		Code: s.Code, Detail: s.Detail, Remedy: s.Remedy, Attempts: s.Attempts, NextAt: orNil(s.Next),
		Waiting: s.Waiting.Items, OldestAt: orNil(s.Waiting.Oldest), BytesIn: s.BytesIn, BytesOut: s.BytesOut}
}

// Watch implements httpapi.LinksPort.
func (l *link) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return l.changed.Add(building)
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
