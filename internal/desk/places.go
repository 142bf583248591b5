package desk

import (
	"time"

	"estate/sync/record"
)

// Building is a building as a caller may see it, with the caller's role in it.
type Building struct {
	ID                record.ID   `json:"id"`
	Name              string      `json:"name"`
	Code              string      `json:"code"`
	Address           string      `json:"address,omitempty"`
	TimeZone          string      `json:"time_zone,omitempty"`
	KeepPhotoLocation bool        `json:"keep_photo_location,omitempty"`
	Role              string      `json:"role"`
	Units             []record.ID `json:"units,omitempty"`
}

// NewBuilding is a building to create at the cloud.
type NewBuilding struct {
	ID             record.ID // UUIDv7 of the client's, or none
	IdempotencyKey string
	Name           string
	Code           string // 2 to 8 capitals or digits, such as OAK
	Address        string
	TimeZone       string
}

// Unit is a flat, shop or common area.
type Unit struct {
	ID        record.ID `json:"id"`
	Name      string    `json:"name"`
	Floor     string    `json:"floor,omitempty"`
	Conflicts []string  `json:"conflicts,omitempty"`
	Seen      string    `json:"seen"`
}

// NewUnit is a unit to create.
type NewUnit struct {
	ID             record.ID
	IdempotencyKey string
	Name           string
	Floor          string
}

// UnitChange changes a unit; nil fields stay.
type UnitChange struct {
	Seen    string
	Name    *string
	Floor   *string
	Deleted *bool
}

// Device is a sensor or actuator. It counts for alarms once it is adopted.
type Device struct {
	ID           record.ID `json:"id"`
	Hardware     string    `json:"hardware"`
	Name         string    `json:"name,omitempty"`
	Model        string    `json:"model,omitempty"`
	Unit         record.ID `json:"unit,omitempty,omitzero"`
	UnitName     string    `json:"unit_name,omitempty"`
	Adopted      bool      `json:"adopted"`
	Availability string    `json:"availability,omitempty"`
	Battery      *float64  `json:"battery,omitempty"`
	// HeardAt is when it last measured something. A pushed change leaves it out.
	HeardAt   *time.Time `json:"heard_at,omitempty"`
	Conflicts []string   `json:"conflicts,omitempty"`
	// SuggestedUnit is where a device that nobody adopted seems to be, by its name.
	SuggestedUnit     record.ID `json:"suggested_unit,omitempty,omitzero"`
	SuggestedUnitName string    `json:"suggested_unit_name,omitempty"`
	Seen              string    `json:"seen"`
}

// DeviceFilter restricts a list of devices.
type DeviceFilter struct {
	Unit     record.ID
	Hardware string
	Adopted  *bool
}

// DeviceChange changes a device; nil fields stay.
type DeviceChange struct {
	Seen    string
	Name    *string
	Model   *string
	Unit    *record.ID
	Adopted *bool
	Deleted *bool
}

// NewDevice is a device that a manager enters before it was ever heard.
type NewDevice struct {
	Hardware string
	Name     string
	Model    string
	Unit     record.ID
}

// DeviceStatus is what a device or its gateway says of itself.
type DeviceStatus struct {
	Availability string // "online", "offline" or empty
	Battery      *float64
}

// Alarm is one occurrence of a dangerous state.
type Alarm struct {
	ID         record.ID  `json:"id"`
	Device     record.ID  `json:"device"`
	Hardware   string     `json:"hardware,omitempty"`
	DeviceName string     `json:"device_name,omitempty"`
	Cause      string     `json:"cause"`
	State      string     `json:"state"`
	Unit       record.ID  `json:"unit,omitempty,omitzero"`
	UnitName   string     `json:"unit_name,omitempty"`
	RaisedAt   *time.Time `json:"raised_at,omitempty"`
	ClearedAt  *time.Time `json:"cleared_at,omitempty"`
	Flapping   bool       `json:"flapping,omitempty"`
	Ticket     record.ID  `json:"ticket,omitempty,omitzero"`
	Detail     string     `json:"detail,omitempty"`
	Seen       string     `json:"seen"`
}

// AlarmFilter restricts a list of alarms.
type AlarmFilter struct {
	State  []string
	Unit   record.ID
	Device record.ID
	Ticket record.ID
}

// AlarmInput is a dangerous state that automation saw. Hardware, Cause and Onset identify
// it: seen again, or by two automations, it is the same alarm.
type AlarmInput struct {
	Hardware string
	Cause    string
	Onset    time.Time
	Value    string
	Detail   string
	Flapping bool
	// Title, Priority and Category are those of the ticket; what the cause usually means
	// where they are empty.
	Title, Priority, Category string
	// Quiet says that the alarm opens no ticket.
	Quiet bool
	// Storm is when the storm of alarms of this cause began that this one belongs to: they
	// share one ticket. Zero for an alarm of its own.
	Storm time.Time
}

// AlarmEnd is the end of a dangerous state.
type AlarmEnd struct {
	Hardware string
	Cause    string
	Onset    time.Time
	At       time.Time
	Detail   string
}
