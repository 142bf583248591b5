package httpapi

import (
	"context"
	"net/http"
	"time"

	"estate/internal/desk"
	"estate/sync/replica"
)

// noticesShown is for how long a screen tells what happened.
const noticesShown = 30 * 24 * time.Hour

// LinkStatus is the state of an edge's link to the cloud.
type LinkStatus struct {
	State     string     `json:"state" enum:"offline,connecting,syncing,synced" doc:"synced is said only after a receipt for everything"`
	Since     time.Time  `json:"since"`
	Lane      string     `json:"lane,omitempty"`
	ReceiptAt *time.Time `json:"receipt_at,omitempty"`
	HeardAt   *time.Time `json:"heard_at,omitempty"`
	Code      string     `json:"code,omitempty" doc:"Why the link last failed"`
	Detail    string     `json:"detail,omitempty"`
	Remedy    string     `json:"remedy,omitempty"`
	Attempts  int        `json:"attempts,omitempty"`
	NextAt    *time.Time `json:"next_at,omitempty" doc:"When the next attempt starts"`
	Waiting   int        `json:"waiting" doc:"Items that the other side has not acknowledged"`
	OldestAt  *time.Time `json:"oldest_at,omitempty"`
	BytesIn   uint64     `json:"bytes_in"`
	BytesOut  uint64     `json:"bytes_out"`
}

// SyncBody says how far this node and the others are in step.
type SyncBody struct {
	desk.SyncState
	Role string      `json:"role" enum:"edge,cloud" doc:"What answers"`
	Link *LinkStatus `json:"link,omitempty" doc:"At an edge: its link to the cloud"`
	// Hearing is an edge's.
	Hearing *Hearing `json:"hearing,omitempty" doc:"At an edge: whether it hears the building's devices"`
}

func (a *API) registerSync() {
	add(a, operation{id: "get-sync", method: http.MethodGet, path: "/buildings/{building}/sync", tag: tagSync,
		summary: "Sync state of a building: chains held, what waits, what is held back, the link"},
		func(ctx context.Context, c desk.Caller, in *InBuilding) (*outBody[SyncBody], error) {
			state, err := a.cfg.Desk.SyncState(ctx, c, in.Building)
			if err != nil {
				return nil, err
			}
			out := SyncBody{SyncState: state, Role: string(a.cfg.Role)}
			if a.cfg.Notices != nil {
				notices, err := a.cfg.Notices(ctx, in.Building, a.cfg.Now().Add(-noticesShown))
				if err != nil {
					return nil, err
				}
				for _, n := range notices {
					n.Remedy = replica.Remedy(n.Code)
					out.Notices = append(out.Notices, n)
				}
			}
			if a.cfg.Links != nil {
				link := a.cfg.Links.Status(ctx, in.Building)
				out.Link = &link
			}
			if a.cfg.Hearing != nil {
				hearing := a.cfg.Hearing.Hearing(ctx, in.Building)
				out.Hearing = &hearing
			}
			return body(out, nil)
		})
}
