package cloud

import (
	"context"
	"time"

	"estate/cloud/internal/people"
	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
)

// accounts is the API's view of people. A change kicks the projection.
type accounts struct {
	people    *people.Store
	passwords *auth.Passwords
	service   func() *auth.Service
	kick      func()
	now       func() time.Time
}

var _ httpapi.AccountsPort = accounts{}

func accountView(a people.Account) httpapi.AccountView {
	return httpapi.AccountView{ID: a.ID, Name: a.Name, Email: a.Email, Operator: a.Admin, Disabled: a.Disabled}
}

// Accounts implements httpapi.AccountsPort.
func (a accounts) Accounts(ctx context.Context, query string, p desk.Page) (desk.List[httpapi.AccountView], error) {
	p.Page, p.PerPage = max(p.Page, 1), min(max(p.PerPage, 0), desk.PerPageMax)
	if p.PerPage == 0 {
		p.PerPage = desk.PerPageDefault
	}
	list, total, err := a.people.List(ctx, query, p.Cursor, (p.Page-1)*p.PerPage, p.PerPage)
	if err != nil {
		return desk.List[httpapi.AccountView]{}, err
	}
	out := desk.List[httpapi.AccountView]{Items: []httpapi.AccountView{}, Page: p.Page, PerPage: p.PerPage, Total: total}
	for _, x := range list {
		out.Items = append(out.Items, accountView(x))
	}
	if len(list) == p.PerPage {
		out.Next = list[len(list)-1].Email
	}
	return out, nil
}

// Account implements httpapi.AccountsPort.
func (a accounts) Account(ctx context.Context, person record.ID) (httpapi.AccountView, error) {
	x, err := a.people.Get(ctx, person)
	return accountView(x), err
}

// CreateAccount implements httpapi.AccountsPort.
func (a accounts) CreateAccount(ctx context.Context, in httpapi.NewAccount) (httpapi.AccountView, error) {
	email, err := auth.NormaliseEmail(in.Email)
	if err != nil {
		return httpapi.AccountView{}, err
	}
	if x, err := a.people.Get(ctx, in.ID); err == nil {
		if x.Email != email {
			return httpapi.AccountView{}, problem.New(problem.Conflict, "this request made another account before")
		}
		return accountView(x), nil
	}
	hash, err := a.hash(ctx, in.Password, email)
	if err != nil {
		return httpapi.AccountView{}, err
	}
	x := people.Account{ID: in.ID, Email: email, Name: in.Name, Admin: in.Operator, CreatedAt: a.now()}
	if err := a.people.Create(ctx, x, hash); err != nil {
		return httpapi.AccountView{}, err
	}
	return accountView(x), nil
}

// hash is empty for an empty password: the person cannot sign in yet.
func (a accounts) hash(ctx context.Context, password auth.Secret, email string) (string, error) {
	if password.Reveal() == "" {
		return "", nil
	}
	return a.passwords.Hash(ctx, password, email)
}

// UpdateAccount implements httpapi.AccountsPort.
func (a accounts) UpdateAccount(ctx context.Context, person record.ID, in httpapi.AccountChange) (httpapi.AccountView, error) {
	x, err := a.people.Get(ctx, person)
	if err != nil {
		return httpapi.AccountView{}, err
	}
	change := people.Change{Name: in.Name, Disabled: in.Disabled, Admin: in.Operator}
	email := x.Email
	if in.Email != nil {
		if email, err = auth.NormaliseEmail(*in.Email); err != nil {
			return httpapi.AccountView{}, err
		}
		change.Email = &email
	}
	if in.Password != nil {
		hash, err := a.hash(ctx, *in.Password, email)
		if err != nil {
			return httpapi.AccountView{}, err
		}
		change.PasswordHash = &hash
	}
	if err := a.people.Update(ctx, person, change); err != nil {
		return httpapi.AccountView{}, err
	}
	if in.Password != nil || in.Disabled != nil && *in.Disabled {
		if err := a.service().SignOutEverywhere(ctx, person); err != nil {
			return httpapi.AccountView{}, err
		}
	}
	a.kick()
	x, err = a.people.Get(ctx, person)
	return accountView(x), err
}

// Memberships implements httpapi.AccountsPort.
func (a accounts) Memberships(ctx context.Context, person record.ID) ([]httpapi.MembershipView, error) {
	if _, err := a.people.Get(ctx, person); err != nil {
		return nil, err
	}
	list, err := a.people.Memberships(ctx, person)
	if err != nil {
		return nil, err
	}
	out := make([]httpapi.MembershipView, len(list))
	for i, m := range list {
		out[i] = httpapi.MembershipView{Building: m.Building, Role: m.Role, Units: m.Units, Active: m.Active}
	}
	return out, nil
}

// SetMembership implements httpapi.AccountsPort.
func (a accounts) SetMembership(ctx context.Context, person, _ record.ID, in httpapi.MembershipView) (httpapi.MembershipView, error) {
	known := false
	for _, r := range schema.Roles() {
		known = known || string(r) == in.Role
	}
	if !known {
		return in, problem.Invalid(problem.FieldError{Field: "role", Message: "tenant, technician, manager or admin"})
	}
	err := a.people.SetMembership(ctx, person, people.Membership{Building: in.Building, Role: in.Role, Units: in.Units, Active: in.Active})
	if err == nil {
		a.kick()
	}
	return in, err
}
