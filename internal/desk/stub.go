package desk

import (
	"context"
	"errors"
	"io"
	"time"

	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

var errBody = errors.New("desk: body follows")

func (d *Desk) Viewer(ctx context.Context, c Caller, building record.ID) (schema.Viewer, error) {
	return schema.Viewer{}, errBody
}
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

func (d *Desk) CreateTicket(ctx context.Context, c Caller, building record.ID, in NewTicket) (TicketResult, error) {
	return TicketResult{}, errBody
}
func (d *Desk) Tickets(ctx context.Context, c Caller, building record.ID, f TicketFilter, p Page) (List[Ticket], error) {
	return List[Ticket]{}, errBody
}
func (d *Desk) Ticket(ctx context.Context, c Caller, building, id record.ID) (Ticket, error) {
	return Ticket{}, errBody
}
func (d *Desk) UpdateTicket(ctx context.Context, c Caller, building, id record.ID, in TicketChange) (Ticket, error) {
	return Ticket{}, errBody
}
func (d *Desk) DeleteTicket(ctx context.Context, c Caller, building, id record.ID, seen string) error {
	return errBody
}
func (d *Desk) Messages(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Message], error) {
	return List[Message]{}, errBody
}
func (d *Desk) AddMessage(ctx context.Context, c Caller, building, ticket record.ID, in NewMessage) (Message, error) {
	return Message{}, errBody
}
func (d *Desk) Notes(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Message], error) {
	return List[Message]{}, errBody
}
func (d *Desk) AddNote(ctx context.Context, c Caller, building, ticket record.ID, in NewMessage) (Message, error) {
	return Message{}, errBody
}
func (d *Desk) MediaOf(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Media], error) {
	return List[Media]{}, errBody
}
func (d *Desk) Media(ctx context.Context, c Caller, building, id record.ID) (Media, error) {
	return Media{}, errBody
}
func (d *Desk) AddMedia(ctx context.Context, c Caller, building, ticket record.ID, in NewMedia) (Media, error) {
	return Media{}, errBody
}
func (d *Desk) MayReadBlob(ctx context.Context, c Caller, building record.ID, digest record.Hash) (Media, error) {
	return Media{}, errBody
}
func (d *Desk) MayWriteTo(ctx context.Context, c Caller, building, ticket record.ID) error {
	return errBody
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
func (d *Desk) Alarms(ctx context.Context, c Caller, building record.ID, f AlarmFilter, p Page) (List[Alarm], error) {
	return List[Alarm]{}, errBody
}
func (d *Desk) AcknowledgeAlarm(ctx context.Context, c Caller, building, id record.ID) (Alarm, error) {
	return Alarm{}, errBody
}
func (d *Desk) Readings(ctx context.Context, c Caller, building, device record.ID, since time.Time, p Page) (List[Reading], error) {
	return List[Reading]{}, errBody
}

func (d *Desk) RaiseAlarm(ctx context.Context, building record.ID, in AlarmInput) (Alarm, Ticket, error) {
	return Alarm{}, Ticket{}, errBody
}
func (d *Desk) ClearAlarm(ctx context.Context, building record.ID, in AlarmEnd) (Alarm, error) {
	return Alarm{}, errBody
}
func (d *Desk) MarkFlapping(ctx context.Context, building record.ID, in AlarmInput) (Alarm, error) {
	return Alarm{}, errBody
}
func (d *Desk) OpenAlarms(ctx context.Context, building record.ID) ([]Alarm, error) {
	return nil, errBody
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
func (d *Desk) PhoneView(ctx context.Context, c Caller, building record.ID) (replica.View, replica.Admit, error) {
	return replica.View{}, nil, errBody
}
func (d *Desk) Changes(ctx context.Context, c Caller, building record.ID, after uint64) (Changes, error) {
	return Changes{}, errBody
}
func (d *Desk) Position(ctx context.Context, building record.ID) (uint64, error) { return 0, errBody }
func (d *Desk) Watch(building record.ID) (moved <-chan struct{}, stop func()) {
	return d.node.Store.Watch(building)
}

type conflictIndex struct{}
