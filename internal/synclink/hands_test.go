package synclink

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hand that is done takes the next thing, for a while; then it is gone.
func TestHands(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, done := newHands(), atomic.Int32{}
		h.do(func() { done.Add(1) })
		synctest.Wait()
		select {
		case h.next <- func() { done.Add(1) }:
		default:
			t.Error("nobody rests after the first")
		}
		synctest.Wait()
		<-time.After(2 * handRest)
		select {
		case h.next <- func() { done.Add(1) }:
			t.Error("somebody rests for ever")
		default:
		}
		gate := make(chan struct{})
		for range 3 { // nothing waits for another
			h.do(func() { <-gate; done.Add(1) })
			synctest.Wait()
		}
		close(gate)
		synctest.Wait()
		<-time.After(2 * handRest)
		if done.Load() != 5 {
			t.Errorf("%d things done, want 5", done.Load())
		}
		h = hands{}
		h.do(func() { done.Add(1) })
		synctest.Wait()
		if done.Load() != 6 {
			t.Error("the zero value does nothing")
		}
	})
}
