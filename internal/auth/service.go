package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"estate/internal/problem"
	"estate/sync/record"
)

// Limits of sign-in. Every attempt takes from both buckets; a good one refills the first.
const (
	// attemptsBurst and attemptEvery bound guesses at one account from one address: ten,
	// then 2,880 a day.
	attemptsBurst = 10
	attemptEvery  = 30 * time.Second
	// addressBurst and addressEvery bound guesses at many accounts from one address, with
	// room for a building's tenants behind one router.
	addressBurst = 60
	addressEvery = 2 * time.Second
	// limiterKeysMax bounds memory at about 4 MB for each limiter.
	limiterKeysMax = 10_000

	// clientIDBytesMax and agentBytesMax bound what a client says of itself.
	clientIDBytesMax = 64
	agentBytesMax    = 200
)

// Client is what a request says of the program that made it.
type Client struct {
	ID    string     // chosen by the app at its installation; may be empty
	Agent string     // User-Agent, shown in the list of sign-ins
	IP    netip.Addr // the peer's, or what a configured proxy says; not stored
}

// Tokens are what a sign-in or a refresh gives.
type Tokens struct {
	Person         record.ID
	Access         Secret
	AccessExpires  time.Time
	Refresh        Secret
	RefreshExpires time.Time
}

// Config is what a Service needs. All fields are needed except Building and Live.
type Config struct {
	Signer    Signer
	Keyring   *Keyring
	Passwords *Passwords
	Accounts  Accounts
	Sessions  SessionStore
	Live      Liveness  // nil: an access token lasts to its expiry whatever is revoked
	Building  record.ID // set at an edge: its tokens are good for this building only
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

// Service signs people in and out and says whom a token speaks for.
type Service struct {
	cfg      Config
	attempts *Limiter // by e-mail address and network address
	address  *Limiter // by network address
}

// NewService makes a service; it fails when a needed part of the configuration is missing or
// its own tokens would not verify.
func NewService(cfg Config) (*Service, error) {
	if cfg.Keyring == nil || cfg.Passwords == nil || cfg.Accounts == nil || cfg.Sessions == nil ||
		cfg.Now == nil || cfg.Random == nil || cfg.Log == nil || cfg.Signer.key == nil {
		return nil, errors.New("auth: incomplete configuration")
	}
	key, ok := cfg.Keyring.find(cfg.Signer.kid, cfg.Now())
	if !ok || key.Issuer != cfg.Signer.issuer || (!key.Building.IsZero() && key.Building != cfg.Building) {
		return nil, errors.New("auth: the key ring does not accept the signer's own tokens")
	}
	return &Service{
		cfg:      cfg,
		attempts: NewLimiter(attemptEvery, attemptsBurst, limiterKeysMax, cfg.Now),
		address:  NewLimiter(addressEvery, addressBurst, limiterKeysMax, cfg.Now),
	}, nil
}

// SignIn checks an e-mail address and a password and begins a session. It returns
// rate_limited (with a RetryAfter), sign_in_failed whichever part was wrong,
// account_disabled only to who knows the password, and unavailable under too much load.
func (s *Service) SignIn(ctx context.Context, email string, password Secret, client Client) (Tokens, error) {
	if err := s.admit(s.address, addressKey(client.IP)); err != nil {
		return Tokens{}, err
	}
	address, err := NormaliseEmail(email)
	if err != nil || !utf8.ValidString(password.Reveal()) || len(password.Reveal()) > PasswordBytesMax {
		return Tokens{}, problem.New(problem.SignInFailed, "") // depends on the input alone
	}
	attempt := address + " " + addressKey(client.IP)
	if err := s.admit(s.attempts, attempt); err != nil {
		return Tokens{}, err
	}
	account, err := s.cfg.Accounts.FindByEmail(ctx, address)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return Tokens{}, fmt.Errorf("find account: %w", err)
	}
	if err != nil {
		account = Account{} // checked below against no hash: same time, never a match
	}
	match, err := s.cfg.Passwords.Check(ctx, password, account.PasswordHash)
	if err != nil {
		return Tokens{}, err
	}
	if !match || account.Person.IsZero() {
		return Tokens{}, problem.New(problem.SignInFailed, "")
	}
	s.attempts.Clear(attempt)
	if account.Disabled {
		return Tokens{}, problem.New(problem.AccountDisabled, "")
	}
	return s.begin(ctx, account.Person, client)
}

// begin stores the first refresh token of a new family.
func (s *Service) begin(ctx context.Context, person record.ID, client Client) (Tokens, error) {
	now := s.now()
	family, err := record.NewID(now.UnixMilli(), s.cfg.Random)
	if err != nil {
		return Tokens{}, fmt.Errorf("make session id: %w", err)
	}
	first, refresh, err := s.mint(family, person, client, now)
	if err != nil {
		return Tokens{}, err
	}
	if err := s.cfg.Sessions.CreateSession(ctx, first); err != nil {
		return Tokens{}, fmt.Errorf("create session: %w", err)
	}
	return s.tokens(first, refresh, now)
}

// tokens signs an access token beside a stored refresh token.
func (s *Service) tokens(session Session, refresh Secret, now time.Time) (Tokens, error) {
	c, err := newClaims(s.cfg.Signer.issuer, AudiencePeople, session.Person, now, AccessLife, s.cfg.Random)
	if err != nil {
		return Tokens{}, err
	}
	c.Session = session.Family.String()
	if !s.cfg.Building.IsZero() {
		c.Scope = s.cfg.Building.String()
	}
	access, err := s.cfg.Signer.sign(c, typePeople)
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{Person: session.Person, Access: access, AccessExpires: c.ExpiresAt.Time,
		Refresh: refresh, RefreshExpires: session.ExpiresAt}, nil
}

// Verify says whom an access token speaks for. It returns token_expired or token_invalid; a
// token of this node's own is invalid once its session is revoked, where Live is configured.
func (s *Service) Verify(ctx context.Context, access Secret) (Identity, error) {
	id, err := s.cfg.Keyring.Verify(access, s.cfg.Now())
	if err != nil {
		return Identity{}, err
	}
	if err := s.live(ctx, &id); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// live refuses an identity whose session has ended, and notes what is known of its person.
func (s *Service) live(ctx context.Context, id *Identity) error {
	if s.cfg.Live == nil || id.Issuer != s.cfg.Signer.issuer {
		return nil
	}
	var standing Standing
	var err error
	if more, ok := s.cfg.Live.(Standings); ok {
		standing, err = more.FamilyStanding(ctx, id.Session)
		id.Operator = &standing.Operator
	} else {
		standing.Live, err = s.cfg.Live.FamilyLive(ctx, id.Session)
	}
	if err != nil {
		return fmt.Errorf("look up session: %w", err)
	}
	if !standing.Live {
		return problem.New(problem.TokenInvalid, "the session has ended")
	}
	return nil
}

// Lives asks again about a verified identity, for what outlasts its request: token_invalid
// once a session of this node's own was revoked, where Live is configured.
func (s *Service) Lives(ctx context.Context, id Identity) error {
	return s.live(ctx, &id)
}

// SignOut ends the caller's session. A session can be ended only where it began: another
// issuer's is invalid_input.
func (s *Service) SignOut(ctx context.Context, id Identity) error {
	if id.Issuer != s.cfg.Signer.issuer {
		return problem.New(problem.InvalidInput, "this sign-in began at another server; sign out there")
	}
	if err := s.cfg.Sessions.RevokeFamily(ctx, id.Session, s.now()); err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	return nil
}

// SignOutEverywhere ends all of a person's sessions at this node, as after a new password.
func (s *Service) SignOutEverywhere(ctx context.Context, person record.ID) error {
	if err := s.cfg.Sessions.RevokePerson(ctx, person, s.now()); err != nil {
		return fmt.Errorf("revoke sessions of person: %w", err)
	}
	return nil
}

// admit takes from a bucket or returns rate_limited.
func (s *Service) admit(l *Limiter, key string) error {
	if wait, ok := l.Take(key); !ok {
		return problem.Wrap(problem.RateLimited, &RetryAfter{Wait: wait}, "")
	}
	return nil
}

// now is the time as stores keep it.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// addressKey names a network address for the limiters; an IPv6 customer has a whole /64.
func addressKey(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// clip bounds a text that a client says of itself and makes it valid UTF-8 without NUL,
// which PostgreSQL cannot store.
func clip(text string, bytesMax int) string {
	if len(text) > bytesMax {
		text = text[:bytesMax]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
}
