// Package sim runs whole networks of the production replica code in one goroutine: a
// cloud, edges, phones with two paths, and every fault that the design names, all chosen
// by a seed. An oracle then asks whether anything was lost, diverged or waits for ever.
//
// It must stay deterministic in the seed: no clock, no goroutine, no order of a map. It
// must never be linked by what ships but the torture command.
package sim

import (
	"estate/sync/merge"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// Rules is a small table of kinds with one of everything that replication treats apart.
type Rules struct {
	// Old is the table of an earlier release: it knows neither the kind "survey" nor the
	// ticket's field "mood".
	Old bool
}

// The kinds and the fields of Rules.
const (
	Ticket     = "ticket"     // person and automation write it anywhere
	Message    = "message"    // written once, read by who reads its ticket
	Setting    = "setting"    // written at the cloud only
	Credential = "credential" // written at the cloud only, values stay out of the audit
	Survey     = "survey"     // of a later release
)

// Kind implements replica.Rules.
func (r Rules) Kind(kind string) (replica.KindRule, bool) {
	switch kind {
	case Ticket:
		return replica.KindRule{EdgeWrites: true, Deletable: true}, true
	case Message:
		return replica.KindRule{EdgeWrites: true, Immutable: true}, true
	case Setting:
		return replica.KindRule{}, true
	case Credential:
		return replica.KindRule{Secret: true}, true
	case Survey:
		return replica.KindRule{EdgeWrites: true}, !r.Old
	}
	return replica.KindRule{}, false
}

// Field implements replica.Rules.
func (r Rules) Field(kind, field string) (replica.FieldRule, bool) {
	policy, ok := map[string]merge.Policy{
		"ticket.status":   {Kind: merge.Furthest, Order: []string{"new", "assigned", "done"}},
		"ticket.title":    {Kind: merge.Latest},
		"ticket.note":     {Kind: merge.Latest},
		"ticket.priority": {Kind: merge.Latest, PersonFirst: true},
		"ticket.tags":     {Kind: merge.Set},
		"ticket.deleted":  {Kind: merge.Latest},
		"ticket.mood":     {Kind: merge.Latest},
		"message.text":    {Kind: merge.Latest},
		"message.ticket":  {Kind: merge.Latest},
		"setting.value":   {Kind: merge.Latest},
		"credential.hash": {Kind: merge.Latest},
		"survey.answer":   {Kind: merge.Latest},
	}[kind+"."+field]
	if _, known := r.Kind(kind); !known || r.Old && field == "mood" {
		return replica.FieldRule{}, false
	}
	return replica.FieldRule{Policy: policy}, ok
}

// Validate implements replica.Rules: everything is text but deleted and a message's ticket.
func (r Rules) Validate(kind, field string, value record.Value) string {
	if _, ok := r.Field(kind, field); !ok {
		return ""
	}
	ok := false
	switch field {
	case "deleted":
		_, ok = value.AsBool()
	case "ticket":
		_, ok = value.AsID()
	default:
		_, ok = value.AsText()
	}
	if !ok {
		return wire.CodeValueInvalid
	}
	return ""
}

// Parent implements replica.Rules.
func (r Rules) Parent(key record.Key, state record.Record) (record.Key, bool) {
	if key.Kind != Message {
		return record.Key{}, false
	}
	s := state.Siblings("ticket")
	if len(s) == 0 {
		return record.Key{}, false
	}
	id, ok := s[0].Value.AsID()
	return record.Key{Building: key.Building, Kind: Ticket, ID: id}, ok
}
