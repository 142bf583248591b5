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

// Asset is equipment of a building that is looked after: a lift, a boiler, a pump.
type Asset struct {
	ID           record.ID `json:"id"`
	Name         string    `json:"name"`
	Category     string    `json:"category,omitempty"`
	Unit         record.ID `json:"unit,omitempty,omitzero"`
	UnitName     string    `json:"unit_name,omitempty"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Model        string    `json:"model,omitempty"`
	Serial       string    `json:"serial,omitempty"`
	Conflicts    []string  `json:"conflicts,omitempty"`
	Seen         string    `json:"seen"`
}

// AssetFilter restricts a list of assets. Empty fields do not restrict.
type AssetFilter struct {
	Unit     record.ID
	Category []string
}

// NewAsset is an asset to enter.
type NewAsset struct {
	ID             record.ID // UUIDv7 of the client's, or none
	IdempotencyKey string
	Name           string
	Category       string // one of schema.AssetCategories, "other" where it is empty
	Unit           record.ID
	Manufacturer   string
	Model          string
	Serial         string
}

// AssetChange changes an asset; nil fields stay, an empty text clears.
type AssetChange struct {
	Seen         string
	Name         *string
	Category     *string
	Unit         *record.ID
	Manufacturer *string
	Model        *string
	Serial       *string
	Deleted      *bool
}

// Device is a sensor or actuator. It counts for alarms once it is adopted.
type Device struct {
	ID       record.ID `json:"id"`
	Hardware string    `json:"hardware"`
	Name     string    `json:"name,omitempty"`
	Model    string    `json:"model,omitempty"`
	Unit     record.ID `json:"unit,omitempty,omitzero"`
	UnitName string    `json:"unit_name,omitempty"`
	// Asset is the equipment that it watches or moves: its alarms are about that.
	Asset        record.ID `json:"asset,omitempty,omitzero"`
	AssetName    string    `json:"asset_name,omitempty"`
	Adopted      bool      `json:"adopted"`
	Availability string    `json:"availability,omitempty"`
	Battery      *float64  `json:"battery,omitempty"`
	// HeardAt is when it last measured something. A pushed change leaves it out.
	HeardAt   *time.Time `json:"heard_at,omitempty"`
	Conflicts []string   `json:"conflicts,omitempty"`
	// SuggestedUnit is where a device that nobody adopted seems to be, and SuggestedAsset what
	// it seems to watch, by its name.
	SuggestedUnit      record.ID `json:"suggested_unit,omitempty,omitzero"`
	SuggestedUnitName  string    `json:"suggested_unit_name,omitempty"`
	SuggestedAsset     record.ID `json:"suggested_asset,omitempty,omitzero"`
	SuggestedAssetName string    `json:"suggested_asset_name,omitempty"`
	Seen               string    `json:"seen"`
}

// DeviceFilter restricts a list of devices.
type DeviceFilter struct {
	Unit     record.ID
	Asset    record.ID
	Hardware string
	Adopted  *bool
}

// DeviceChange changes a device; nil fields stay.
type DeviceChange struct {
	Seen    string
	Name    *string
	Model   *string
	Unit    *record.ID
	Asset   *record.ID
	Adopted *bool
	Deleted *bool
}

// NewDevice is a device that a manager enters before it was ever heard.
type NewDevice struct {
	Hardware string
	Name     string
	Model    string
	Unit     record.ID
	Asset    record.ID
}

// Adoption says where a device that was heard is, what it watches and what people call it. An
// empty name and a nil id stay as they are; a zero id is none.
type Adoption struct {
	Name  string
	Unit  *record.ID
	Asset *record.ID
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
	Asset      record.ID  `json:"asset,omitempty,omitzero"`
	AssetName  string     `json:"asset_name,omitempty"`
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
	Asset  record.ID
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
