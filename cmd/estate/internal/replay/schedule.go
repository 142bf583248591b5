package replay

import "time"

// schedule says when each message is to be sent, counted from the first: with the pauses of the
// recording divided by the speed, no longer than pauseMax each, and --every where the recording
// does not say. What was recorded out of order follows at once.
func schedule(o options, all []message) []time.Duration {
	out := make([]time.Duration, len(all))
	for i := 1; i < len(all); i++ {
		wait := o.every
		switch before, next := all[i-1].at, all[i].at; {
		case o.speed == 0:
			wait = 0
		case !before.IsZero() && !next.IsZero():
			wait = min(max(0, time.Duration(float64(next.Sub(before))/o.speed)), pauseMax)
		}
		out[i] = out[i-1] + wait
	}
	return out
}
