package ingest

import (
	"cmp"
	"strings"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/problem"
)

// report keeps what was not understood and tells a plain sensor about it.
func (i *Ingest) report(r decode.Result) {
	for _, u := range r.Unrecognised {
		i.unrecognised.Add(1)
		now := i.cfg.Now()
		one := Refusal{Login: cmp.Or(r.Device, senderOf(u.Topic)), Topic: u.Topic, Key: u.Key, Code: codeOf(u.Code), Reason: u.Reason}
		if i.refusals.add(one, now) {
			i.log.Warn("device message not understood", "topic", u.Topic, "key", u.Key, "code", u.Code, "reason", u.Reason)
		}
		if r.Device != "" {
			i.answer(r.Building, r.Device, one, u.Code, now)
		}
	}
}

// senderOf is the part of a topic that tells senders apart: a gateway's base, or a firmware's
// prefix and device.
func senderOf(topic string) string {
	first, rest, _ := strings.Cut(topic, "/")
	second, _, _ := strings.Cut(rest, "/")
	return first + "/" + second
}

// Refuse tells a device, where it is one of ours, and whoever looks at Refusals, what the broker
// refused. It may be called from any goroutine and does not block.
func (i *Ingest) Refuse(building, device string, r Refusal) {
	now := i.cfg.Now()
	if i.refusals.add(r, now) {
		i.log.Warn("the broker refused something", "login", r.Login, "topic", r.Topic, "code", r.Code, "reason", r.Reason)
	}
	if word := said(r.Code); building == i.cfg.Building && device != "" && word != "" {
		i.answer(building, device, r, word, now)
	}
}

func (i *Ingest) answer(building, device string, r Refusal, code decode.Code, now time.Time) {
	to, body, err := answer(building, device, r, code)
	if err == nil && i.refusals.due(to, now) {
		i.link.send(to, body)
	}
}

// Refusals lists what was sent and not taken, the latest first. Safe for concurrent use.
func (i *Ingest) Refusals() []Refusal {
	list := i.refusals.all()
	if n, worst := i.link.queue.lost(); n > 0 {
		at := i.link.droppedAt()
		list = append(list, Refusal{Topic: worst, Code: problem.MQTTLeftOut, Reason: "most of them on this topic", First: at.From, Last: at.To, Count: int(n)})
	}
	if d := i.drops.all(); d.Count > 0 {
		list = append(list, Refusal{Code: problem.MQTTBrokerDropped, Reason: "as the broker counts, of all its clients since its start", First: d.During.From, Last: d.During.To, Count: int(d.Count)})
	}
	return list
}

// RefusalTotals counts what was refused since the start, by code. Safe for concurrent use.
func (i *Ingest) RefusalTotals() map[problem.Code]int64 {
	out := i.refusals.totals()
	if n, _ := i.link.queue.lost(); n > 0 {
		out[problem.MQTTLeftOut] = n
	}
	if d := i.drops.all(); d.Count > 0 {
		out[problem.MQTTBrokerDropped] = d.Count
	}
	return out
}
