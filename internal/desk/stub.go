package desk

import (
	"context"
	"errors"
	"io"
	"time"

	"estate/sync/record"
)

var errBody = errors.New("desk: body follows")

func (d *Desk) Buildings(ctx context.Context, c Caller) ([]Building, error) { return nil, errBody }
func (d *Desk) Building(ctx context.Context, c Caller, building record.ID) (Building, error) {
	return Building{}, errBody
}
func (d *Desk) CreateBuilding(ctx context.Context, c Caller, in NewBuilding) (Building, error) {
	return Building{}, errBody
}
func (d *Desk) Members(ctx context.Context, c Caller, building record.ID, p Page) (List[Member], error) {
	return List[Member]{}, errBody
}
func (d *Desk) ProjectMember(ctx context.Context, building record.ID, m Member) error { return errBody }
func (d *Desk) AccountByEmail(ctx context.Context, building record.ID, email string) (Account, error) {
	return Account{}, errBody
}
func (d *Desk) AccountByID(ctx context.Context, building, person record.ID) (Account, error) {
	return Account{}, errBody
}
func (d *Desk) RegisterNode(ctx context.Context, building record.ID, n Node) error { return errBody }
func (d *Desk) RevokeNode(ctx context.Context, building, node record.ID) error     { return errBody }
func (d *Desk) NodeOf(ctx context.Context, building, node record.ID) (Node, error) {
	return Node{}, errBody
}

func (d *Desk) Units(ctx context.Context, c Caller, building record.ID, p Page) (List[Unit], error) {
	return List[Unit]{}, errBody
}
func (d *Desk) CreateUnit(ctx context.Context, c Caller, building record.ID, in NewUnit) (Unit, error) {
	return Unit{}, errBody
}
func (d *Desk) UpdateUnit(ctx context.Context, c Caller, building, id record.ID, in UnitChange) (Unit, error) {
	return Unit{}, errBody
}
func (d *Desk) Devices(ctx context.Context, c Caller, building record.ID, f DeviceFilter, p Page) (List[Device], error) {
	return List[Device]{}, errBody
}
func (d *Desk) Device(ctx context.Context, c Caller, building, id record.ID) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) CreateDevice(ctx context.Context, c Caller, building record.ID, in NewDevice) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) AdoptDevice(ctx context.Context, c Caller, building, id record.ID, name string, unit record.ID) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) UpdateDevice(ctx context.Context, c Caller, building, id record.ID, in DeviceChange) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) Readings(ctx context.Context, c Caller, building, device record.ID, since time.Time, p Page) (List[Reading], error) {
	return List[Reading]{}, errBody
}

func (d *Desk) DeviceByHardware(ctx context.Context, building record.ID, hardware string) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) AllDevices(ctx context.Context, building record.ID) ([]Device, error) {
	return nil, errBody
}
func (d *Desk) SeeDevice(ctx context.Context, building record.ID, hardware, name, model string) (Device, error) {
	return Device{}, errBody
}
func (d *Desk) ReportDevice(ctx context.Context, building record.ID, hardware string, in DeviceStatus) error {
	return errBody
}
func (d *Desk) StoreReadings(ctx context.Context, building record.ID, batch []ReadingInput) error {
	return errBody
}

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
