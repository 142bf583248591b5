package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"estate/internal/problem"
)

const (
	// PasswordRunesMin follows NIST SP 800-63B's advice of length over composition rules.
	PasswordRunesMin = 10
	// PasswordBytesMax bounds the work that one request can ask for.
	PasswordBytesMax = 200
	// HashesAtOnceDefault keeps the memory of password checks near 38 MiB.
	HashesAtOnceDefault = 2
	// hashesWaitingMax is how many callers may wait for a free slot: at some 30 ms a hash
	// the last of them waits about a second. More are refused at once.
	hashesWaitingMax = 64
)

// Passwords hashes and checks passwords with argon2id, a bounded number at a time. Passwords
// are brought to NFC first, so the same text typed on two keyboards is the same password.
type Passwords struct {
	random  io.Reader
	slots   chan struct{}
	waiting atomic.Int32
	dummy   phc
	derive  func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
}

// NewPasswords makes a checker that runs at most atOnce hashes at a time (0 means
// HashesAtOnceDefault). It fails when the source of random bytes does.
func NewPasswords(atOnce int, random io.Reader) (*Passwords, error) {
	if atOnce <= 0 {
		atOnce = HashesAtOnceDefault
	}
	salt, err := randomBytes(random, argonSaltBytes)
	if err != nil {
		return nil, fmt.Errorf("make dummy salt: %w", err)
	}
	key, err := randomBytes(random, argonKeyBytes)
	if err != nil {
		return nil, fmt.Errorf("make dummy key: %w", err)
	}
	return &Passwords{
		random: random,
		slots:  make(chan struct{}, atOnce),
		derive: argon2.IDKey,
		// A random key is a hash of no known password: comparing with it costs what any
		// comparison costs and never succeeds.
		dummy: phc{memoryKiB: argonMemoryKiB, time: argonTime, threads: argonThreads, salt: salt, key: key},
	}, nil
}

// CheckPolicy returns password_too_weak when a new password may not be used for the account
// with this e-mail address.
func CheckPolicy(password Secret, email string) error {
	text := password.Reveal()
	switch {
	case !utf8.ValidString(text):
		return problem.New(problem.PasswordTooWeak, "it is not valid UTF-8")
	case len(text) > PasswordBytesMax || len(norm.NFC.String(text)) > PasswordBytesMax:
		return problem.New(problem.PasswordTooWeak, "it is longer than %d bytes", PasswordBytesMax)
	case utf8.RuneCountInString(norm.NFC.String(text)) < PasswordRunesMin:
		return problem.New(problem.PasswordTooWeak, "it is shorter than %d characters", PasswordRunesMin)
	}
	folded := norm.NFC.String(strings.ToLower(norm.NFC.String(text)))
	if strings.TrimSpace(folded) == "" {
		return problem.New(problem.PasswordTooWeak, "it holds only spaces")
	}
	if own, err := NormaliseEmail(email); err == nil && strings.Contains(folded, own) {
		return problem.New(problem.PasswordTooWeak, "it holds the account's e-mail address")
	}
	return nil
}

// Hash gives the PHC form of a new password. It returns password_too_weak by CheckPolicy,
// unavailable when too many wait, and the context's error.
func (p *Passwords) Hash(ctx context.Context, password Secret, email string) (string, error) {
	if err := CheckPolicy(password, email); err != nil {
		return "", err
	}
	salt, err := randomBytes(p.random, argonSaltBytes)
	if err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	h := phc{memoryKiB: argonMemoryKiB, time: argonTime, threads: argonThreads, salt: salt}
	h.key, err = p.run(ctx, password, h, argonKeyBytes)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return h.String(), nil
}

// Check reports whether a password matches a stored hash. An empty or unreadable hash, as
// of an unknown account, costs the same time and never matches. It returns unavailable when
// too many wait, and the context's error.
func (p *Passwords) Check(ctx context.Context, password Secret, hash string) (bool, error) {
	if len(password.Reveal()) > PasswordBytesMax {
		return false, nil // depends on the input alone, so it tells nothing about accounts
	}
	h, err := parsePHC(hash)
	readable := err == nil
	if !readable {
		h = p.dummy
	}
	key, err := p.run(ctx, password, h, len(h.key))
	if err != nil {
		return false, fmt.Errorf("check password: %w", err)
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1 && readable, nil
}

// run derives a key when a slot is free.
func (p *Passwords) run(ctx context.Context, password Secret, h phc, keyBytes int) ([]byte, error) {
	if p.waiting.Add(1) > hashesWaitingMax {
		p.waiting.Add(-1)
		return nil, problem.New(problem.Unavailable, "too many sign-ins at once")
	}
	select {
	case p.slots <- struct{}{}:
		p.waiting.Add(-1)
	case <-ctx.Done():
		p.waiting.Add(-1)
		return nil, fmt.Errorf("wait for a password slot: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	return p.derive(norm.NFC.Bytes([]byte(password.Reveal())), h.salt, h.time, h.memoryKiB, h.threads, uint32(keyBytes)), nil
}
