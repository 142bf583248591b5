package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"estate/internal/desk"
	"estate/internal/httpapi/live"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	pathSocket = "/ws"
	// feedItemsMax and feedBytesMax bound one reading of a feed.
	feedItemsMax = 200
	feedBytesMax = 1 << 20
)

func (a *API) liveConfig() live.Config {
	return live.Config{Source: source{a}, Lives: a.cfg.Auth.Lives, Origins: a.cfg.Limits.Origins, Metrics: a.metrics, Sockets: a.cfg.Limits.Sockets,
		WriteWait: a.cfg.Limits.SocketWrite, Heartbeat: a.cfg.Limits.Heartbeat, Log: a.cfg.Log, Now: a.cfg.Now}
}

const socketText = `A WebSocket that pushes what the caller may see. A browser sends its token as a subprotocol: estate.v1 and estate.bearer.<token>; the server selects estate.v1.

The client sends {"type":"subscribe","building":ID,"cursor":CURSOR}; without a cursor it gets what changes from then on. The server answers {"type":"subscribed","building":ID,"cursor":CURSOR}, with "reset":true where the cursor was of no use: load the lists anew, then. After that come {"type":"change","building":ID,"kind":KIND,"id":ID,"ticket":ID,"position":N,"cursor":CURSOR,"record":VIEW} for each change that the caller may see, without a record where it is hidden now, {"type":"position"} now and then with a later cursor, {"type":"reset"} when the caller's rights changed, {"type":"sync","link":STATUS} for staff at an edge, {"type":"edge","edge":VIEW} for managers at the cloud when a box changed, and {"type":"ended"} when the caller has no right to the building any more. The last cursor goes into the subscription after a reconnect: nothing is missed.

Close codes: 4400 not a message, 4401 the token ended, 4403 no rights left, 1012 the store was set back, 1013 try again later, 1001 the server stops.`

func (a *API) registerSocket() {
	add(a, operation{id: "socket", method: http.MethodGet, path: pathSocket, tag: tagSync, stream: true, summary: "Changes as they happen", text: socketText},
		func(_ context.Context, _ desk.Caller, _ *struct{}) (*huma.StreamResponse, error) {
			return &huma.StreamResponse{Body: func(out huma.Context) {
				r, w := humamux.Unwrap(out)
				if err := a.live.Serve(w, r); err != nil {
					refuse(w, r, err, a.failures)
				}
			}}, nil
		})
}

// source gives the push its changes and rights.
type source struct{ api *API }

// pushed are the kinds that screens follow.
func pushed(kind string) bool {
	return slices.Contains([]string{"building", "unit", "membership", "ticket", "message", "note", "media", "asset", "device", "control", "action", "alarm", "setting"}, kind)
}

// Generation implements live.Source.
func (s source) Generation() record.ID { return s.api.cfg.Node.Boot() }

// Watch implements live.Source.
func (s source) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return s.api.cfg.Node.Store.Watch(building)
}

// End implements live.Source.
func (s source) End(ctx context.Context, building record.ID) (uint64, error) {
	return s.api.cfg.Desk.Position(ctx, building)
}

// Read implements live.Source.
func (s source) Read(ctx context.Context, building record.ID, after uint64) (live.Batch, error) {
	store := s.api.cfg.Node.Store
	page, err := store.Feed(ctx, building, after, feedItemsMax, feedBytesMax)
	if err != nil {
		return live.Batch{}, fmt.Errorf("read feed: %w", err)
	}
	if page.End < after {
		return live.Batch{}, live.ErrRewound
	}
	out := live.Batch{To: after}
	var parents []record.Key
	for _, i := range page.Items {
		out.To = i.Position
		if i.Event != nil || !pushed(i.Key.Kind) {
			continue
		}
		r, err := record.Decode(i.Body)
		if err != nil {
			return live.Batch{}, fmt.Errorf("record %s: %w", i.Key, err)
		}
		out.Changes = append(out.Changes, live.Change{Position: i.Position, Key: i.Key, Record: r, Bytes: len(i.Body)})
		if parent, ok := s.api.cfg.Table.Parent(i.Key, r); ok {
			parents = append(parents, parent)
		}
	}
	out.More = out.To < page.End
	if len(page.Items) == 0 {
		out.To, out.More = page.End, false
	}
	if len(parents) == 0 {
		return out, nil
	}
	have, err := store.Load(ctx, building, replica.Need{Keys: parents})
	if err != nil {
		return live.Batch{}, fmt.Errorf("load tickets: %w", err)
	}
	for i, c := range out.Changes {
		if parent, ok := s.api.cfg.Table.Parent(c.Key, c.Record); ok {
			out.Changes[i].Parent = have.Records[parent].Record
		}
	}
	return out, nil
}

// Views implements live.Source.
func (s source) Views(ctx context.Context, person, building record.ID, after uint64) (map[uint64]live.View, error) {
	c, err := s.api.callerOf(ctx, person)
	if err != nil {
		return nil, err
	}
	changes, err := s.api.cfg.Desk.Changes(ctx, c, building, after)
	if err != nil {
		return nil, err
	}
	out := make(map[uint64]live.View, len(changes.Items))
	for _, i := range changes.Items {
		v := live.View{Ticket: i.Ticket, Item: i.Item}
		if b, ok := i.Item.(desk.Building); ok {
			b.Role, b.Units = "", nil // the caller's own, and everybody gets this form
			v.Item = b
		}
		out[i.Position] = v
	}
	return out, nil
}

// Viewer implements live.Source.
func (s source) Viewer(ctx context.Context, person, building record.ID) (schema.Viewer, error) {
	c, err := s.api.callerOf(ctx, person)
	if err != nil {
		return schema.Viewer{}, err
	}
	return s.api.cfg.Desk.Viewer(ctx, c, building)
}

// MayRead implements live.Source.
func (s source) MayRead(v schema.Viewer, c live.Change) bool {
	return s.api.cfg.Table.MayRead(v, c.Key, c.Record, c.Parent)
}

// WatchLink implements live.Source.
func (s source) WatchLink(building record.ID) (moved <-chan struct{}, stop func()) {
	if s.api.cfg.Links == nil {
		return nil, func() {}
	}
	return s.api.cfg.Links.Watch(building)
}

// Link implements live.Source.
func (s source) Link(ctx context.Context, building record.ID) any {
	if s.api.cfg.Links == nil {
		return nil
	}
	return s.api.cfg.Links.Status(ctx, building)
}

// WatchEdges implements live.Source.
func (s source) WatchEdges(building record.ID) (moved <-chan struct{}, stop func()) {
	if s.api.cfg.Edges == nil {
		return nil, func() {}
	}
	return s.api.cfg.Edges.Watch(building)
}

// Edges implements live.Source.
func (s source) Edges(ctx context.Context, building record.ID) (map[record.ID]any, error) {
	if s.api.cfg.Edges == nil {
		return nil, nil
	}
	list, err := s.api.cfg.Edges.Edges(ctx, []record.ID{building})
	if err != nil {
		return nil, fmt.Errorf("list edges: %w", err)
	}
	out := make(map[record.ID]any, len(list))
	for _, e := range list {
		out[e.ID] = e
	}
	return out, nil
}
