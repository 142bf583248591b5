package desk

import (
	"context"
	"fmt"
	"slices"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

func buildingKey(building record.ID) record.Key {
	return record.Key{Building: building, Kind: "building", ID: building}
}

func memberKey(building, person record.ID) record.Key {
	return record.Key{Building: building, Kind: "membership", ID: schema.MembershipID(building, person)}
}

func key(building record.ID, kind string, id record.ID) record.Key {
	return record.Key{Building: building, Kind: kind, ID: id}
}

// notFound is the one answer for what is not there and for what the caller may not see.
func notFound(kind string) error { return problem.New(problem.NotFound, "%s", kind) }

// Viewer reads what the caller may do in a building. It returns not_found for a building
// that they may not see.
func (d *Desk) Viewer(ctx context.Context, c Caller, building record.ID) (schema.Viewer, error) {
	v, _, err := d.open(ctx, c, building)
	return v, err
}

// found is what open read.
type found map[record.Key]replica.Stored

func (f found) item(k record.Key) item {
	s := f[k]
	return item{key: k, record: s.Record, position: s.Position}
}

// open resolves the caller's rights and reads records, in one snapshot.
func (d *Desk) open(ctx context.Context, c Caller, building record.ID, keys ...record.Key) (schema.Viewer, found, error) {
	if c.Person.IsZero() {
		return schema.Viewer{}, nil, problem.New(problem.Unauthenticated, "")
	}
	own := []record.Key{buildingKey(building), memberKey(building, c.Person)}
	have, err := d.load(ctx, building, append(own, keys...)...)
	if err != nil {
		return schema.Viewer{}, nil, err
	}
	v, err := d.viewer(c, building, have[own[0]].Record, have[own[1]].Record)
	return v, have, err
}

// load reads records of one building, whoever asks.
func (d *Desk) load(ctx context.Context, building record.ID, keys ...record.Key) (found, error) {
	slices.SortFunc(keys, record.Key.Compare)
	have, err := d.node.Store.Load(ctx, building, replica.Need{Keys: slices.Compact(keys)})
	if err != nil {
		return nil, translate(fmt.Errorf("load records: %w", err))
	}
	return have.Records, nil
}

// viewer decides on rights from the building's and the membership's records.
func (d *Desk) viewer(c Caller, building record.ID, b, m record.Record) (schema.Viewer, error) {
	v := schema.Viewer{Person: c.Person, Building: building}
	if len(b.Fields) > 0 && c.Admin && d.node.Tier == record.TierCloud {
		v.Role, v.Active = schema.Admin, true
		return v, nil
	}
	f := fields{table: d.table, kind: "membership", r: m}
	v.Role, v.Units, v.Active = schema.Role(f.text("role")), f.ids("units"), f.bool("active")
	if len(b.Fields) == 0 || !v.Active || f.id("person") != c.Person || !slices.Contains(schema.Roles(), v.Role) {
		return schema.Viewer{}, notFound("building")
	}
	return v, nil
}

// mayList refuses kinds of which the role reads nothing at all.
func (d *Desk) mayList(v schema.Viewer, kind string) error {
	k, ok := d.table.Lookup(kind)
	if !ok || k.Secret || k.Readers[v.Role] == schema.Nothing {
		return problem.New(problem.Forbidden, "%s", kind)
	}
	return nil
}

// isStaff reports whether a role works for the building.
func isStaff(r schema.Role) bool {
	return r == schema.Technician || r == schema.Manager || r == schema.Admin
}

// isManager reports whether a role manages the building.
func isManager(r schema.Role) bool { return r == schema.Manager || r == schema.Admin }

// scope is the restriction of a tenant's lists; nil for staff.
func scope(v schema.Viewer) *TenantScope {
	if isStaff(v.Role) {
		return nil
	}
	return &TenantScope{Person: v.Person, Units: v.Units}
}

// PhoneView is the caller's view of a building and the rule by which their phone's
// transactions are admitted.
func (d *Desk) PhoneView(ctx context.Context, c Caller, building record.ID) (replica.View, replica.Admit, error) {
	v, err := d.Viewer(ctx, c, building)
	if problem.HasCode(err, problem.NotFound) {
		v, err = d.formerViewer(ctx, c, building)
	}
	if err != nil {
		return replica.View{}, nil, err
	}
	may := func(k record.Key, r, parent record.Record) bool { return d.table.MayRead(v, k, r, parent) }
	view := replica.View{Hash: v.ViewHash(), May: may}
	if v.Role == schema.Tenant {
		view.Children = d.childrenOf
	}
	return view, d.table.Admit(v), nil
}

// formerViewer is what is left to somebody whose membership ended: they see nothing, and
// what their app still brings is refused by name and kept, for a manager to decide. Whoever
// was never a member learns nothing of the building.
func (d *Desk) formerViewer(ctx context.Context, c Caller, building record.ID) (schema.Viewer, error) {
	own := memberKey(building, c.Person)
	have, err := d.load(ctx, building, buildingKey(building), own)
	if err != nil {
		return schema.Viewer{}, err
	}
	m := d.fields(have.item(own))
	role := schema.Role(m.text("role"))
	if len(have[buildingKey(building)].Record.Fields) == 0 || m.id("person") != c.Person || !slices.Contains(schema.Roles(), role) {
		return schema.Viewer{}, notFound("building")
	}
	return schema.Viewer{Person: c.Person, Building: building, Role: role}, nil
}

// childrenMax bounds what comes along with one ticket that moved into a view.
const childrenMax = 1000

// childrenOf lists what hangs on tickets and is read by whoever reads them.
func (d *Desk) childrenOf(ctx context.Context, parents []record.Key) ([]replica.FeedItem, error) {
	var out []replica.FeedItem
	for _, p := range parents {
		if p.Kind != "ticket" {
			continue
		}
		for _, shape := range []string{shapeMessages, shapeMedia} {
			found, err := d.query.Select(ctx, Selection{Shape: shape, Building: p.Building, Lead: record.IDValue(p.ID), Limit: childrenMax})
			if err != nil {
				return nil, err
			}
			for _, row := range found.Rows {
				out = append(out, replica.FeedItem{Position: row.Position, Key: row.Key, Body: row.Body})
			}
		}
	}
	return out, nil
}
