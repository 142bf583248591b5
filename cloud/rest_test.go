package cloud

import "testing"

// TestRest: memory is given back after work, not in its pauses, and not again and again.
func TestRest(t *testing.T) {
	t.Parallel()
	var r resting
	for i, step := range []struct {
		total uint64
		due   bool
	}{
		{busyBytes, false},      // the start itself is work
		{2 * busyBytes, false},  // more of it
		{2*busyBytes + 1, true}, // it has ended
		{2*busyBytes + 2, true}, {2*busyBytes + 3, true},
		{2*busyBytes + 4, false}, {3 * busyBytes, false}, // nothing new to give back
		{5 * busyBytes, false}, {5*busyBytes + 1, true},
		{7 * busyBytes, false}, // work goes on
	} {
		if got := r.due(step.total); got != step.due {
			t.Errorf("step %d: due is %v", i, got)
		}
	}
}
