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
	"estate/sync/record"
)

// secretBytes is 256 bits: no guessing, so a plain hash may be stored.
const secretBytes = 32

// loginName is one topic level that brokers, files and people can handle.
var loginName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Login is a login at the broker: of a device, a gateway or a person's device. Its client id is
// its name, so that no device can push another off the broker.
type Login struct {
	Username string
	// Role is the broker's: what the login is for.
	Role string
	// Base is the base topic of a gateway or a firmware, MAC a Tasmota's hardware address,
	// Person whose device it is.
	Base, MAC string
	Person    record.ID
	// Mosquitto is the secret's hash in the form of mosquitto's password file; empty for logins
	// of an earlier release.
	Mosquitto string
	At        time.Time
}

const loginColumns = `username, role, base, mac, person, mosquitto, created_at`

func scanLogin(scan func(...any) error, more ...any) (l Login, err error) {
	var at int64
	var person []byte
	if err := scan(append([]any{&l.Username, &l.Role, &l.Base, &l.MAC, &person, &l.Mosquitto, &at}, more...)...); err != nil {
		return l, err
	}
	l.At = fromMilli(at)
	if len(person) == len(l.Person) {
		l.Person = record.ID(person)
	}
	return l, nil
}

// AddLogin makes a login, or a new secret for one that exists, and returns the secret: it
// is shown once and kept as hashes. mosquitto makes the one of mosquitto's form.
func (s *Store) AddLogin(ctx context.Context, l Login, random io.Reader, mosquitto func(secret string, random io.Reader) (string, error)) (auth.Secret, error) {
	if !loginName.MatchString(l.Username) {
		return auth.Secret{}, problem.Invalid(problem.FieldError{Field: "name", Message: "1 to 64 letters, digits, - and _"})
	}
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return auth.Secret{}, fmt.Errorf("make a device's secret: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b)
	hash := sha256.Sum256([]byte(secret))
	other, err := mosquitto(secret, random)
	if err != nil {
		return auth.Secret{}, err
	}
	var person any
	if !l.Person.IsZero() {
		person = l.Person[:]
	}
	_, err = s.exec(ctx, "add login", `INSERT INTO mqtt_login (username, secret, role, base, mac, person, mosquitto, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (username) DO UPDATE SET secret = excluded.secret, role = excluded.role, base = excluded.base, mac = excluded.mac, person = excluded.person,
		mosquitto = excluded.mosquitto, created_at = excluded.created_at`,
		l.Username, hash[:], l.Role, l.Base, l.MAC, person, other, milli(l.At))
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
	if err == nil { // an inbox that nobody can open is not told, and begins anew with the next login
		_, err = s.exec(ctx, "end an inbox", `DELETE FROM mqtt_told WHERE person NOT IN (SELECT person FROM mqtt_login WHERE person IS NOT NULL)`)
	}
	return err
}

// CheckLogin finds the login of a name and a secret; ok is false for a wrong one.
func (s *Store) CheckLogin(ctx context.Context, username, secret string) (l Login, ok bool, err error) {
	var hash []byte
	l, err = scanLogin(s.tables.DB().QueryRowContext(ctx, `SELECT `+loginColumns+`, secret FROM mqtt_login WHERE username = ?`, username).Scan, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return Login{}, false, nil
	}
	if err != nil {
		return Login{}, false, fmt.Errorf("look up login: %w", err)
	}
	sent := sha256.Sum256([]byte(secret))
	return l, subtle.ConstantTimeCompare(hash, sent[:]) == 1, nil
}

// Logins lists all logins, by name.
func (s *Store) Logins(ctx context.Context) ([]Login, error) {
	list, err := all(ctx, s.tables.DB(), func(rows *sql.Rows) (Login, error) { return scanLogin(rows.Scan) }, `SELECT `+loginColumns+` FROM mqtt_login ORDER BY username`)
	if err != nil {
		return nil, fmt.Errorf("list logins: %w", err)
	}
	return list, nil
}
