package httpapi

import (
	"context"
	"net/http"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// AccountsPort keeps people and their roles. The handlers have checked that the caller is
// one of the operator's admins. Password hashes never leave it.
type AccountsPort interface {
	Accounts(ctx context.Context, query string, p desk.Page) (desk.List[AccountView], error)
	// Account gives one person, or a not_found problem.
	Account(ctx context.Context, person record.ID) (AccountView, error)
	// CreateAccount adds a person; the same id again is the same person, another with the
	// same address is a conflict problem.
	CreateAccount(ctx context.Context, in NewAccount) (AccountView, error)
	// UpdateAccount changes a person; a new password or disabling ends all sign-ins.
	UpdateAccount(ctx context.Context, person record.ID, in AccountChange) (AccountView, error)
	Memberships(ctx context.Context, person record.ID) ([]MembershipView, error)
	// SetMembership makes or changes a person's role in one building.
	SetMembership(ctx context.Context, person record.ID, by record.ID, in MembershipView) (MembershipView, error)
}

// AccountView is a person who may sign in.
type AccountView struct {
	ID       record.ID `json:"id"`
	Name     string    `json:"name"`
	Email    string    `json:"email"`
	Operator bool      `json:"operator"`
	Disabled bool      `json:"disabled"`
}

// MembershipView is a person's role in a building.
type MembershipView struct {
	Building record.ID   `json:"building"`
	Role     string      `json:"role" enum:"tenant,technician,manager,admin"`
	Units    []record.ID `json:"units,omitempty" nullable:"false" maxItems:"256" doc:"A tenant's units"`
	Active   bool        `json:"active"`
}

// NewAccount is a person to add.
type NewAccount struct {
	ID       record.ID
	By       record.ID
	Name     string
	Email    string
	Password auth.Secret
	Operator bool
}

// AccountChange changes a person; nil fields stay.
type AccountChange struct {
	By       record.ID
	Name     *string
	Email    *string
	Password *auth.Secret
	Disabled *bool
	Operator *bool
}

// AccountBody is a person to add.
type AccountBody struct {
	Name     string `json:"name" minLength:"1" maxLength:"200"`
	Email    string `json:"email" minLength:"3" maxLength:"254"`
	Password string `json:"password,omitempty" maxLength:"800" doc:"Without one the person cannot sign in yet"`
	Operator bool   `json:"operator,omitempty"`
}

// AccountChangeBody changes a person; what is left out stays.
type AccountChangeBody struct {
	Name     *string `json:"name,omitempty" minLength:"1" maxLength:"200"`
	Email    *string `json:"email,omitempty" minLength:"3" maxLength:"254"`
	Password *string `json:"password,omitempty" maxLength:"800"`
	Disabled *bool   `json:"disabled,omitempty"`
	Operator *bool   `json:"operator,omitempty"`
}

// MembershipsBody lists a person's roles.
type MembershipsBody struct {
	Items []MembershipView `json:"items"`
}

// InAccount is the person of a request.
type InAccount struct {
	Account record.ID `path:"account" doc:"Id of the person"`
}

func operators(c desk.Caller) error {
	if !c.Admin {
		return problem.New(problem.Forbidden, "this is for the operator's admins")
	}
	return nil
}

// addAdmin registers an operation for the operator's admins.
func addAdmin[I, O any](a *API, o operation, handle func(ctx context.Context, c desk.Caller, in *I) (*O, error)) {
	o.tag = tagAccounts
	add(a, o, func(ctx context.Context, c desk.Caller, in *I) (*O, error) {
		if err := operators(c); err != nil {
			return nil, err
		}
		return handle(ctx, c, in)
	})
}

func (a *API) registerAccounts() {
	const one = "/accounts/{account}"
	addAdmin(a, operation{id: "list-accounts", method: http.MethodGet, path: "/accounts", summary: "People who may sign in"},
		func(ctx context.Context, _ desk.Caller, in *struct {
			InPage
			Query string `query:"q" maxLength:"200" doc:"Looked for in name and address"`
		}) (*outList[AccountView], error) {
			return listed(a.cfg.Accounts.Accounts(ctx, in.Query, in.page()))
		})
	addAdmin(a, operation{id: "create-account", method: http.MethodPost, path: "/accounts", status: http.StatusCreated, summary: "Add a person"},
		func(ctx context.Context, c desk.Caller, in *struct {
			InKey
			Body AccountBody
		}) (*outBody[AccountView], error) {
			id, err := a.accountID(c, in.IdempotencyKey)
			if err != nil {
				return nil, err
			}
			b := in.Body
			return body(a.cfg.Accounts.CreateAccount(ctx, NewAccount{ID: id, By: c.Person, Name: b.Name, Email: b.Email, Password: auth.NewSecret(b.Password), Operator: b.Operator}))
		})
	addAdmin(a, operation{id: "get-account", method: http.MethodGet, path: one, summary: "A person"},
		func(ctx context.Context, _ desk.Caller, in *InAccount) (*outBody[AccountView], error) {
			return body(a.cfg.Accounts.Account(ctx, in.Account))
		})
	addAdmin(a, operation{id: "update-account", method: http.MethodPatch, path: one, summary: "Change a person"}, a.updateAccount)
	addAdmin(a, operation{id: "list-memberships", method: http.MethodGet, path: one + "/memberships", summary: "A person's roles"},
		func(ctx context.Context, _ desk.Caller, in *InAccount) (*outBody[MembershipsBody], error) {
			items, err := a.cfg.Accounts.Memberships(ctx, in.Account)
			if items == nil {
				items = []MembershipView{}
			}
			return body(MembershipsBody{Items: items}, err)
		})
	addAdmin(a, operation{id: "set-membership", method: http.MethodPost, path: one + "/memberships", summary: "Give, change or end a person's role in a building",
		text: "A person has one role in a building; doing it again changes nothing."},
		func(ctx context.Context, c desk.Caller, in *struct {
			InAccount
			InKey
			Body MembershipView
		}) (*outBody[MembershipView], error) {
			return body(a.cfg.Accounts.SetMembership(ctx, in.Account, c.Person, in.Body))
		})
}

// accountID is the same for a retry with the same key.
func (a *API) accountID(c desk.Caller, key string) (record.ID, error) {
	if key != "" {
		return record.DerivedID("idempotency", "account", c.Person.String(), key), nil
	}
	return record.NewID(a.cfg.Now().UnixMilli(), a.cfg.Random)
}

func (a *API) updateAccount(ctx context.Context, c desk.Caller, in *struct {
	InAccount
	Body AccountChangeBody
}) (*outBody[AccountView], error) {
	b := in.Body
	change := AccountChange{By: c.Person, Name: b.Name, Email: b.Email, Disabled: b.Disabled, Operator: b.Operator}
	if b.Password != nil {
		secret := auth.NewSecret(*b.Password)
		change.Password = &secret
	}
	return body(a.cfg.Accounts.UpdateAccount(ctx, in.Account, change))
}
