package cloud

import "testing"

// TestRest: memory is given back after work, not in its pauses, and not again and again; what
// heartbeats leave is collected before it is much.
func TestRest(t *testing.T) {
	t.Parallel()
	var r resting
	for i, step := range []struct {
		total uint64
		want  round
	}{
		{busyBytes, nothing},       // the start itself is work
		{2 * busyBytes, nothing},   // more of it
		{2*busyBytes + 1, release}, // it has ended
		{2*busyBytes + 2, release}, {2*busyBytes + 3, release},
		{2*busyBytes + 4, nothing}, // nothing new to give back
		{2*busyBytes + idleBytes/2, nothing}, {2*busyBytes + idleBytes + 3, release}, {2*busyBytes + idleBytes + 4, nothing},
		{2*busyBytes + idleBytes + 4 + quietBytes, collect}, // a little work
		{5 * busyBytes, nothing}, {5*busyBytes + 1, release},
		{7 * busyBytes, nothing}, // work goes on
	} {
		if got := r.due(step.total); got != step.want {
			t.Errorf("step %d: %d, want %d", i, got, step.want)
		}
	}
}
