package desk

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// Member is a person in a building as staff see them.
type Member struct {
	Person record.ID   `json:"person"`
	Name   string      `json:"name"`
	Email  string      `json:"email,omitempty"`
	Role   string      `json:"role"`
	Units  []record.ID `json:"units,omitempty"`
	Active bool        `json:"active"`
	// PasswordHash and Disabled go into the credential record, to edges only.
	PasswordHash string `json:"-"`
	Disabled     bool   `json:"-"`
}

// Account is what sign-in at an edge needs of a person. It is never part of an answer.
type Account struct {
	Person       record.ID
	Email        string
	PasswordHash string
	Disabled     bool
}

// Node is an edge or an installed app that may write in a building.
type Node struct {
	ID        record.ID
	Tier      record.Tier // edge or phone
	PublicKey ed25519.PublicKey
	Person    record.ID // whose phone it is
	Name      string
	Revoked   bool
}

// Members lists the people of a building. A tenant sees only themselves.
func (d *Desk) Members(ctx context.Context, c Caller, building record.ID, p Page) (List[Member], error) {
	own := memberKey(building, c.Person)
	v, found, err := d.open(ctx, c, building, own)
	if err != nil {
		return List[Member]{}, err
	}
	if !isStaff(v.Role) {
		views, err := d.memberViews(ctx, []item{found.item(own)})
		return List[Member]{Items: views, Page: 1, PerPage: PerPageDefault, Total: len(views)}, err
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, record.Record{}) }
	return list(ctx, d, Selection{Shape: shapeMembers, Building: building}, p, keep, d.memberViews)
}

func (d *Desk) memberViews(_ context.Context, items []item) ([]Member, error) {
	out := make([]Member, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Member{Person: f.id("person"), Name: f.text("name"), Email: f.text("email"), Role: f.text("role"), Units: f.ids("units"), Active: f.bool("active")})
	}
	return out, nil
}

// accountsName is the actor of the job that projects accounts into buildings.
const accountsName = "accounts"

// ProjectMember brings a person's membership and credential records of a building in line
// with their account, in one transaction; nothing is written where nothing differs. A
// disabled account ends the membership too: at an edge, where nobody asks the accounts, a
// token from before is good until it expires and the membership alone says who has access.
func (d *Desk) ProjectMember(ctx context.Context, building record.ID, m Member) error {
	if m.Person.IsZero() || !slices.Contains(schema.Roles(), schema.Role(m.Role)) {
		return invalid("role", "a person and one of the roles are required")
	}
	mk, ck := memberKey(building, m.Person), key(building, "credential", schema.CredentialID(building, m.Person))
	return d.automate(ctx, building, accountsName, "member.project", []record.Key{mk, ck}, func(x *draft) error {
		for _, k := range []record.Key{mk, ck} {
			if x.fields(k).id("person").IsZero() {
				if err := x.setAll(k, idPair("person", m.Person)); err != nil {
					return err
				}
			}
		}
		err := x.replaceAll(mk, pair{"name", record.Text(m.Name)}, pair{"email", record.Text(m.Email)}, pair{"role", record.Text(m.Role)}, pair{"active", record.Bool(m.Active && !m.Disabled)})
		if err != nil {
			return err
		}
		if err := x.unitsOf(mk, m.Units); err != nil {
			return err
		}
		return x.replaceAll(ck, pair{"email", record.Text(m.Email)}, pair{"password_hash", record.Text(m.PasswordHash)}, pair{"disabled", record.Bool(m.Disabled)})
	})
}

// replaceAll writes fields that show something else than they should.
func (x *draft) replaceAll(k record.Key, values ...pair) error {
	for _, p := range values {
		if bytes.Equal(x.fields(k).value(p.field), p.value) && len(x.current.Record(k).Siblings(p.field)) == 1 {
			continue
		}
		if err := x.set(k, p.field, p.value); err != nil {
			return err
		}
	}
	return nil
}

func (x *draft) unitsOf(k record.Key, units []record.ID) error {
	have := x.fields(k).ids("units")
	var add, remove []record.Value
	for _, id := range units {
		if !slices.Contains(have, id) {
			add = append(add, record.IDValue(id))
		}
	}
	for _, id := range have {
		if !slices.Contains(units, id) {
			remove = append(remove, record.IDValue(id))
		}
	}
	return x.members(k, "units", add, remove)
}

// AccountByEmail reads what sign-in needs from the credential records of a building. It is
// for the sign-in of an edge and never part of an answer.
func (d *Desk) AccountByEmail(ctx context.Context, building record.ID, email string) (Account, error) {
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeCredentials, Building: building, Lead: record.Text(email), Limit: 2})
	if err != nil {
		return Account{}, err
	}
	for _, it := range items {
		// The projection may trail what two nodes wrote at once; the record decides.
		if a := d.account(it); a.Email == email {
			return a, nil
		}
	}
	return Account{}, notFound("account")
}

// AccountByID is AccountByEmail for a person whose id is known.
func (d *Desk) AccountByID(ctx context.Context, building, person record.ID) (Account, error) {
	k := key(building, "credential", schema.CredentialID(building, person))
	found, err := d.load(ctx, building, k)
	if err != nil {
		return Account{}, err
	}
	if !hasContent(found.item(k)) {
		return Account{}, notFound("account")
	}
	return d.account(found.item(k)), nil
}

func (d *Desk) account(it item) Account {
	f := d.fields(it)
	return Account{Person: f.id("person"), Email: f.text("email"), PasswordHash: f.text("password_hash"), Disabled: f.bool("disabled")}
}

// enrolName is the actor of what enrolment writes.
const enrolName = "enrolment"

// RegisterNode notes an edge or an installed app that may write in a building. Registered
// again with the same key it is the same node.
func (d *Desk) RegisterNode(ctx context.Context, building record.ID, n Node) error {
	if n.ID != record.NodeID(n.PublicKey) || n.Tier != record.TierEdge && n.Tier != record.TierPhone {
		return invalid("node", "the id is not the key's, or the tier is neither edge nor phone")
	}
	k := key(building, "node", n.ID)
	return d.automate(ctx, building, enrolName, "node.register", []record.Key{k}, func(x *draft) error {
		f := x.fields(k)
		if f.bytes("public_key") != nil {
			if f.id("person") != n.Person || f.text("tier") != n.Tier.String() {
				return problem.New(problem.Conflict, "this node is registered for somebody else")
			}
			return x.setAll(k, textPair("name", clip(n.Name, titleMax)))
		}
		return x.setAll(k, textPair("tier", n.Tier.String()), pair{"public_key", record.Bytes(n.PublicKey)}, idPair("person", n.Person), textPair("name", clip(n.Name, titleMax)))
	})
}

// RevokeNode notes that a node may no longer write.
func (d *Desk) RevokeNode(ctx context.Context, building, node record.ID) error {
	k := key(building, "node", node)
	return d.automate(ctx, building, enrolName, "node.revoke", []record.Key{k}, func(x *draft) error {
		if !hasContent(x.item(k)) {
			return notFound("node")
		}
		return x.set(k, "revoked", record.Bool(true))
	})
}

// NodeOf reads what a building knows of a node.
func (d *Desk) NodeOf(ctx context.Context, building, node record.ID) (Node, error) {
	k := key(building, "node", node)
	found, err := d.load(ctx, building, k)
	if err != nil {
		return Node{}, err
	}
	f := d.fields(found.item(k))
	n := Node{ID: node, Tier: record.TierEdge, PublicKey: f.bytes("public_key"), Person: f.id("person"), Name: f.text("name"), Revoked: f.bool("revoked")}
	if len(n.PublicKey) == 0 {
		return Node{}, notFound("node")
	}
	if f.text("tier") == record.TierPhone.String() {
		n.Tier = record.TierPhone
	}
	return n, nil
}
