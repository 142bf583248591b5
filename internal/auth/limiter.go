package auth

import (
	"container/list"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// RetryAfter is the cause of a rate_limited problem; the API sends it as Retry-After.
type RetryAfter struct{ Wait time.Duration }

// Error is the text for logs.
func (r *RetryAfter) Error() string { return fmt.Sprintf("rate limit: retry after %s", r.Wait) }

// Limiter is a token bucket for each of a bounded number of keys; the key used longest ago
// makes room for a new one.
type Limiter struct {
	every   time.Duration
	burst   int
	keysMax int
	now     func() time.Time

	mu    sync.Mutex
	order *list.List // of *bucket, most recently used first
	keys  map[string]*list.Element
}

type bucket struct {
	key   string
	limit *rate.Limiter
}

// NewLimiter allows burst takes at once and one more each period, for at most keysMax keys.
func NewLimiter(every time.Duration, burst, keysMax int, now func() time.Time) *Limiter {
	return &Limiter{every: every, burst: burst, keysMax: max(keysMax, 1), now: now,
		order: list.New(), keys: make(map[string]*list.Element)}
}

// Take takes one from the key's bucket, or says how long to wait for one.
func (l *Limiter) Take(key string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, held := l.keys[key]
	if held {
		l.order.MoveToFront(e)
	} else {
		if l.order.Len() >= l.keysMax {
			if oldest, isBucket := l.order.Remove(l.order.Back()).(*bucket); isBucket {
				delete(l.keys, oldest.key)
			}
		}
		e = l.order.PushFront(&bucket{key: key, limit: rate.NewLimiter(rate.Every(l.every), l.burst)})
		l.keys[key] = e
	}
	b, _ := e.Value.(*bucket)
	now := l.now()
	r := b.limit.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// Clear gives the key a full bucket again, as after a good sign-in.
func (l *Limiter) Clear(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, held := l.keys[key]; held {
		l.order.Remove(e)
		delete(l.keys, key)
	}
}

// Len is the number of keys held.
func (l *Limiter) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.order.Len()
}
