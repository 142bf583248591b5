package auth_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"estate/internal/auth"
	"estate/internal/auth/authtest"
	"estate/internal/problem"
	"estate/sync/record"
)

const (
	goodEmail    = "ada@example.org"
	goodPassword = "correct horse battery"
)

// fixture is one node's sign-in with everything it stands on.
type fixture struct {
	*auth.Service
	clock     *authtest.Clock
	sessions  *authtest.Sessions
	accounts  *authtest.Accounts
	passwords *auth.Passwords
	person    record.ID
	signer    auth.Signer
	ring      *auth.Keyring
	hashes    *atomic.Int32 // passwords hashed so far
	log       *bytes.Buffer
}

// quick stands for argon2id where its cost is not what is tested.
func quick(password, salt []byte, _, _ uint32, _ uint8, keyLen uint32) []byte {
	sum := sha256.Sum256(append(bytes.Clone(salt), password...))
	return sum[:keyLen]
}

func newSigner(t *testing.T, issuer string) auth.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := auth.NewSigner(issuer, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func setup(t *testing.T, change ...func(*auth.Config)) *fixture {
	t.Helper()
	f := &fixture{clock: authtest.NewClock(), sessions: authtest.NewSessions(), person: record.DerivedID("ada"),
		signer: newSigner(t, auth.IssuerCloud), hashes: new(atomic.Int32), log: new(bytes.Buffer)}
	var err error
	if f.passwords, err = auth.NewPasswords(0, rand.Reader); err != nil {
		t.Fatal(err)
	}
	f.passwords.SetDerive(func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
		f.hashes.Add(1)
		return quick(password, salt, time, memory, threads, keyLen)
	})
	hash, err := f.passwords.Hash(t.Context(), auth.NewSecret(goodPassword), goodEmail)
	if err != nil {
		t.Fatal(err)
	}
	f.hashes.Store(0)
	f.accounts = authtest.NewAccounts(auth.Account{Person: f.person, Email: goodEmail, PasswordHash: hash})
	cfg := auth.Config{Signer: f.signer, Passwords: f.passwords, Accounts: f.accounts, Sessions: f.sessions,
		Live: f.sessions, Now: f.clock.Now, Random: rand.Reader, Log: slog.New(slog.NewJSONHandler(f.log, nil))}
	for _, c := range change {
		c(&cfg)
	}
	f.signer = cfg.Signer
	if cfg.Keyring == nil {
		if cfg.Keyring, err = auth.NewKeyring(auth.IssuerKey{Issuer: f.signer.Issuer(), Public: f.signer.Public(), Building: cfg.Building}); err != nil {
			t.Fatal(err)
		}
	}
	f.ring = cfg.Keyring
	if f.Service, err = auth.NewService(cfg); err != nil {
		t.Fatal(err)
	}
	return f
}

func client(id string) auth.Client {
	return auth.Client{ID: id, Agent: "test/1", IP: netip.MustParseAddr("192.0.2.1")}
}

func (f *fixture) mustSignIn(t *testing.T) auth.Tokens {
	t.Helper()
	tokens, err := f.SignIn(t.Context(), goodEmail, auth.NewSecret(goodPassword), client("app"))
	if err != nil {
		t.Fatalf("SignIn: %v", err)
	}
	return tokens
}

func (f *fixture) mustRefresh(t *testing.T, token auth.Secret) auth.Tokens {
	t.Helper()
	tokens, err := f.Refresh(t.Context(), token, client("app"))
	if err != nil {
		t.Fatalf("Refresh: %v", err)
	}
	return tokens
}

func wantCode(t *testing.T, err error, code problem.Code) {
	t.Helper()
	if !problem.HasCode(err, code) {
		t.Fatalf("error %v, want %s", err, code)
	}
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	disabled := func(f *fixture) {
		a, err := f.accounts.ByID(context.Background(), f.person)
		if err != nil {
			panic(err)
		}
		a.Disabled = true
		f.accounts.Put(a)
	}
	broken := func(f *fixture) {
		f.accounts.Put(auth.Account{Person: f.person, Email: goodEmail, PasswordHash: "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAA$AAAA"})
	}
	noPassword := func(f *fixture) { f.accounts.Put(auth.Account{Person: f.person, Email: goodEmail}) }
	cases := map[string]struct {
		email, password string
		prepare         func(*fixture)
		want            problem.Code
		hashes          int32
	}{
		"Good":              {goodEmail, goodPassword, nil, "", 1},
		"OtherSpelling":     {"  ADA@Example.ORG ", goodPassword, nil, "", 1},
		"WrongPassword":     {goodEmail, goodPassword + "x", nil, problem.SignInFailed, 1},
		"UnknownSameWork":   {"nobody@example.org", goodPassword, nil, problem.SignInFailed, 1},
		"BrokenHash":        {goodEmail, goodPassword, broken, problem.SignInFailed, 1},
		"NoPasswordSet":     {goodEmail, "", noPassword, problem.SignInFailed, 1},
		"DisabledAndRight":  {goodEmail, goodPassword, disabled, problem.AccountDisabled, 1},
		"DisabledAndWrong":  {goodEmail, "something else", disabled, problem.SignInFailed, 1},
		"NoAddress":         {"ada", goodPassword, nil, problem.SignInFailed, 0},
		"OversizedPassword": {goodEmail, strings.Repeat("a", auth.PasswordBytesMax+1), nil, problem.SignInFailed, 0},
		"NotUTF8":           {goodEmail, "\xff\xfe", nil, problem.SignInFailed, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			if c.prepare != nil {
				c.prepare(f)
			}
			tokens, err := f.SignIn(t.Context(), c.email, auth.NewSecret(c.password), client("app"))
			if got := f.hashes.Load(); got != c.hashes {
				t.Errorf("%d hashes computed, want %d", got, c.hashes)
			}
			if c.want != "" {
				wantCode(t, err, c.want)
				if p := problem.From(err); p.Detail != "" {
					t.Errorf("the answer says more than its code: %q", p.Detail)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			id, err := f.Verify(t.Context(), tokens.Access)
			if err != nil || id.Person != f.person || id.Issuer != auth.IssuerCloud || !id.Building.IsZero() {
				t.Fatalf("identity %+v, %v", id, err)
			}
		})
	}
}

func TestSignInRateLimit(t *testing.T) {
	t.Parallel()
	f := setup(t)
	try := func(email, password, ip string) error {
		c := client("app")
		c.IP = netip.MustParseAddr(ip)
		_, err := f.SignIn(t.Context(), email, auth.NewSecret(password), c)
		return err
	}
	failures := 0
	for !problem.HasCode(try(goodEmail, "wrong password", "2001:db8::1"), problem.RateLimited) {
		if failures++; failures > 100 {
			t.Fatal("no limit on guesses")
		}
	}
	// The right password does not help now, nor does another address of the same /64.
	err := try(goodEmail, goodPassword, "2001:db8::2")
	wantCode(t, err, problem.RateLimited)
	var retry *auth.RetryAfter
	if !errors.As(err, &retry) || retry.Wait <= 0 || retry.Wait > time.Minute {
		t.Fatalf("no usable wait in %v", err)
	}
	if err := try(goodEmail, goodPassword, "2001:db8:1::1"); err != nil {
		t.Fatalf("the person's own network is locked out: %v", err)
	}
	f.clock.Add(retry.Wait)
	if err := try(goodEmail, goodPassword, "2001:db8::1"); err != nil {
		t.Fatalf("still limited after the wait: %v", err)
	}
	many := 0
	for !problem.HasCode(try(fmt.Sprintf("p%d@example.org", many), "wrong password", "198.51.100.7"), problem.RateLimited) {
		if many++; many > 1000 {
			t.Fatal("no limit on guesses at many accounts from one address")
		}
	}
}

func TestEdgeTokens(t *testing.T) {
	t.Parallel()
	building := record.DerivedID("building")
	cloud := setup(t)
	edgeSigner := newSigner(t, auth.IssuerEdge(record.DerivedID("edge")))
	ring, err := auth.NewKeyring(
		auth.IssuerKey{Issuer: auth.IssuerCloud, Public: cloud.signer.Public()},
		auth.IssuerKey{Issuer: edgeSigner.Issuer(), Public: edgeSigner.Public(), Building: building})
	if err != nil {
		t.Fatal(err)
	}
	edge := setup(t, func(c *auth.Config) { c.Signer, c.Keyring, c.Building = edgeSigner, ring, building })

	fromCloud, fromEdge := cloud.mustSignIn(t), edge.mustSignIn(t)
	id, err := edge.Verify(t.Context(), fromCloud.Access)
	if err != nil || id.Issuer != auth.IssuerCloud {
		t.Fatalf("the edge refuses a cloud token: %v", err)
	}
	wantCode(t, edge.SignOut(t.Context(), id), problem.InvalidInput)
	if id, err = edge.Verify(t.Context(), fromEdge.Access); err != nil || id.Building != building {
		t.Fatalf("the edge's own token: %+v, %v", id, err)
	}
	_, err = cloud.Verify(t.Context(), fromEdge.Access)
	wantCode(t, err, problem.TokenInvalid)
}

func TestSignOutEndsAccess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first, second, third := f.mustSignIn(t), f.mustSignIn(t), f.mustSignIn(t)
	id, err := f.Verify(t.Context(), first.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SignOut(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	_, err = f.Verify(t.Context(), first.Access)
	wantCode(t, err, problem.TokenInvalid)
	_, err = f.Refresh(t.Context(), first.Refresh, client("app"))
	wantCode(t, err, problem.TokenInvalid)
	if _, err := f.Verify(t.Context(), second.Access); err != nil {
		t.Fatalf("another session ended too: %v", err)
	}
	if err := f.SignOutEverywhere(t.Context(), f.person); err != nil {
		t.Fatal(err)
	}
	for _, tokens := range []auth.Tokens{second, third} {
		_, err = f.Verify(t.Context(), tokens.Access)
		wantCode(t, err, problem.TokenInvalid)
	}
}

func TestConfigRefused(t *testing.T) {
	t.Parallel()
	if _, err := auth.NewService(auth.Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	other, err := auth.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	f := setup(t)
	_, err = auth.NewService(auth.Config{Signer: f.signer, Keyring: other, Passwords: f.passwords, Accounts: f.accounts,
		Sessions: f.sessions, Now: f.clock.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("a service was made whose tokens its key ring refuses")
	}
}

func TestLimiterBounded(t *testing.T) {
	t.Parallel()
	clock := authtest.NewClock()
	l := auth.NewLimiter(time.Second, 1, 100, clock.Now)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 500 {
				l.Take(fmt.Sprint(g, i))
			}
		})
	}
	wg.Wait()
	if l.Len() != 100 {
		t.Errorf("%d keys held, want 100", l.Len())
	}
	if _, ok := l.Take("a"); !ok {
		t.Error("a new key is refused")
	}
	if wait, ok := l.Take("a"); ok || wait != time.Second {
		t.Errorf("second take: %v, %v", wait, ok)
	}
}

// knowing is a session store that knows operators, too.
type knowing struct {
	*authtest.Sessions
	operator bool
}

func (k *knowing) FamilyStanding(ctx context.Context, family record.ID) (auth.Standing, error) {
	live, err := k.FamilyLive(ctx, family)
	return auth.Standing{Live: live, Operator: live && k.operator}, err
}

func TestVerifyTellsWhoIsAnOperator(t *testing.T) {
	t.Parallel()
	k := &knowing{operator: true}
	f := setup(t, func(c *auth.Config) {
		k.Sessions, _ = c.Sessions.(*authtest.Sessions)
		c.Live = k
	})
	tokens, err := f.SignIn(t.Context(), goodEmail, auth.NewSecret(goodPassword), client("app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, operator := range []bool{true, false} {
		k.operator = operator
		id, err := f.Verify(t.Context(), tokens.Access)
		if err != nil || id.Operator == nil || *id.Operator != operator {
			t.Errorf("operator %v: verified %+v, %v", operator, id, err)
		}
	}
	id, err := f.Verify(t.Context(), tokens.Access)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.SignOut(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(t.Context(), tokens.Access); !problem.HasCode(err, problem.TokenInvalid) {
		t.Errorf("after sign-out: %v", err)
	}
}
