package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// AccessLife is how long an access token is accepted.
	AccessLife = 24 * time.Hour
	// AudiencePeople is the audience of persons' access tokens.
	AudiencePeople = "estate"
	// AudienceNodes is the audience of nodes' session tokens.
	AudienceNodes = "estate-sync"

	// tokenLeeway is the difference between two nodes' clocks that a token survives: an edge
	// without internet drifts by seconds a day.
	tokenLeeway = time.Minute
	// tokenBytesMax is several times what our claims need.
	tokenBytesMax = 2048

	// Explicit types (RFC 8725, section 3.11) keep one sort of token from passing as another.
	typePeople = "at+jwt"
	typeNodes  = "node+jwt"
)

// Identity is who a verified access token speaks for. It carries no role: roles are read
// from memberships at each request.
type Identity struct {
	Person  record.ID
	Session record.ID
	Issuer  string
	// Building, where set, is the only building that the token is good for.
	Building record.ID
	// Expires is when the token ends; what holds a connection open closes it then.
	Expires time.Time
	// Operator says whether the person is one of the operator's admins, as of this request;
	// nil where that was not asked.
	Operator *bool
}

// claims are what our tokens carry.
type claims struct {
	jwt.RegisteredClaims
	Scope   string `json:"scope,omitempty"`
	Session string `json:"sid,omitempty"`
}

// newClaims fills what both sorts of token share.
func newClaims(issuer, audience string, subject record.ID, now time.Time, life time.Duration, random io.Reader) (claims, error) {
	jti, err := record.NewID(now.UnixMilli(), random)
	if err != nil {
		return claims{}, fmt.Errorf("make token id: %w", err)
	}
	return claims{RegisteredClaims: jwt.RegisteredClaims{
		Issuer:    issuer,
		Subject:   subject.String(),
		Audience:  jwt.ClaimStrings{audience},
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		ID:        jti.String(),
	}}, nil
}

// sign makes the compact form.
func (s Signer) sign(c claims, typ string) (Secret, error) {
	if s.key == nil {
		return Secret{}, errors.New("auth: signer without a key")
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["kid"] = s.kid
	t.Header["typ"] = typ
	text, err := t.SignedString(s.key())
	if err != nil {
		return Secret{}, fmt.Errorf("sign token: %w", err)
	}
	return NewSecret(text), nil
}

// verify checks a compact token against the key ring and returns its claims and the key that
// signed it. It returns token_expired for a token that is good except for its age, and
// token_invalid for anything else; neither says more, so a forger learns nothing.
func (k *Keyring) verify(text, audience, typ string, now time.Time) (claims, IssuerKey, error) {
	if len(text) > tokenBytesMax {
		return claims{}, IssuerKey{}, problem.New(problem.TokenInvalid, "")
	}
	var (
		c   claims
		key IssuerKey
	)
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithAudience(audience),
		jwt.WithLeeway(tokenLeeway),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	_, err := parser.ParseWithClaims(text, &c, func(t *jwt.Token) (any, error) {
		var err error
		key, err = k.keyFor(t.Header, &c, typ, now)
		return key.Public, err
	})
	if err != nil {
		code := problem.TokenInvalid
		if onlyExpired(err) {
			code = problem.TokenExpired
		}
		return claims{}, IssuerKey{}, problem.Wrap(code, err, "")
	}
	if len(c.Audience) != 1 || c.IssuedAt == nil || c.ID == "" {
		return claims{}, IssuerKey{}, problem.New(problem.TokenInvalid, "")
	}
	return c, key, nil
}

// keyFor picks the key that a token names, where that key may vouch for what it claims.
func (k *Keyring) keyFor(header map[string]any, c *claims, typ string, now time.Time) (IssuerKey, error) {
	if header["typ"] != typ {
		return IssuerKey{}, errors.New("token of another type")
	}
	if _, critical := header["crit"]; critical { // RFC 7515: what is not understood is refused
		return IssuerKey{}, errors.New("token with a critical header")
	}
	kid, _ := header["kid"].(string)
	key, ok := k.find(kid, now)
	if !ok {
		return IssuerKey{}, errors.New("token of an unknown key")
	}
	if key.Issuer != c.Issuer {
		return IssuerKey{}, errors.New("token of another issuer than its key's")
	}
	return key, nil
}

// onlyExpired reports whether the age is all that is wrong with a token. The parser checks
// the signature first and joins what is wrong with the claims.
func onlyExpired(err error) bool {
	if !errors.Is(err, jwt.ErrTokenExpired) {
		return false
	}
	for _, other := range []error{
		jwt.ErrTokenInvalidAudience, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenNotValidYet,
		jwt.ErrTokenRequiredClaimMissing,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	return true
}

// Verify checks a person's access token. It returns token_expired or token_invalid.
func (k *Keyring) Verify(token Secret, now time.Time) (Identity, error) {
	text := token.Reveal()
	if len(text) > tokenBytesMax {
		return Identity{}, problem.New(problem.TokenInvalid, "")
	}
	hash, keys := sha256.Sum256([]byte(text)), k.keys.Load()
	if id, ok := k.verified.find(hash, keys, now); ok {
		return id, nil
	}
	c, key, err := k.verify(text, AudiencePeople, typePeople, now)
	if err != nil {
		return Identity{}, err
	}
	id, err := identity(c, key)
	if err == nil && c.NotBefore == nil { // ours have none
		k.verified.keep(hash, verifiedToken{identity: id, key: key, keys: keys,
			from: c.IssuedAt.Add(-tokenLeeway), to: c.ExpiresAt.Add(tokenLeeway)})
	}
	return id, err
}

// identity is whom the claims of a verified token speak for.
func identity(c claims, key IssuerKey) (id Identity, err error) {
	id = Identity{Issuer: c.Issuer, Expires: c.ExpiresAt.Time}
	if id.Person, err = record.ParseID(c.Subject); err != nil {
		return Identity{}, problem.Wrap(problem.TokenInvalid, err, "")
	}
	if id.Session, err = record.ParseID(c.Session); err != nil {
		return Identity{}, problem.Wrap(problem.TokenInvalid, err, "")
	}
	if c.Scope != "" {
		if id.Building, err = record.ParseID(c.Scope); err != nil {
			return Identity{}, problem.Wrap(problem.TokenInvalid, err, "")
		}
	}
	if !key.Building.IsZero() && id.Building != key.Building {
		return Identity{}, problem.New(problem.TokenInvalid, "")
	}
	if id.Person.IsZero() || id.Session.IsZero() {
		return Identity{}, problem.New(problem.TokenInvalid, "")
	}
	return id, nil
}
