package auth_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"estate/internal/auth"
	"estate/internal/lab/fuzztest"
	"estate/internal/problem"
	"estate/sync/record"
)

// forge is a token under construction.
type forge struct {
	method jwt.SigningMethod
	header map[string]any
	claims jwt.MapClaims
	key    any
}

// tokenBench gives a key ring with one key and the parts of a good token.
func tokenBench(t testing.TB) (*auth.Keyring, *authClock, func() forge) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	building := record.DerivedID("building")
	ring, err := auth.NewKeyring(auth.IssuerKey{Issuer: "edge:1", Public: public, Building: building})
	if err != nil {
		t.Fatal(err)
	}
	clock := &authClock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	return ring, clock, func() forge {
		return forge{
			method: jwt.SigningMethodEdDSA, key: key,
			header: map[string]any{"kid": auth.KeyID(public), "typ": "at+jwt"},
			claims: jwt.MapClaims{"iss": "edge:1", "aud": "estate", "sub": record.DerivedID("ada").String(),
				"sid": record.DerivedID("session").String(), "jti": "1", "scope": building.String(),
				"iat": clock.at.Unix(), "exp": clock.at.Add(auth.AccessLife).Unix()},
		}
	}
}

type authClock struct{ at time.Time }

func (f forge) sign(t testing.TB) auth.Secret {
	t.Helper()
	token := jwt.NewWithClaims(f.method, f.claims)
	maps.Copy(token.Header, f.header)
	text, err := token.SignedString(f.key)
	if err != nil {
		t.Fatal(err)
	}
	return auth.NewSecret(text)
}

// publicOf is the public half of the key that signs.
func publicOf(f forge) ed25519.PublicKey {
	key, _ := f.key.(ed25519.PrivateKey)
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) func(*forge, time.Time) {
		return func(f *forge, _ time.Time) {
			if f.claims[name] = value; value == nil {
				delete(f.claims, name)
			}
		}
	}
	cases := map[string]struct {
		change func(*forge, time.Time)
		want   problem.Code
	}{
		"Good": {func(*forge, time.Time) {}, ""},
		"None": {func(f *forge, _ time.Time) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }, problem.TokenInvalid},
		"HMACWithPublicKey": {func(f *forge, _ time.Time) {
			pub := []byte(publicOf(*f))
			f.method, f.key = jwt.SigningMethodHS256, pub
		}, problem.TokenInvalid},
		"OtherKeySameKid": {func(f *forge, _ time.Time) {
			f.key = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		}, problem.TokenInvalid},
		"UnknownKid":  {func(f *forge, _ time.Time) { f.header["kid"] = "x" }, problem.TokenInvalid},
		"KidNotText":  {func(f *forge, _ time.Time) { f.header["kid"] = 7 }, problem.TokenInvalid},
		"NodeType":    {func(f *forge, _ time.Time) { f.header["typ"] = "node+jwt" }, problem.TokenInvalid},
		"Critical":    {func(f *forge, _ time.Time) { f.header["crit"] = []string{"x"} }, problem.TokenInvalid},
		"OtherIssuer": {claim("iss", "cloud"), problem.TokenInvalid},
		"NoIssuer":    {claim("iss", nil), problem.TokenInvalid},
		"OtherAud":    {claim("aud", "estate-sync"), problem.TokenInvalid},
		"TwoAuds":     {claim("aud", []string{"estate", "estate-sync"}), problem.TokenInvalid},
		"NoAud":       {claim("aud", nil), problem.TokenInvalid},
		"NoExpiry":    {claim("exp", nil), problem.TokenInvalid},
		"NoIssuedAt":  {claim("iat", nil), problem.TokenInvalid},
		"NoID":        {claim("jti", nil), problem.TokenInvalid},
		"NoSubject":   {claim("sub", nil), problem.TokenInvalid},
		"ZeroSubject": {claim("sub", record.ID{}.String()), problem.TokenInvalid},
		"NoSession":   {claim("sid", nil), problem.TokenInvalid},
		"OtherScope":  {claim("scope", record.DerivedID("elsewhere").String()), problem.TokenInvalid},
		"NoScope":     {claim("scope", nil), problem.TokenInvalid},
		"BadScope":    {claim("scope", "all"), problem.TokenInvalid},
		"Huge":        {claim("pad", strings.Repeat("x", 4000)), problem.TokenInvalid},
		"Expired":     {func(f *forge, now time.Time) { f.claims["exp"] = now.Add(-2 * time.Minute).Unix() }, problem.TokenExpired},
		"ExpiredLeeway": {func(f *forge, now time.Time) {
			f.claims["exp"] = now.Add(-30 * time.Second).Unix()
		}, ""},
		"ExpiredAndOtherAud": {func(f *forge, now time.Time) {
			f.claims["exp"], f.claims["aud"] = now.Add(-time.Hour).Unix(), "other"
		}, problem.TokenInvalid},
		"FromTheFuture": {func(f *forge, now time.Time) { f.claims["iat"] = now.Add(time.Hour).Unix() }, problem.TokenInvalid},
		"NotYet":        {func(f *forge, now time.Time) { f.claims["nbf"] = now.Add(time.Hour).Unix() }, problem.TokenInvalid},
		"EndlessTime":   {claim("exp", 1e300), problem.TokenExpired},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring, clock, good := tokenBench(t)
			f := good()
			c.change(&f, clock.at)
			id, err := ring.Verify(f.sign(t), clock.at)
			if c.want != "" {
				wantCode(t, err, c.want)
				if id != (auth.Identity{}) {
					t.Errorf("a refused token gave %+v", id)
				}
				return
			}
			if err != nil || id.Person != record.DerivedID("ada") || id.Building != record.DerivedID("building") {
				t.Fatalf("%+v, %v", id, err)
			}
		})
	}
}

func TestVerifyTokenEveryByteCounts(t *testing.T) {
	t.Parallel()
	ring, clock, good := tokenBench(t)
	text := good().sign(t).Reveal()
	for at := range len(text) {
		changed := []byte(text)
		if changed[at] = 'A'; text[at] == 'A' {
			changed[at] = 'B'
		}
		if _, err := ring.Verify(auth.NewSecret(string(changed)), clock.at); err == nil {
			t.Fatalf("byte %d of %q may be changed", at, text)
		}
	}
}

func TestKeyringRotates(t *testing.T) {
	t.Parallel()
	f := setup(t)
	old := f.mustSignIn(t)
	next := newSigner(t, auth.IssuerCloud)
	now := f.clock.Now()
	if err := f.ring.Rotate(auth.IssuerKey{Issuer: auth.IssuerCloud, Public: next.Public()}, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ring.Verify(old.Access, now); err != nil {
		t.Errorf("the old key is refused at once: %v", err)
	}
	_, err := f.ring.Verify(old.Access, now.Add(time.Hour))
	wantCode(t, err, problem.TokenInvalid)
	if err := f.ring.Replace(auth.IssuerKey{Issuer: "", Public: next.Public()}); err == nil {
		t.Error("a key without issuer was accepted")
	}
	if err := f.ring.Replace(auth.IssuerKey{Issuer: "a", Public: next.Public()}, auth.IssuerKey{Issuer: "b", Public: next.Public()}); err == nil {
		t.Error("two issuers may share a key")
	}
	if _, err := f.ring.Verify(old.Access, now); err != nil {
		t.Errorf("a refused change changed the ring: %v", err)
	}
}

func TestKeyIDOfRFC8037(t *testing.T) {
	t.Parallel()
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if got := auth.KeyID(public); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("thumbprint %s is not that of RFC 8037, appendix A.3", got)
	}
}

// fuzzKey signs the tokens that the fuzz targets start from.
func fuzzKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// FuzzVerifyToken starts from a good token: nothing but the very text that was signed is
// accepted, every refusal has its code, and a long text costs no more than a short one.
func FuzzVerifyToken(f *testing.F) {
	public, _ := fuzzKey().Public().(ed25519.PublicKey)
	ring, err := auth.NewKeyring(auth.IssuerKey{Issuer: "cloud", Public: public})
	if err != nil {
		f.Fatal(err)
	}
	now := time.Unix(1_770_000_000, 0)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "cloud", "aud": "estate", "sub": record.DerivedID("ada").String(),
		"sid": record.DerivedID("session").String(), "jti": "1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	token.Header["kid"], token.Header["typ"] = auth.KeyID(public), "at+jwt"
	good, err := token.SignedString(fuzzKey())
	if err != nil {
		f.Fatal(err)
	}
	if _, err := ring.Verify(auth.NewSecret(good), now); err != nil {
		f.Fatal(err)
	}
	parts := strings.Split(good, ".")
	for _, s := range []string{good, good + "=", parts[0] + "." + parts[1] + ".", "a.b.c", "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[0] + ".e30." + parts[2],
		"eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6IngifQ.eyJleHAiOjFlMzAwfQ.AA", strings.Repeat("a.", 2000)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fuzztest.Bounded(t, len(text), 64, func() {
			id, err := ring.Verify(auth.NewSecret(text), now)
			if err == nil && text != good {
				t.Fatalf("%q was accepted as %+v", text, id)
			}
			if code := problem.From(err).Code; err != nil && code != problem.TokenInvalid && code != problem.TokenExpired {
				t.Fatalf("%q: %v", text, err)
			}
		})
	})
}

// FuzzBearerToken puts any text into the headers that carry a token: what is found is what a
// header held, and one that the next handler could log is found nowhere in its request.
func FuzzBearerToken(f *testing.F) {
	f.Add("Bearer abc", "", "")
	f.Add("bearer  abc ", "websocket", "estate.v1, estate.bearer.xyz")
	f.Add("", "WebSocket", "estate.bearer.,estate.bearer.a")
	f.Add("Basic eDp5", "", "")
	f.Fuzz(func(t *testing.T, authorization, upgrade, protocols string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for name, text := range map[string]string{"Authorization": authorization, "Upgrade": upgrade, "Sec-Websocket-Protocol": protocols} {
			if text != "" {
				r.Header.Set(name, text)
			}
		}
		token, found, err := auth.BearerToken(r)
		text := token.Reveal()
		switch {
		case err != nil && problem.From(err).Code != problem.TokenInvalid:
			t.Fatalf("%q, %q: %v", authorization, protocols, err)
		case found != (text != ""), found && !strings.Contains(authorization, text) && !strings.Contains(protocols, text):
			t.Fatalf("%q, %q: found %v %q", authorization, protocols, found, text)
		}
		accept := func(_ context.Context, _ auth.Secret) (auth.Identity, error) { return auth.Identity{}, nil }
		next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for p := range strings.SplitSeq(r.Header.Get("Sec-Websocket-Protocol"), ",") {
				if r.Header.Get("Authorization") != "" || strings.HasPrefix(strings.TrimSpace(p), auth.SubprotocolBearer) {
					t.Fatalf("%q, %q reaches the next handler", authorization, protocols)
				}
			}
		})
		w := httptest.NewRecorder()
		auth.Middleware(accept, slog.New(slog.DiscardHandler))(next).ServeHTTP(w, r)
		if found != (w.Code == http.StatusOK) || !found && w.Code != http.StatusUnauthorized {
			t.Fatalf("%q, %q: found %v, answered %d", authorization, protocols, found, w.Code)
		}
	})
}

// FuzzRefresh sends any text as a refresh token: only what was minted is good, and only once.
func FuzzRefresh(f *testing.F) {
	f.Add(auth.RefreshText())
	f.Add("estate_rt_")
	f.Add("estate_rt_" + strings.Repeat("A", 4000))
	f.Fuzz(func(t *testing.T, text string) {
		if hash, ok := auth.RefreshHash(auth.NewSecret(text)); ok && (!strings.HasPrefix(text, "estate_rt_") || len(text) != len(auth.RefreshText()) || hash == (auth.TokenHash{})) {
			t.Fatalf("%q passes as a refresh token", text)
		}
	})
}
