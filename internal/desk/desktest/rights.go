package desktest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"estate/internal/desk"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// testRights tries random changes by random people and compares what was stored with what
// the table of kinds gives their roles: independently of the code under test, from the
// records before and after.
func testRights(t *testing.T, open Opener) {
	w := populated(t, open)
	tickets := []desk.Ticket{
		w.ticket(w.ann, desk.NewTicket{Title: "Leak", Category: "plumbing", Unit: w.unitA}),
		w.ticket(w.bob, desk.NewTicket{Title: "Lamp", Category: "electrical", Unit: w.unitB}),
		w.ticket(w.tess, desk.NewTicket{Title: "Boiler", Category: "heating"}),
	}
	people := map[string]desk.Caller{"boss": w.boss, "tess": w.tess, "ann": w.ann, "bob": w.bob, "stranger": w.stranger, "root": w.root}
	roles := map[string]schema.Role{"boss": schema.Manager, "tess": schema.Technician, "ann": schema.Tenant, "bob": schema.Tenant, "root": schema.Admin}
	kind, _ := schema.Default().Lookup("ticket")
	wrote := map[schema.Role]int{}
	rapid.Check(t, func(r *rapid.T) {
		who := rapid.SampledFrom([]string{"boss", "tess", "ann", "bob", "stranger", "root"}).Draw(r, "who")
		target := rapid.SampledFrom(tickets).Draw(r, "ticket")
		k := record.Key{Building: w.home, Kind: "ticket", ID: target.ID}
		before := w.raw(t, k)
		_, err := w.UpdateTicket(ctx(), people[who], w.home, target.ID, randomChange(r, w))
		after := w.raw(t, k)
		if err != nil {
			if code := problem.From(err).Code; code == problem.Internal {
				r.Fatalf("internal error: %v", err)
			}
			if len(changed(before, after)) > 0 {
				r.Fatalf("%s was refused (%v) and yet wrote %q", who, err, changed(before, after))
			}
			return
		}
		for _, name := range changed(before, after) {
			wrote[roles[who]]++
			field, _ := kind.Field(name)
			if name == "deleted" {
				continue // the edit of a person says that the record is not deleted
			}
			first := slices.Contains(field.Creators, roles[who]) && len(before.Siblings(name)) == 0
			if !slices.Contains(field.Writers, roles[who]) && !first {
				r.Fatalf("%s (%s) wrote %s", who, roles[who], name)
			}
			for _, s := range after.Siblings(name) {
				text, _ := s.Value.AsText()
				isNew := !slices.ContainsFunc(before.Siblings(name), func(o record.Sibling) bool { return o.CompareIdentity(s) == 0 })
				if allowed := field.ValuesOf[roles[who]]; isNew && allowed != nil && !slices.Contains(allowed, text) {
					r.Fatalf("%s (%s) wrote %s = %q", who, roles[who], name, text)
				}
			}
		}
	})
	for _, role := range schema.Roles() {
		if wrote[role] == 0 {
			t.Logf("no random change of a %s was let through in this run", role)
		}
	}
	if wrote[schema.Manager]+wrote[schema.Admin]+wrote[schema.Technician] == 0 {
		t.Fatal("nothing was ever written: the test shows nothing")
	}
}

func randomChange(r *rapid.T, w *world) desk.TicketChange {
	var c desk.TicketChange
	maybe := func(name string, values ...string) *string {
		if !rapid.Bool().Draw(r, name+"?") {
			return nil
		}
		return ptr(rapid.SampledFrom(values).Draw(r, name))
	}
	c.Title, c.Description = maybe("title", "A", "B"), maybe("description", "", "C")
	c.Status, c.Priority = maybe("status", schema.TicketStates()...), maybe("priority", schema.Priorities()...)
	c.Category, c.Resolution = maybe("category", schema.Categories()...), maybe("resolution", "done")
	if rapid.Bool().Draw(r, "unit?") {
		c.Unit = ptr(rapid.SampledFrom([]record.ID{w.unitA, w.unitB, {}}).Draw(r, "unit"))
	}
	if rapid.Bool().Draw(r, "assignee?") {
		c.Assignee = ptr(rapid.SampledFrom([]record.ID{w.tess.Person, w.boss.Person, w.ann.Person, {}}).Draw(r, "assignee"))
	}
	if rapid.Bool().Draw(r, "tags?") {
		c.AddTags = []string{"wet"}
	}
	return c
}

// raw reads a record past all rights.
func (w *world) raw(t testing.TB, k record.Key) record.Record {
	return must(w.store.Load(ctx(), k.Building, replica.Need{Keys: []record.Key{k}}))(t).Records[k].Record
}

// changed names the fields whose siblings differ.
func changed(a, b record.Record) (out []string) {
	for _, f := range slices.Concat(a.Fields, b.Fields) {
		same := func(x, y record.Sibling) bool { return x.CompareIdentity(y) == 0 }
		if !slices.EqualFunc(a.Siblings(f.Name), b.Siblings(f.Name), same) && !slices.Contains(out, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}
