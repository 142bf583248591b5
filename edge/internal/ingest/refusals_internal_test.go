package ingest

import (
	"fmt"
	"testing"
	"time"

	"estate/internal/problem"
)

// TestRefusalsAreBounded: who sends nonsense to ever new topics, and strangers who try ever new
// names, push out nothing of others; all are counted.
func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRefusals()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	quiet := Refusal{Login: "quiet", Topic: "estate/v1/oak/dev/quiet/stat", Code: problem.MQTTTopicUnheard}
	r.add(quiet, now)
	const many = 5000
	for n := range many {
		now = now.Add(time.Second)
		r.add(Refusal{Login: "noisy", Topic: fmt.Sprint("a/", n), Code: problem.MQTTPublishForbidden}, now)
		r.add(Refusal{Login: fmt.Sprint("guess ", n), Code: problem.MQTTLoginRefused, Reason: fmt.Sprint("try ", n)}, now)
	}
	if r.add(quiet, now) {
		t.Error("the quiet one was pushed out")
	}
	list := r.all()
	if len(list) > 2*(refusalsEach+1)+1 {
		t.Errorf("%d lines", len(list))
	}
	counted := map[problem.Code]int{}
	for _, one := range list {
		counted[one.Code] += one.Count
	}
	if counted[problem.MQTTPublishForbidden] != many || counted[problem.MQTTLoginRefused] != many || r.totals()[problem.MQTTLoginRefused] != many {
		t.Errorf("counted %v, totals %v", counted, r.totals())
	}
	for n := range refusalsMax + 10 { // honest ones, but too many: those of longest ago go
		now = now.Add(time.Second)
		r.add(Refusal{Login: fmt.Sprint("device ", n), Topic: "x", Code: problem.MQTTPayloadRefused}, now)
	}
	if list = r.all(); len(list) != refusalsMax || list[0].Login != fmt.Sprint("device ", refusalsMax+9) {
		t.Errorf("%d lines, the first %+v", len(list), list[0])
	}
}
