package sim_test

import (
	"estate/sync/sim"
	"testing"
)

func TestShrinkTmp(t *testing.T) {
	c := config(t, *seed)
	c, r := sim.Shrink(c, 400)
	t.Log(c.Replay())
	for _, v := range r.Violations {
		t.Log(v)
	}
}
