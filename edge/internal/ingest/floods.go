package ingest

import (
	"fmt"
	"strings"
	"time"

	"estate/internal/problem"
)

const (
	// floodEvery is the time over which messages are counted, as the embedded broker does.
	floodEvery = 10 * time.Second
	// floodAfter is how long after a time in which nobody was heard nothing is a flood: the broker
	// sends what it kept.
	floodAfter = time.Minute
)

// floods counts what comes by topics, where the broker is another's: it tells nobody who sends too
// much. It belongs to the goroutine that reads messages.
type floods struct {
	on   bool
	from time.Time
	came map[*topic]int
}

func (f *floods) count(m *message) {
	if f.on && !m.retained {
		f.came[m.topic]++
	}
}

// lookForFloods lists senders that sent far too much.
func (i *Ingest) lookForFloods(now time.Time) {
	f := &i.floods
	if !f.on || now.Sub(f.from) < floodEvery {
		return
	}
	seconds, began := now.Sub(f.from).Seconds(), f.from.IsZero()
	came := f.came
	f.from, f.came = now, map[*topic]int{}
	if began || now.Sub(i.link.last().To) < floodAfter {
		return
	}
	senders := map[string]int{}
	for t, n := range came {
		senders[i.floodSender(t.name)] += n
	}
	for sender, n := range senders {
		limit := i.cfg.FloodDevice
		if i.gateways.has(sender) {
			limit = i.cfg.FloodGateway
		}
		rate := float64(n) / seconds
		if rate <= float64(limit) {
			continue
		}
		building, device := "", ""
		if own := strings.Split(sender, "/"); len(own) == ownLevels {
			building, device = own[2], own[4]
		}
		one := Refusal{Login: sender, Topic: sender + "/#", Code: problem.MQTTFlood, Reason: fmt.Sprintf("%.0f messages a second over %.0f s; no such sender needs more than %d", rate, seconds, limit)}
		if device != "" {
			one.Login = device
		}
		i.Refuse(building, device, one)
	}
}

// ownLevels are those of a topic of ours up to the device: estate/v1/<building>/dev/<device>.
const ownLevels = 5

// floodSender is the part of a topic that one sender has for itself.
func (i *Ingest) floodSender(name string) string {
	if levels := strings.SplitN(name, "/", ownLevels+1); levels[0] == "estate" && len(levels) > ownLevels {
		return strings.Join(levels[:ownLevels], "/")
	}
	first, _, _ := strings.Cut(name, "/")
	if i.gateways.has(first) {
		return first
	}
	return senderOf(name)
}
