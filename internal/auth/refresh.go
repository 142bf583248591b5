package auth

// Refresh tokens rotate at each use (RFC 6749 section 6, RFC 9700 section 4.14.2). The state
// of one token:
//
//	           used                     sent again within ResendGrace, same client,
//	current ─────────▶ rotated ──┬──── successor not used ──▶ the successor is rotated
//	   │                         └──── anything else ───────▶ family revoked
//	   └── sign-out, reuse ──▶ revoked
//
// A client on a bad network sends a token again when the answer was lost. The successor's
// text is stored nowhere, so it cannot be sent again: the current token of the family is
// rotated once more and its successor goes to the client. The token that was lost is then
// a rotated one, so a thief who caught it is found out when he uses it. A client must
// refresh one request at a time: of two tabs that refresh at once, one is left with a
// rotated token.

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

const (
	// RefreshLife is how long an unused refresh token lives; each use begins it anew.
	RefreshLife = 30 * 24 * time.Hour
	// ResendGrace is how long after its use a token may be sent again for a lost answer:
	// longer than a client's timeout, too short for a thief to be handy.
	ResendGrace = 30 * time.Second

	// refreshPrefix lets secret scanners find a leaked token.
	refreshPrefix = "estate_rt_"
	// refreshBytes is 256 bits: no guessing, so a plain hash may be stored.
	refreshBytes = 32
	// resendsMax bounds the chain of re-sent tokens that one request walks.
	resendsMax = 8
	// rotateAttemptsMax bounds retries when several requests rotate one token at once.
	rotateAttemptsMax = 4
)

// mint makes a refresh token and its row.
func (s *Service) mint(family, person record.ID, client Client, now time.Time) (Session, Secret, error) {
	b, err := randomBytes(s.cfg.Random, refreshBytes)
	if err != nil {
		return Session{}, Secret{}, fmt.Errorf("make refresh token: %w", err)
	}
	text := refreshPrefix + base64.RawURLEncoding.EncodeToString(b)
	return Session{
		Hash:      hashToken(text),
		Family:    family,
		Person:    person,
		ClientID:  clip(client.ID, clientIDBytesMax),
		Agent:     clip(client.Agent, agentBytesMax),
		CreatedAt: now,
		ExpiresAt: now.Add(RefreshLife),
	}, NewSecret(text), nil
}

// refreshHash gives the hash of a token's text, or false for what no mint made.
func refreshHash(token Secret) (TokenHash, bool) {
	text := token.Reveal()
	body, found := strings.CutPrefix(text, refreshPrefix)
	if !found || len(body) != base64.RawURLEncoding.EncodedLen(refreshBytes) {
		return TokenHash{}, false
	}
	return hashToken(text), true
}

// Refresh exchanges a refresh token for new tokens. It returns token_invalid, token_expired,
// refresh_reused (and ends the family) when a used token comes back, account_disabled, and
// unavailable when other requests kept rotating the same token.
func (s *Service) Refresh(ctx context.Context, token Secret, client Client) (Tokens, error) {
	hash, ok := refreshHash(token)
	if !ok {
		return Tokens{}, problem.New(problem.TokenInvalid, "")
	}
	for range rotateAttemptsMax {
		now := s.now()
		current, resent, err := s.current(ctx, hash, client, now)
		if err != nil {
			return Tokens{}, err
		}
		if err := s.checkAccount(ctx, current, now); err != nil {
			return Tokens{}, err
		}
		next, refresh, err := s.mint(current.Family, current.Person, client, now)
		if err != nil {
			return Tokens{}, err
		}
		next.Resent = resent
		switch err := s.cfg.Sessions.Rotate(ctx, current.Hash, next); {
		case err == nil:
			return s.tokens(next, refresh, now)
		case errors.Is(err, ErrRotated):
			continue // another request was first: decide again on what it left
		case errors.Is(err, ErrRevoked), errors.Is(err, ErrNoSession):
			return Tokens{}, problem.New(problem.TokenInvalid, "the session has ended")
		default:
			return Tokens{}, fmt.Errorf("rotate refresh token: %w", err)
		}
	}
	return Tokens{}, problem.New(problem.Unavailable, "the same sign-in is being refreshed elsewhere")
}

// current finds the token to rotate for the token that was sent: itself, or its last
// successor where it was sent again for a lost answer.
func (s *Service) current(ctx context.Context, hash TokenHash, client Client, now time.Time) (Session, bool, error) {
	sent, err := s.find(ctx, hash)
	if err != nil {
		return Session{}, false, err
	}
	if !sent.RevokedAt.IsZero() {
		return Session{}, false, problem.New(problem.TokenInvalid, "the session has ended")
	}
	if sent.RotatedAt.IsZero() {
		if !now.Before(sent.ExpiresAt) {
			return Session{}, false, problem.New(problem.TokenExpired, "")
		}
		return sent, false, nil
	}
	if now.Sub(sent.RotatedAt) > ResendGrace || !sameClient(sent, client) {
		return Session{}, false, s.reused(ctx, sent, now)
	}
	// Successors that were themselves only answers to a re-send may be followed; one that
	// came back from the client proves that its answer was not lost.
	tip := sent
	for range resendsMax {
		next, err := s.find(ctx, tip.Successor)
		if err != nil {
			return Session{}, false, err
		}
		if tip.Hash != sent.Hash && !next.Resent {
			return Session{}, false, s.reused(ctx, sent, now)
		}
		tip = next
		if tip.RotatedAt.IsZero() {
			return tip, true, nil
		}
	}
	return Session{}, false, s.reused(ctx, sent, now)
}

func (s *Service) find(ctx context.Context, hash TokenHash) (Session, error) {
	session, err := s.cfg.Sessions.FindByHash(ctx, hash)
	if errors.Is(err, ErrNoSession) {
		return Session{}, problem.New(problem.TokenInvalid, "")
	}
	if err != nil {
		return Session{}, fmt.Errorf("find refresh token: %w", err)
	}
	return session, nil
}

func sameClient(session Session, client Client) bool {
	return session.ClientID == clip(client.ID, clientIDBytesMax) && session.Agent == clip(client.Agent, agentBytesMax)
}

// reused ends a family whose used token came back: either its owner or a thief holds the
// current one, and nobody can tell which.
func (s *Service) reused(ctx context.Context, sent Session, now time.Time) error {
	if err := s.cfg.Sessions.RevokeFamily(ctx, sent.Family, now); err != nil {
		return fmt.Errorf("revoke family of a reused refresh token: %w", err)
	}
	s.cfg.Log.WarnContext(ctx, "refresh token reused; session ended",
		slog.String("person", sent.Person.String()), slog.String("session", sent.Family.String()))
	return problem.New(problem.RefreshReused, "")
}

// checkAccount ends the session of an account that is gone or disabled.
func (s *Service) checkAccount(ctx context.Context, session Session, now time.Time) error {
	account, err := s.cfg.Accounts.ByID(ctx, session.Person)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return fmt.Errorf("find account: %w", err)
	}
	if err == nil && !account.Disabled {
		return nil
	}
	if revokeErr := s.cfg.Sessions.RevokeFamily(ctx, session.Family, now); revokeErr != nil {
		return fmt.Errorf("revoke session of a closed account: %w", revokeErr)
	}
	if err != nil {
		return problem.New(problem.TokenInvalid, "the account is gone")
	}
	return problem.New(problem.AccountDisabled, "")
}
