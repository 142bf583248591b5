package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
)

func TestMiddleware(t *testing.T) {
	t.Parallel()
	f := setup(t)
	token := f.mustSignIn(t).Access.Reveal()
	dead := f.mustSignIn(t)
	id, err := f.Verify(t.Context(), dead.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SignOut(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	socket := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	with := func(base http.Header, name string, values ...string) http.Header {
		h := base.Clone()
		if h == nil {
			h = http.Header{}
		}
		h[name] = values
		return h
	}
	const bearer, protocol = "Authorization", "Sec-Websocket-Protocol"
	for name, c := range map[string]struct {
		header http.Header
		want   problem.Code
	}{
		"Bearer":            {with(nil, bearer, "Bearer "+token), ""},
		"BearerLowerCase":   {with(nil, bearer, "bearer "+token), ""},
		"Subprotocol":       {with(socket, protocol, "estate.v1, estate.bearer."+token), ""},
		"SubprotocolTwice":  {with(socket, protocol, "estate.bearer."+token, "estate.bearer."+token), problem.TokenInvalid},
		"SubprotocolNoWS":   {with(nil, protocol, "estate.v1, estate.bearer."+token), problem.Unauthenticated},
		"Nothing":           {http.Header{}, problem.Unauthenticated},
		"Cookie":            {with(nil, "Cookie", "token="+token), problem.Unauthenticated},
		"Basic":             {with(nil, bearer, "Basic YTpi"), problem.TokenInvalid},
		"EmptyBearer":       {with(nil, bearer, "Bearer "), problem.TokenInvalid},
		"TwoHeaders":        {with(nil, bearer, "Bearer "+token, "Bearer "+token), problem.TokenInvalid},
		"HeaderAndProtocol": {with(with(socket, protocol, "estate.bearer."+token), bearer, "Bearer "+token), problem.TokenInvalid},
		"SignedOut":         {with(nil, bearer, "Bearer "+dead.Access.Reveal()), problem.TokenInvalid},
		"RefreshToken":      {with(nil, bearer, "Bearer "+dead.Refresh.Reveal()), problem.TokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reached := false
			h := auth.Middleware(f.Verify, slog.New(slog.DiscardHandler))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = true
				if id, ok := auth.FromContext(r.Context()); !ok || id.Person != f.person {
					t.Errorf("identity %+v", id)
				}
				if text := fmt.Sprint(r.Header); strings.Contains(text, token) {
					t.Errorf("the handler still sees the token: %s", text)
				}
			}))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/tickets?access_token="+token, nil)
			r.Header = c.header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if reached != (c.want == "") {
				t.Fatalf("reached the handler: %v", reached)
			}
			if c.want == "" {
				return
			}
			var body struct{ Code, Message, Remedy string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Code != string(c.want) || body.Message == "" || body.Remedy == "" {
				t.Errorf("body %s (%v)", w.Body, err)
			}
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), `Bearer realm="estate"`) ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("answer %d %v", w.Code, w.Header())
			}
		})
	}
	if _, ok := auth.FromContext(t.Context()); ok {
		t.Error("an empty context has an identity")
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	auth.Refuse(w, r, errors.New("disk on fire"), slog.New(slog.NewTextHandler(&log, nil)))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "fire") || !strings.Contains(log.String(), "fire") {
		t.Errorf("internal error: %d %s, logged %q", w.Code, w.Body, log.String())
	}
	if w.Header().Get("WWW-Authenticate") != "" {
		t.Error("an internal error asks to sign in")
	}
	w = httptest.NewRecorder()
	auth.Refuse(w, r, problem.Wrap(problem.RateLimited, &auth.RetryAfter{Wait: 1500 * time.Millisecond}, ""), slog.New(slog.DiscardHandler))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "2" {
		t.Errorf("rate limited: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

// TestOutageIsLoggedOnce: while the database is away, every caller is told, and the log is
// told when it begins and when it ends.
func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	away := true
	h := auth.Middleware(func(context.Context, auth.Secret) (auth.Identity, error) {
		if away {
			return auth.Identity{}, fmt.Errorf("look up: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		}
		return auth.Identity{}, nil
	}, slog.New(slog.NewTextHandler(&log, nil)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(want int) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer x")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	for _, away = range []bool{false, true, true, true, false, false, true, true} {
		ask(map[bool]int{true: http.StatusServiceUnavailable, false: http.StatusOK}[away])
	}
	if began, ended := strings.Count(log.String(), "refused"), strings.Count(log.String(), "verified again"); began != 2 || ended != 1 {
		t.Errorf("two outages, of which one ended, are logged as %d and %d:\n%s", began, ended, log.String())
	}
}

// TestNoSecretIsPrinted prints everything that holds a secret in every usual way, plays a
// reuse, and looks for the secrets in what came out and in what is stored.
func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.mustSignIn(t)
	second := f.mustRefresh(t, first.Refresh)
	f.clock.Add(time.Hour)
	_, reuse := f.Refresh(t.Context(), first.Refresh, client("app"))
	wantCode(t, reuse, problem.RefreshReused)
	_, refused := f.SignIn(context.Background(), goodEmail, auth.NewSecret("my old password"), client("app"))
	_, invalid := f.Verify(t.Context(), auth.NewSecret(second.Access.Reveal()+"x"))
	if f.log.Len() == 0 {
		t.Fatal("a reuse leaves no trace in the log")
	}

	node := newNode(t)
	seed := bytes.Repeat([]byte{0xa7, 0x5c}, ed25519.SeedSize/2)
	signer, err := auth.NewSigner("edge:1", ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	code, err := auth.ParseEnrolCode("00000-00000-00000-00000-0")
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		Tokens  auth.Tokens
		hidden  auth.Tokens
		signer  auth.Signer
		node    auth.NodeKey
		code    auth.EnrolCode
		request auth.EnrolRequest
	}
	h := holder{first, second, signer, node, code, node.EnrolRequest(code, "cloud")}
	var out bytes.Buffer
	out.Write(f.log.Bytes())
	jsonLog, textLog := slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))
	for _, v := range []any{h, &h, first, second, code, node, signer, h.request, first.Access, reuse, refused, invalid} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		jsonLog.Info("x", "v", v)
		textLog.Info("x", "v", v)
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	fmt.Fprintf(&out, "%+v", f.sessions.Rows())
	for name, secret := range map[string]string{
		"access token": first.Access.Reveal(), "refresh token": first.Refresh.Reveal(),
		"second access token": second.Access.Reveal(), "second refresh token": second.Refresh.Reveal(),
		"password": goodPassword, "wrong password": "my old password", "code": code.Reveal(), "code as typed": strings.ReplaceAll(code.Reveal(), "-", ""),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the %s was printed", name)
		}
	}
	for _, format := range []string{"%v", "%#v", "%x", "%q"} { // the first bytes are enough
		if text := strings.Trim(fmt.Sprintf(format, seed[:8]), `[]byte{}"`); strings.Contains(out.String(), text) {
			t.Errorf("the private key was printed as %s", text)
		}
	}
}
