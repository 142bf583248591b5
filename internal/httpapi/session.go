package httpapi

import (
	"context"
	"net/http"
	"time"

	"estate/internal/auth"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// LoginBody is a sign-in.
type LoginBody struct {
	Email    string `json:"email" maxLength:"254" doc:"E-mail address"`
	Password string `json:"password" maxLength:"800" doc:"Password"`
}

// RefreshBody exchanges a refresh token.
type RefreshBody struct {
	RefreshToken string `json:"refresh_token" maxLength:"512" doc:"The last refresh token; it works once"`
}

// TokensBody is what a sign-in or a refresh gives.
type TokensBody struct {
	Person         record.ID `json:"person"`
	TokenType      string    `json:"token_type" enum:"Bearer"`
	AccessToken    string    `json:"access_token" doc:"Sent as Authorization: Bearer"`
	AccessExpires  time.Time `json:"access_expires"`
	RefreshToken   string    `json:"refresh_token"`
	RefreshExpires time.Time `json:"refresh_expires"`
}

// MeBody says who is signed in and what they may see.
type MeBody struct {
	Person    record.ID       `json:"person"`
	Operator  bool            `json:"operator" doc:"One of the operator's admins, with rights in every building"`
	Expires   time.Time       `json:"expires" doc:"When the access token ends"`
	Building  record.ID       `json:"building,omitempty,omitzero" doc:"Where set, the only building that the token is good for"`
	Buildings []desk.Building `json:"buildings"`
}

func (a *API) registerSession() {
	register(a, operation{id: "login", method: http.MethodPost, path: "/auth/login", tag: tagSignIn, open: true,
		summary: "Sign in", text: "Signs in with e-mail address and password. It works at an edge without internet."},
		func(ctx context.Context, in *struct {
			InKey
			Body LoginBody
		}) (*outBody[TokensBody], error) {
			if err := a.slowSignIn(ctx); err != nil {
				return nil, err
			}
			return tokens(a.cfg.Auth.SignIn(ctx, in.Body.Email, auth.NewSecret(in.Body.Password), clientOf(ctx)))
		})
	register(a, operation{id: "refresh", method: http.MethodPost, path: "/auth/refresh", tag: tagSignIn, open: true,
		summary: "Get new tokens", text: "Exchanges a refresh token for new tokens. A token that comes back later than a lost answer explains ends the sign-in."},
		func(ctx context.Context, in *struct {
			InKey
			Body RefreshBody
		}) (*outBody[TokensBody], error) {
			if err := a.slowSignIn(ctx); err != nil {
				return nil, err
			}
			return tokens(a.cfg.Auth.Refresh(ctx, auth.NewSecret(in.Body.RefreshToken), clientOf(ctx)))
		})
	add(a, operation{id: "logout", method: http.MethodPost, path: "/auth/logout", tag: tagSignIn, status: http.StatusNoContent,
		summary: "Sign out", text: "Ends this sign-in at the node where it began."},
		func(ctx context.Context, _ desk.Caller, _ *struct{ InKey }) (*outNothing, error) {
			id, _ := auth.FromContext(ctx)
			return nothing(a.cfg.Auth.SignOut(ctx, id))
		})
	add(a, operation{id: "me", method: http.MethodGet, path: "/auth/me", tag: tagSignIn, summary: "Who is signed in"}, a.me)
}

func (a *API) me(ctx context.Context, c desk.Caller, _ *struct{}) (*outBody[MeBody], error) {
	id, ok := auth.FromContext(ctx)
	if !ok {
		return nil, problem.New(problem.Unauthenticated, "")
	}
	buildings, err := a.buildingsOf(ctx, c)
	return body(MeBody{Person: c.Person, Operator: c.Admin, Expires: id.Expires.UTC(), Building: id.Building, Buildings: buildings}, err)
}

func (a *API) slowSignIn(ctx context.Context) error {
	return take(a.bySignIn, limitKey(clientOf(ctx).IP))
}

func tokens(t auth.Tokens, err error) (*outBody[TokensBody], error) {
	if err != nil {
		return nil, err
	}
	return body(TokensBody{Person: t.Person, TokenType: "Bearer",
		AccessToken: t.Access.Reveal(), AccessExpires: t.AccessExpires.UTC(),
		RefreshToken: t.Refresh.Reveal(), RefreshExpires: t.RefreshExpires.UTC()}, nil)
}
