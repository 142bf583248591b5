package authtest

import (
	"context"
	"sync"
	"time"

	"estate/internal/auth"
	"estate/sync/record"
)

// Accounts is a table of accounts in memory.
type Accounts struct {
	mu   sync.Mutex
	rows map[record.ID]auth.Account
}

// NewAccounts makes a table with these accounts.
func NewAccounts(accounts ...auth.Account) *Accounts {
	a := &Accounts{rows: make(map[record.ID]auth.Account)}
	for _, account := range accounts {
		a.Put(account)
	}
	return a
}

// Put adds or replaces an account.
func (a *Accounts) Put(account auth.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows[account.Person] = account
}

// FindByEmail implements auth.Accounts.
func (a *Accounts) FindByEmail(_ context.Context, email string) (auth.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, account := range a.rows {
		if account.Email == email {
			return account, nil
		}
	}
	return auth.Account{}, auth.ErrNoAccount
}

// ByID implements auth.Accounts.
func (a *Accounts) ByID(_ context.Context, person record.ID) (auth.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, held := a.rows[person]
	if !held {
		return auth.Account{}, auth.ErrNoAccount
	}
	return account, nil
}

// Clock is a clock that tests move by hand.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock makes a clock that stands at a fixed time.
func NewClock() *Clock { return &Clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
