package schema

import (
	"estate/sync/merge"
)

// Name lengths and text lengths, in characters. They are generous for people and small
// enough that a record stays near a kilobyte.
const (
	nameMax  = 200
	lineMax  = 500
	proseMax = 8000
	emailMax = 254
	codeMax  = 32
)

var (
	staff    = []Role{Technician, Manager, Admin}
	managers = []Role{Manager, Admin}
	everyone = []Role{Tenant, Technician, Manager, Admin}
	programs = []Role{Automation}

	latest      = merge.Policy{Kind: merge.Latest}
	personFirst = merge.Policy{Kind: merge.Latest, PersonFirst: true}
	earliest    = merge.Policy{Kind: merge.Min}
	anySet      = merge.Policy{Kind: merge.Set}
	// An edit made without knowledge of a deletion wins over it: nothing that anyone
	// saved disappears under a delete that had not seen it.
	keep = merge.Policy{Kind: merge.Furthest, Order: []string{"true", "false"}}
	// Work done beats cancelled; closing beats working.
	ticketStates = merge.Policy{Kind: merge.Furthest, PersonFirst: true,
		Order: []string{"new", "triaged", "assigned", "cancelled", "waiting", "in_progress", "resolved", "closed"}}
	alarmStates = merge.Policy{Kind: merge.Furthest, Order: []string{"active", "acknowledged", "cleared"}}
	// What a device answered beats whatever was thought of it meanwhile.
	actionStates = merge.Policy{Kind: merge.Furthest, Order: []string{"asked", "sent", "expired", "refused", "failed", "answered"}}
)

// TicketStates and the other lists of values are what enums accept.
func TicketStates() []string {
	return []string{"new", "triaged", "assigned", "in_progress", "waiting", "resolved", "closed", "cancelled"}
}

// Priorities lists ticket priorities from the least to the most urgent.
func Priorities() []string { return []string{"low", "normal", "high", "urgent"} }

// Categories lists ticket categories.
func Categories() []string {
	return []string{"plumbing", "electrical", "heating", "lift", "appliance", "structure", "pest", "security", "cleaning", "other"}
}

// AssetCategories lists what the equipment of a building is.
func AssetCategories() []string {
	return []string{"lift", "boiler", "heat_pump", "pump", "ventilation", "air_conditioning", "water_heater", "tank", "electrical_panel", "generator",
		"solar", "charger", "fire_protection", "access", "door", "appliance", "other"}
}

func with(roles []Role, more ...Role) []Role {
	return append(append([]Role{}, roles...), more...)
}

func everywhere(s Scope, roles ...Role) map[Role]Scope {
	m := map[Role]Scope{}
	for _, r := range roles {
		m[r] = s
	}
	return m
}

func readers(tenant Scope) map[Role]Scope {
	m := everywhere(All, staff...)
	m[Tenant] = tenant
	return m
}

func deleted(writers []Role) Field {
	return Field{Name: "deleted", Type: Bool, Doc: "hidden from lists; never removed", Policy: keep, Writers: writers}
}

// Kinds is the table of kinds of this release, in the order in which screens list them.
func Kinds() []Kind {
	return []Kind{buildingKind(), unitKind(), membershipKind(), credentialKind(), nodeKind(), ticketKind(),
		messageKind(), noteKind(), mediaKind(), assetKind(), deviceKind(), controlKind(), actionKind(), ruleKind(), alarmKind(), settingKind(), auditKind()}
}

func buildingKind() Kind {
	return Kind{Name: "building", Doc: "a building; its record id is the building's id", Readers: readers(All), Fields: []Field{
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: []Role{Admin}, Indexed: true},
		{Name: "code", Type: Text, Max: codeMax, Policy: latest, Creators: []Role{Admin}, Doc: "short code in topics and ticket codes", Indexed: true},
		{Name: "address", Type: Text, Max: lineMax, Policy: latest, Writers: []Role{Admin}},
		{Name: "time_zone", Type: Text, Max: 64, Policy: latest, Writers: []Role{Admin}},
		{Name: "keep_photo_location", Type: Bool, Policy: latest, Writers: []Role{Admin}, Doc: "photos keep their GPS position"},
	}}
}

func unitKind() Kind {
	return Kind{Name: "unit", Doc: "a flat, shop or common area", Readers: readers(Unit), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: managers, Indexed: true},
		{Name: "floor", Type: Text, Max: codeMax, Policy: latest, Writers: managers},
		deleted(managers),
	}}
}

func membershipKind() Kind {
	return Kind{Name: "membership", Doc: "a person's role in this building; its record id is derived from the person", Readers: map[Role]Scope{Tenant: Own, Technician: All, Manager: All, Admin: All}, Fields: []Field{
		{Name: "person", Type: ID, Policy: latest, Creators: []Role{Admin, Manager, Automation}, Indexed: true},
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: []Role{Admin, Manager, Automation}},
		{Name: "email", Type: Text, Max: emailMax, Policy: latest, Writers: []Role{Admin, Manager, Automation}, Indexed: true},
		{Name: "role", Type: Enum, Values: []string{"tenant", "technician", "manager", "admin"}, Policy: latest, Writers: []Role{Admin, Automation}},
		{Name: "units", Type: ID, Policy: anySet, Writers: []Role{Admin, Manager, Automation}},
		{Name: "active", Type: Bool, Policy: latest, Writers: []Role{Admin, Manager, Automation}},
	}}
}

func credentialKind() Kind {
	return Kind{Name: "credential", Doc: "what an edge needs to sign a person in without internet", Secret: true, Fields: []Field{
		{Name: "person", Type: ID, Policy: latest, Creators: programs, Indexed: true},
		{Name: "email", Type: Text, Max: emailMax, Policy: latest, Writers: programs, Indexed: true},
		{Name: "password_hash", Type: Text, Max: lineMax, Policy: latest, Writers: programs},
		{Name: "disabled", Type: Bool, Policy: latest, Writers: programs},
	}}
}

func nodeKind() Kind {
	return Kind{Name: "node", Doc: "an edge or an installed app that may write; its record id is the node's id", Secret: true, EdgeWrites: true, Fields: []Field{
		{Name: "tier", Type: Enum, Values: []string{"edge", "phone"}, Policy: latest, Creators: programs},
		{Name: "public_key", Type: Blob, Max: 32, Policy: latest, Creators: programs},
		{Name: "person", Type: ID, Policy: latest, Creators: programs, Indexed: true},
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: programs},
		{Name: "revoked", Type: Bool, Policy: merge.Policy{Kind: merge.Furthest, Order: []string{"false", "true"}}, Writers: programs},
	}}
}

func ticketKind() Kind {
	status := map[Role][]string{
		Tenant:     {"new", "cancelled"},
		Technician: {"new", "triaged", "assigned", "in_progress", "waiting", "resolved"},
		Automation: {"new", "triaged", "assigned", "closed"},
	}
	return Kind{Name: "ticket", Doc: "a work order", Readers: readers(Unit), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "code", Type: Text, Max: codeMax, Policy: latest, Creators: with(everyone, Automation), Doc: "short code for people, such as OAK-7F3K", Indexed: true},
		{Name: "title", Type: Text, Max: nameMax, Policy: personFirst, Writers: with(staff, Automation), Creators: []Role{Tenant}},
		{Name: "description", Type: Text, Max: proseMax, Policy: personFirst, Writers: with(staff, Automation), Creators: []Role{Tenant}},
		{Name: "status", Type: Enum, Values: TicketStates(), Policy: ticketStates, Writers: with(everyone, Automation), ValuesOf: status},
		{Name: "priority", Type: Enum, Values: Priorities(), Policy: personFirst, Writers: with(staff, Automation)},
		{Name: "ai_priority", Type: Enum, Values: Priorities(), Policy: latest, Writers: programs, Doc: "what automation proposes"},
		{Name: "category", Type: Enum, Values: Categories(), Policy: personFirst, Writers: with(staff, Automation), Creators: []Role{Tenant}},
		{Name: "unit", Type: ID, Policy: personFirst, Writers: with(staff, Automation), Creators: []Role{Tenant}, Indexed: true},
		{Name: "reporter", Type: ID, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "assignee", Type: ID, Policy: personFirst, Writers: with(staff, Automation), Indexed: true},
		{Name: "device", Type: ID, Policy: latest, Creators: with(staff, Automation), Indexed: true},
		{Name: "asset", Type: ID, Policy: personFirst, Writers: with(staff, Automation), Doc: "the equipment that it is about", Indexed: true},
		{Name: "alarm", Type: ID, Policy: latest, Creators: with(staff, Automation), Indexed: true},
		{Name: "tags", Type: Text, Max: codeMax, Policy: anySet, Writers: staff},
		{Name: "reported_at", Type: Time, Policy: earliest, Creators: with(everyone, Automation)},
		{Name: "started_at", Type: Time, Policy: earliest, Writers: staff},
		{Name: "resolved_at", Type: Time, Policy: latest, Writers: staff},
		{Name: "resolution", Type: Text, Max: proseMax, Policy: latest, Writers: staff},
		{Name: "external_ref", Type: Text, Max: nameMax, Policy: latest, Creators: with(staff, Automation), Doc: "id in the system that it was imported from", Indexed: true},
		{Name: "reports", Type: ID, Policy: anySet, Writers: with(everyone, Automation), Doc: "persons who reported the same thing"},
		deleted(managers),
	}}
}

func messageKind() Kind {
	return Kind{Name: "message", Doc: "what people say on a ticket; everyone on the ticket reads it", Readers: readers(Parent), EdgeWrites: true, Immutable: true, Fields: []Field{
		{Name: "ticket", Type: ID, Policy: latest, Creators: with(everyone, Automation), Indexed: true},
		{Name: "person", Type: ID, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "text", Type: Text, Max: proseMax, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "sent_at", Type: Time, Policy: latest, Creators: with(everyone, Automation)},
	}}
}

func noteKind() Kind {
	return Kind{Name: "note", Doc: "an internal note on a ticket, for staff only", Readers: readers(Nothing), EdgeWrites: true, Immutable: true, Fields: []Field{
		{Name: "ticket", Type: ID, Policy: latest, Creators: with(staff, Automation), Indexed: true},
		{Name: "person", Type: ID, Policy: latest, Creators: with(staff, Automation)},
		{Name: "text", Type: Text, Max: proseMax, Policy: latest, Creators: with(staff, Automation)},
		{Name: "sent_at", Type: Time, Policy: latest, Creators: with(staff, Automation)},
	}}
}

func mediaKind() Kind {
	return Kind{Name: "media", Doc: "a photo, video or voice note; the blob travels on its own lane", Readers: readers(Parent), EdgeWrites: true, Immutable: true, Fields: []Field{
		{Name: "ticket", Type: ID, Policy: latest, Creators: with(everyone, Automation), Indexed: true},
		{Name: "person", Type: ID, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "content_type", Type: Text, Max: 100, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "size", Type: Int, Policy: latest, Creators: with(everyone, Automation)},
		{Name: "digest", Type: Digest, Policy: latest, Creators: with(everyone, Automation), Doc: "SHA-256 that names the blob", Indexed: true},
		{Name: "thumbnail", Type: Digest, Policy: latest, Creators: with(everyone, Automation), Indexed: true},
		{Name: "taken_at", Type: Time, Policy: latest, Creators: with(everyone, Automation)},
	}}
}

func assetKind() Kind {
	return Kind{Name: "asset", Doc: "equipment that is looked after: a lift, a boiler, a pump", Readers: readers(Unit), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: staff, Indexed: true},
		{Name: "category", Type: Enum, Values: AssetCategories(), Policy: latest, Writers: staff},
		{Name: "unit", Type: ID, Policy: latest, Writers: staff, Doc: "where it stands; none for what is the whole building's", Indexed: true},
		{Name: "manufacturer", Type: Text, Max: nameMax, Policy: latest, Writers: staff},
		{Name: "model", Type: Text, Max: nameMax, Policy: latest, Writers: staff},
		{Name: "serial", Type: Text, Max: nameMax, Policy: latest, Writers: staff, Doc: "the manufacturer's serial number"},
		deleted(managers),
	}}
}

func deviceKind() Kind {
	return Kind{Name: "device", Doc: "a sensor or actuator", Readers: readers(Nothing), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "hardware", Type: Text, Max: nameMax, Policy: latest, Creators: with(managers, Automation), Doc: "hardware id, whatever the device is called", Indexed: true},
		{Name: "name", Type: Text, Max: nameMax, Policy: personFirst, Writers: with(staff, Automation)},
		{Name: "model", Type: Text, Max: nameMax, Policy: latest, Writers: with(staff, Automation)},
		{Name: "unit", Type: ID, Policy: personFirst, Writers: with(staff, Automation), Indexed: true},
		{Name: "asset", Type: ID, Policy: personFirst, Writers: with(staff, Automation), Doc: "the equipment that it watches or moves", Indexed: true},
		{Name: "adopted", Type: Bool, Policy: personFirst, Writers: with(staff, Automation)},
		{Name: "availability", Type: Enum, Values: []string{"online", "offline"}, Policy: latest, Writers: programs},
		{Name: "battery", Type: Float, Policy: latest, Writers: programs},
		deleted(managers),
	}}
}

func controlKind() Kind {
	return Kind{Name: "control", Doc: "one thing that a device can be told, with the state that it says it is in", Readers: readers(Nothing), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "device", Type: ID, Policy: latest, Creators: programs, Indexed: true},
		{Name: "control", Type: Text, Max: nameMax, Policy: latest, Creators: programs, Doc: "the device's own word for it, the key of its readings"},
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Writers: programs},
		{Name: "sort", Type: Text, Max: 64, Policy: latest, Writers: programs, Doc: "what it is: switched, valve, cover, lock, setpoint, position, mode"},
		{Name: "accepts", Type: Text, Max: proseMax, Policy: latest, Writers: programs, Doc: "the values that it takes, as JSON: {\"values\":[…]} or {\"min\":…,\"max\":…}"},
		{Name: "state", Type: Text, Max: lineMax, Policy: latest, Writers: programs},
		{Name: "state_at", Type: Time, Policy: latest, Writers: programs, Doc: "when the device last confirmed it"},
		{Name: "expires", Type: Int, Policy: latest, Writers: programs, Doc: "for how many seconds after that it is believed"},
		deleted(programs),
	}}
}

// actionKind is written by servers alone: a phone's transaction is older than what its author
// was shown when it arrives, and an order must not be.
func actionKind() Kind {
	states := []string{"asked", "sent", "answered", "failed", "expired", "refused"}
	allowed := map[Role][]string{Technician: {"asked"}, Manager: {"asked"}, Admin: {"asked"}, Automation: states[1:]}
	return Kind{Name: "action", Doc: "an order to a device, and what became of it", Readers: readers(Nothing), EdgeWrites: true, ServerOnly: true, Fields: []Field{
		{Name: "device", Type: ID, Policy: latest, Creators: staff, Indexed: true},
		{Name: "control", Type: Text, Max: nameMax, Policy: latest, Creators: staff},
		{Name: "value", Type: Text, Max: lineMax, Policy: latest, Creators: staff, Doc: "the state that is wanted"},
		{Name: "seen", Type: Text, Max: lineMax, Policy: latest, Creators: staff, Doc: "the state that the author was shown"},
		{Name: "dangers", Type: Text, Max: 64, Policy: anySet, Creators: staff, Doc: "what the author was warned of"},
		{Name: "asked_by", Type: ID, Policy: latest, Creators: staff},
		{Name: "asked_at", Type: Time, Policy: earliest, Creators: staff},
		{Name: "expires_at", Type: Time, Policy: earliest, Creators: staff, Doc: "not sent to the device after this"},
		{Name: "state", Type: Enum, Values: states, Policy: actionStates, Creators: staff, Writers: programs, ValuesOf: allowed, Indexed: true},
		{Name: "sent_at", Type: Time, Policy: latest, Writers: programs},
		{Name: "answered_at", Type: Time, Policy: latest, Writers: programs},
		{Name: "answer", Type: Text, Max: lineMax, Policy: latest, Writers: programs, Doc: "what the device said"},
		{Name: "reason", Type: Text, Max: 64, Policy: latest, Writers: programs, Doc: "code of why it was not done"},
	}}
}

func ruleKind() Kind {
	return Kind{Name: "rule", Doc: "a rule about devices, made here or changed from what is shipped", Readers: readers(Nothing), EdgeWrites: true, Deletable: true, Fields: []Field{
		{Name: "rule", Type: Text, Max: nameMax, Policy: latest, Creators: managers, Doc: "the rule's id, which its record's id is derived from"},
		{Name: "definition", Type: Text, Max: proseMax, Policy: latest, Writers: managers, Doc: "the rule as JSON, of package rules"},
		deleted(managers),
	}}
}

func alarmKind() Kind {
	return Kind{Name: "alarm", Doc: "one occurrence of a dangerous state", Readers: readers(Unit), EdgeWrites: true, Fields: []Field{
		{Name: "device", Type: ID, Policy: latest, Creators: programs, Indexed: true},
		{Name: "cause", Type: Text, Max: 64, Policy: latest, Creators: programs, Doc: "what the rule calls it: leak, smoke, no_heat, …"},
		{Name: "unit", Type: ID, Policy: latest, Creators: programs, Indexed: true},
		{Name: "asset", Type: ID, Policy: latest, Creators: programs, Doc: "what the device watched when it was raised", Indexed: true},
		{Name: "state", Type: Enum, Values: []string{"active", "acknowledged", "cleared"}, Policy: alarmStates, Writers: with(staff, Automation), Indexed: true},
		{Name: "raised_at", Type: Time, Policy: earliest, Creators: programs},
		{Name: "cleared_at", Type: Time, Policy: latest, Writers: with(staff, Automation)},
		{Name: "flapping", Type: Bool, Policy: latest, Writers: programs},
		{Name: "ticket", Type: ID, Policy: latest, Writers: programs, Indexed: true},
		{Name: "detail", Type: Text, Max: lineMax, Policy: latest, Writers: programs},
	}}
}

func settingKind() Kind {
	return Kind{Name: "setting", Doc: "one setting of the building", Readers: readers(Nothing), EdgeWrites: true, Fields: []Field{
		{Name: "name", Type: Text, Max: nameMax, Policy: latest, Creators: with(managers, Automation), Indexed: true},
		{Name: "value", Type: Text, Max: proseMax, Policy: latest, Writers: with(managers, Automation)},
	}}
}

func auditKind() Kind {
	return Kind{Name: "audit_event", Doc: "one transaction in a replica's chain", Readers: everywhere(All, managers...), Chain: true}
}
