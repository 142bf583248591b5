package groupcommit

import "sync"

// Keyed has one queue, or gatherer, for each key that is in use. It is made for the first
// caller and dropped with the last, so that what is kept is bounded by who asks at once, and
// not by what was ever asked for. Set New before first use; it is safe for concurrent use.
type Keyed[K comparable, Q any] struct {
	New func(K) Q

	mu   sync.Mutex
	used map[K]*used[Q]
}

type used[Q any] struct {
	one   Q
	users int
}

// With runs fn on the one of a key. Whoever comes while fn runs gets the same one.
func (k *Keyed[K, Q]) With(key K, fn func(Q)) {
	u := k.enter(key)
	defer k.leave(key, u)
	fn(u.one)
}

func (k *Keyed[K, Q]) enter(key K) *used[Q] {
	k.mu.Lock()
	defer k.mu.Unlock()
	u := k.used[key]
	if u == nil {
		if k.used == nil {
			k.used = map[K]*used[Q]{}
		}
		u = &used[Q]{one: k.New(key)}
		k.used[key] = u
	}
	u.users++
	return u
}

func (k *Keyed[K, Q]) leave(key K, u *used[Q]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if u.users--; u.users == 0 {
		delete(k.used, key)
	}
}

// Len is how many keys are in use.
func (k *Keyed[K, Q]) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.used)
}
