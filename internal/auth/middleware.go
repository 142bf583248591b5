package auth

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"estate/internal/problem"
)

// SubprotocolBearer begins the WebSocket subprotocol in which a browser, which cannot set
// headers there, sends its access token. The client offers another subprotocol beside it,
// and the server answers with that one.
const SubprotocolBearer = "estate.bearer."

const (
	authorizationHeader = "Authorization"
	subprotocolHeader   = "Sec-WebSocket-Protocol"
	bearerScheme        = "bearer"
)

type identityKey struct{}

// WithIdentity puts an identity into a context.
func WithIdentity(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, id)
}

// FromContext gives the identity that the middleware put into a request's context.
func FromContext(ctx context.Context) (Identity, bool) {
	id, ok := ctx.Value(identityKey{}).(Identity)
	return id, ok
}

// Verifier says whom an access token speaks for; Service.Verify is one.
type Verifier func(ctx context.Context, access Secret) (Identity, error)

// Middleware lets only requests with a good access token through, with the Identity in their
// context. It reads no cookies and no query, so no other site can send a request in a
// person's name and no token reaches an access log. A subprotocol that carries a token is
// taken out of the request before the next handler sees it.
func Middleware(verify Verifier, log *slog.Logger) func(http.Handler) http.Handler {
	var outage Outage
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, found, err := BearerToken(r)
			if err == nil && !found {
				err = problem.New(problem.Unauthenticated, "")
			}
			var id Identity
			if err == nil {
				id, err = verify(r.Context(), token)
			}
			if err != nil {
				outage.Refuse(w, r, err, log)
				return
			}
			outage.Over(r.Context(), log)
			next.ServeHTTP(w, withoutToken(WithIdentity(r.Context(), id), r))
		})
	}
}

// BearerToken finds a request's token: in the Authorization header or, in a WebSocket
// handshake, as a subprotocol. It returns token_invalid for more than one.
func BearerToken(r *http.Request) (token Secret, found bool, err error) {
	var texts []string
	for _, value := range r.Header.Values(authorizationHeader) {
		scheme, rest, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, bearerScheme) {
			return Secret{}, false, problem.New(problem.TokenInvalid, "only the Bearer scheme is accepted")
		}
		texts = append(texts, strings.TrimSpace(rest))
	}
	if isWebSocket(r) {
		for _, p := range subprotocols(r) {
			if text, ok := strings.CutPrefix(p, SubprotocolBearer); ok {
				texts = append(texts, text)
			}
		}
	}
	switch {
	case len(texts) == 0:
		return Secret{}, false, nil
	case len(texts) > 1 || texts[0] == "":
		return Secret{}, false, problem.New(problem.TokenInvalid, "send exactly one token")
	}
	return NewSecret(texts[0]), true, nil
}

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

func subprotocols(r *http.Request) []string {
	var out []string
	for _, value := range r.Header.Values(subprotocolHeader) {
		for p := range strings.SplitSeq(value, ",") {
			out = append(out, strings.TrimSpace(p))
		}
	}
	return out
}

// withoutToken gives a request whose headers carry no token any more, so that no later
// handler can log or echo it.
func withoutToken(ctx context.Context, r *http.Request) *http.Request {
	out := r.WithContext(ctx)
	out.Header = maps.Clone(r.Header) // values are replaced below, never changed in place
	out.Header.Del(authorizationHeader)
	if len(r.Header.Values(subprotocolHeader)) == 0 {
		return out
	}
	var kept []string
	for _, p := range subprotocols(r) {
		if !strings.HasPrefix(p, SubprotocolBearer) {
			kept = append(kept, p)
		}
	}
	out.Header.Del(subprotocolHeader)
	if len(kept) > 0 {
		out.Header.Set(subprotocolHeader, strings.Join(kept, ", "))
	}
	return out
}
