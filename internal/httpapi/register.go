package httpapi

import "github.com/danielgtaylor/huma/v2"

// The tags of operations.
const (
	tagSignIn    = "sign-in"
	tagBuildings = "buildings"
	tagTickets   = "tickets"
	tagDevices   = "devices"
	tagConflicts = "conflicts"
	tagAudit     = "audit"
	tagSync      = "sync"
	tagEdges     = "edges"
	tagAccounts  = "accounts"
)

func tags(role Role) []*huma.Tag {
	out := []*huma.Tag{
		{Name: tagSignIn, Description: "Tokens, and who is signed in"},
		{Name: tagBuildings, Description: "Buildings, their units and members"},
		{Name: tagTickets, Description: "Tickets with their messages, notes and files"},
		{Name: tagDevices, Description: "Devices, their readings and alarms, and orders to them"},
		{Name: tagConflicts, Description: "Fields that several people set to different values"},
		{Name: tagAudit, Description: "Who did what and when, and its proof"},
		{Name: tagSync, Description: "How far nodes are in step, and the push of changes"},
	}
	if role == Cloud {
		out = append(out, &huma.Tag{Name: tagEdges, Description: "The boxes in the buildings"},
			&huma.Tag{Name: tagAccounts, Description: "People and their roles in buildings"})
	}
	return out
}

// register adds every operation. The router tries one after the other: first comes what is
// asked most.
func (a *API) register() {
	a.registerTickets()
	a.registerMessages()
	a.registerMedia()
	a.registerDevices()
	a.registerActions()
	a.registerAlarms()
	a.registerRules()
	a.registerUnits()
	a.registerAssets()
	a.registerBuildings()
	a.registerSession()
	a.registerConflicts()
	a.registerAudit()
	a.registerSync()
	a.registerNodes()
	a.registerSocket()
	if a.cfg.Hearing != nil {
		a.registerHearing()
	}
	if a.cfg.Edges != nil {
		a.registerEdges()
	}
	if a.cfg.Accounts != nil {
		a.registerAccounts()
	}
}
