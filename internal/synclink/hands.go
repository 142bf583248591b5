package synclink

import "time"

// handRest is how long a goroutine that is done waits for more. What a store needs of a stack
// is much more than a new one has: to grow it for each thing that is done costs a sixth of
// the processor when a fleet comes back. In quiet times none is kept.
const handRest = 250 * time.Millisecond

// hands do what the lines of a server have to do, each thing on a goroutine; the zero value
// takes a new one each time.
type hands struct{ next chan func() }

func newHands() hands { return hands{next: make(chan func())} }

func (h hands) do(fn func()) {
	select {
	case h.next <- fn: // to one that rests
	default:
		go h.run(fn)
	}
}

func (h hands) run(fn func()) {
	if fn(); h.next == nil {
		return
	}
	rest := time.NewTimer(handRest)
	defer rest.Stop()
	for {
		select {
		case fn = <-h.next:
		case <-rest.C:
			return
		}
		fn()
		rest.Reset(handRest)
	}
}
