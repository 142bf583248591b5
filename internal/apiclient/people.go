package apiclient

import (
	"context"
	"net/http"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

// Tokens are what a sign-in gives. They are secrets.
type Tokens struct {
	Person         record.ID `json:"person"`
	Access         string    `json:"access_token"`
	AccessExpires  time.Time `json:"access_expires"`
	Refresh        string    `json:"refresh_token"`
	RefreshExpires time.Time `json:"refresh_expires"`
}

// SignIn gives a client of the same server that speaks for a person.
func (c *Client) SignIn(ctx context.Context, email, password string) (*Client, Tokens, error) {
	var tokens Tokens
	in := map[string]string{"email": email, "password": password}
	if err := c.Post(ctx, "/auth/login", in, &tokens); err != nil {
		return nil, Tokens{}, err
	}
	return c.With(tokens.Access), tokens, nil
}

// Membership is a person's role in one building.
type Membership struct {
	Building record.ID   `json:"building"`
	Role     string      `json:"role"`
	Units    []record.ID `json:"units,omitempty"`
	Active   bool        `json:"active"`
}

// Account is a person who may sign in, as administrators see it.
type Account struct {
	ID       record.ID `json:"id"`
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Operator bool      `json:"operator"`
	Disabled bool      `json:"disabled"`
}

// NewAccount is an account to create at the cloud.
type NewAccount struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Password string `json:"password"`
	Operator bool   `json:"operator,omitempty"`
}

// CreateAccount makes an account.
func (c *Client) CreateAccount(ctx context.Context, in NewAccount) (Account, error) {
	var out Account
	return out, c.Post(ctx, "/accounts", in, &out)
}

// FindAccount finds an account by its e-mail address.
func (c *Client) FindAccount(ctx context.Context, email string) (Account, error) {
	accounts, err := All[Account](ctx, c, "/accounts", nil)
	if err != nil {
		return Account{}, err
	}
	for _, a := range accounts {
		if strings.EqualFold(a.Email, email) {
			return a, nil
		}
	}
	return Account{}, &Error{Status: http.StatusNotFound, Code: problem.NotFound, Message: "nobody has this address"}
}

// SetMembership gives a person a role in a building.
func (c *Client) SetMembership(ctx context.Context, person record.ID, in Membership) error {
	return c.Post(ctx, "/accounts/"+person.String()+"/memberships", in, nil)
}

// EnrolCode is a one-time code that lets a new edge in. It is a secret.
type EnrolCode struct {
	Code      string    `json:"code"`
	Building  record.ID `json:"building"`
	ExpiresAt time.Time `json:"expires_at"`
}

// CreateEnrolCode makes a code for a new edge of a building.
func (c *Client) CreateEnrolCode(ctx context.Context, building record.ID) (EnrolCode, error) {
	var out EnrolCode
	return out, c.Post(ctx, "/edges", map[string]record.ID{"building": building}, &out)
}

// Edge is an enrolled edge as the cloud knows it.
type Edge struct {
	ID        record.ID `json:"id"`
	Building  record.ID `json:"building"`
	Revoked   bool      `json:"revoked"`
	Connected bool      `json:"connected"`
}

// Edges lists the enrolled edges of a building.
func (c *Client) Edges(ctx context.Context, building record.ID) ([]Edge, error) {
	return All[Edge](ctx, c, under(building, "/edges"), nil)
}

// RevokeEdge shuts an edge out for good.
func (c *Client) RevokeEdge(ctx context.Context, edge record.ID) error {
	return c.Send(ctx, http.MethodDelete, "/edges/"+edge.String(), nil, nil, nil)
}
