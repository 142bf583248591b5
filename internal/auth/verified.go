package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// verifiedMax bounds the tokens that a key ring remembers, at about 250 bytes each. With
// more people at once than that, each costs one more check of a signature now and then.
const verifiedMax = 8192

// verified remembers people's tokens whose signature and content were checked, so that a
// token is not verified again at each request: the signature costs more than all else that
// a request does before its use case. Only good tokens are kept, under their hash. What can
// change stays checked: the times, the keys, and by the Service whether the session lives.
type verified struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]verifiedToken
}

// verifiedToken is what a token said and what that rests on.
type verifiedToken struct {
	identity Identity
	key      IssuerKey
	// keys is the ring's list with which it was verified: another list counts anew.
	keys *map[string]IssuerKey
	// from and to are when the token is good, the leeway included.
	from, to time.Time
}

// find gives what a token said, where it is still good.
func (v *verified) find(hash [sha256.Size]byte, keys *map[string]IssuerKey, now time.Time) (Identity, bool) {
	v.mu.RLock()
	t, ok := v.tokens[hash]
	v.mu.RUnlock()
	if !ok || t.keys != keys || now.Before(t.from) || !now.Before(t.to) || (!t.key.Until.IsZero() && !now.Before(t.key.Until)) {
		return Identity{}, false
	}
	return t.identity, true
}

func (v *verified) keep(hash [sha256.Size]byte, t verifiedToken) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens == nil || len(v.tokens) >= verifiedMax {
		v.tokens = map[[sha256.Size]byte]verifiedToken{}
	}
	v.tokens[hash] = t
}
