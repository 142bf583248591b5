package schema_test

import (
	"slices"
	"strings"
	"testing"

	"estate/schema"
	"estate/sync/record"
)

// Each column is one role on a ticket that it may see: a new one, one that it did not
// report and that has no value in the field, and one that has.
const ticketFields = `
field        tenant  technician manager admin
code         + F F   + + F      + + F   + + F
title        + F F   + + +      + + +   + + +
description  + F F   + + +      + + +   + + +
status       + + +   + + +      + + +   + + +
priority     F F F   + + +      + + +   + + +
ai_priority  F F F   F F F      F F F   F F F
category     + F F   + + +      + + +   + + +
unit         + F F   + + +      + + +   + + +
reporter     + F F   + + F      + + F   + + F
assignee     F F F   + + +      + + +   + + +
device       F F F   + + F      + + F   + + F
asset        F F F   + + +      + + +   + + +
alarm        F F F   + + F      + + F   + + F
tags         F F F   + + +      + + +   + + +
reported_at  + F F   + + F      + + F   + + F
started_at   F F F   + + +      + + +   + + +
resolved_at  F F F   + + +      + + +   + + +
resolution   F F F   + + +      + + +   + + +
external_ref F F F   + + F      + + F   + + F
reports      + + +   + + +      + + +   + + +
deleted      F F F   F F F      + + +   + + +
`

func valueFor(f schema.Field) record.Value {
	switch f.Type {
	case schema.Enum:
		return record.Text(f.Values[0])
	case schema.Time, schema.Int, schema.Float:
		return record.Int(1_700_000_000_000)
	case schema.Bool:
		return record.Bool(true)
	case schema.ID:
		if f.Name == "unit" {
			return record.IDValue(flat)
		}
		return record.IDValue(tess)
	case schema.Digest, schema.Blob:
		return record.Bytes(make([]byte, 32))
	case schema.Text:
	}
	return record.Text("x")
}

// TestTicketFieldMatrix: roles × fields of a ticket × new, empty, set (SPEC R7).
func TestTicketFieldMatrix(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	ticket, _ := table.Lookup("ticket")
	lines := strings.Split(strings.TrimSpace(ticketFields), "\n")[1:]
	if len(lines) != len(ticket.Fields) {
		t.Errorf("the matrix has %d fields, the ticket %d", len(lines), len(ticket.Fields))
	}
	for _, line := range lines {
		cells := strings.Fields(line)
		f, ok := ticket.Field(cells[0])
		if !ok || len(cells) != 13 {
			t.Fatalf("row %q", line)
		}
		value := valueFor(f)
		seen := rec("reports", tess, "tags", "wet") // what makes it visible, whatever the field under test
		for i, role := range schema.Roles() {
			for j, current := range []record.Record{{}, seen, seen.With(f.Name, rec(f.Name, value).Siblings(f.Name))} {
				k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
				got := table.MayWrite(viewer(role), k, f.Name, []record.Value{value}, current, record.Record{})
				if want := codeOf[cells[1+3*i+j]]; got != want {
					t.Errorf("%s of a %s, ticket %d: %q, want %q", f.Name, role, j, got, want)
				}
			}
		}
	}
}

// TestStatusOfRoles: each role's moves, and no clearing by who is held to some.
func TestStatusOfRoles(t *testing.T) {
	t.Parallel()
	table := schema.Default()
	k := record.Key{Building: home, Kind: "ticket", ID: record.ID{1}}
	current := rec("unit", flat, "reporter", tess, "status", "resolved")
	for role, allowed := range map[schema.Role]string{
		schema.Tenant:     "new cancelled",
		schema.Technician: "new triaged assigned in_progress waiting resolved",
		schema.Manager:    strings.Join(schema.TicketStates(), " "),
		schema.Admin:      strings.Join(schema.TicketStates(), " "),
	} {
		for _, status := range schema.TicketStates() {
			want := codeOf["F"]
			if slices.Contains(strings.Fields(allowed), status) {
				want = ""
			}
			if got := table.MayWrite(viewer(role), k, "status", []record.Value{record.Text(status)}, current, record.Record{}); got != want {
				t.Errorf("%s writes %s: %q, want %q", role, status, got, want)
			}
		}
		cleared := table.MayWrite(viewer(role), k, "status", nil, current, record.Record{})
		if narrowed := role == schema.Tenant || role == schema.Technician; (cleared == "") == narrowed {
			t.Errorf("%s clears the status: %q", role, cleared)
		}
	}
}
