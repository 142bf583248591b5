package desk

import (
	"context"
	"errors"
	"io"

	"estate/sync/record"
)

var errBody = errors.New("desk: body follows")

func (d *Desk) Conflicts(ctx context.Context, c Caller, building record.ID, p Page) (List[Conflict], error) {
	return List[Conflict]{}, errBody
}
func (d *Desk) ConflictsOf(ctx context.Context, c Caller, building record.ID, kind string, id record.ID) ([]Conflict, error) {
	return nil, errBody
}
func (d *Desk) ResolveConflict(ctx context.Context, c Caller, building record.ID, in Resolution) error {
	return errBody
}
func (d *Desk) Audit(ctx context.Context, c Caller, building record.ID, f AuditFilter, p Page) (List[AuditEvent], error) {
	return List[AuditEvent]{}, errBody
}
func (d *Desk) AuditExport(ctx context.Context, c Caller, building record.ID, w io.Writer) error {
	return errBody
}
func (d *Desk) SyncState(ctx context.Context, c Caller, building record.ID) (SyncState, error) {
	return SyncState{}, errBody
}
func (d *Desk) Changes(ctx context.Context, c Caller, building record.ID, after uint64) (Changes, error) {
	return Changes{}, errBody
}
func (d *Desk) Position(ctx context.Context, building record.ID) (uint64, error) { return 0, errBody }
func (d *Desk) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return d.node.Store.Watch(building)
}
