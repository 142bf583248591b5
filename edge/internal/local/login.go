package local

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"estate/internal/auth"
	"estate/internal/problem"
)

// secretBytes is 256 bits: no guessing, so a plain hash may be stored.
const secretBytes = 32

// loginName is one topic level that brokers, files and people can handle.
var loginName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Login is a device's or a gateway's login at the embedded broker. Its client id is its
// name, so that no device can push another off the broker.
type Login struct {
	Username string
	Gateway  bool
	// Base is a gateway's base topic.
	Base string
	At   time.Time
}

// AddLogin makes a login, or a new secret for one that exists, and returns the secret: it
// is shown once and kept as a hash.
func (s *Store) AddLogin(ctx context.Context, l Login, random io.Reader) (auth.Secret, error) {
	if !loginName.MatchString(l.Username) {
		return auth.Secret{}, problem.Invalid(problem.FieldError{Field: "name", Message: "1 to 64 letters, digits, - and _"})
	}
	if l.Gateway && (!loginName.MatchString(l.Base) || l.Base == "estate") {
		return auth.Secret{}, problem.Invalid(problem.FieldError{Field: "base", Message: "1 to 64 letters, digits, - and _, and not estate"})
	}
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return auth.Secret{}, fmt.Errorf("make a device's secret: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	hash := sha256.Sum256([]byte(secret))
	_, err := s.exec(ctx, "add login", `INSERT INTO mqtt_login (username, secret, gateway, base, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (username) DO UPDATE SET secret = excluded.secret, gateway = excluded.gateway, base = excluded.base, created_at = excluded.created_at`,
		l.Username, hash[:], l.Gateway, l.Base, milli(l.At))
	if err != nil {
		return auth.Secret{}, err
	}
	return auth.NewSecret(secret), nil
}

// RemoveLogin removes a login; the live connection is the broker's to end.
func (s *Store) RemoveLogin(ctx context.Context, username string) error {
	n, err := s.exec(ctx, "remove login", `DELETE FROM mqtt_login WHERE username = ?`, username)
	if err == nil && n == 0 {
		return problem.New(problem.NotFound, "login")
	}
	return err
}

// CheckLogin finds the login of a name and a secret; ok is false for a wrong one.
func (s *Store) CheckLogin(ctx context.Context, username, secret string) (l Login, ok bool, err error) {
	var hash []byte
	var at int64
	err = s.tables.DB().QueryRowContext(ctx, `SELECT username, secret, gateway, base, created_at FROM mqtt_login WHERE username = ?`, username).
		Scan(&l.Username, &hash, &l.Gateway, &l.Base, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return Login{}, false, nil
	}
	if err != nil {
		return Login{}, false, fmt.Errorf("look up login: %w", err)
	}
	sent := sha256.Sum256([]byte(secret))
	l.At = fromMilli(at)
	return l, subtle.ConstantTimeCompare(hash, sent[:]) == 1, nil
}

// Bases lists the base topics of the gateways that may log in.
func (s *Store) Bases(ctx context.Context) ([]string, error) {
	bases, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (string, error) {
		var base string
		err := rows.Scan(&base)
		return base, err
	}, `SELECT DISTINCT base FROM mqtt_login WHERE gateway ORDER BY base`)
	if err != nil {
		return nil, fmt.Errorf("list gateways: %w", err)
	}
	return bases, nil
}
