package ingest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/problem"
)

const (
	// refusalsMax bounds the list of what was not taken, at some 100 KiB.
	refusalsMax = 500
	// refusalsEach bounds what one sender, or one code of those who were not let in, takes of
	// it: who sends nonsense to ever new topics must not push out what others need to know.
	refusalsEach = 40
	// refusalTextMax bounds each text, which strangers choose, in bytes.
	refusalTextMax = 300
	// reportEvery keeps a sensor with a bad format from being answered at its own rate.
	reportEvery = 10 * time.Second
)

// Refusal is something that was sent and not taken, with how often.
type Refusal struct {
	// Login is the login or client id that it came from, where that is known; else the part of
	// the topic that tells senders apart.
	Login string
	Topic string
	Key   string
	Code  problem.Code
	// Reason is what was wrong this time.
	Reason      string
	First, Last time.Time
	Count       int
}

// refusalKey is what makes two refusals one line.
type refusalKey struct {
	login, topic, key string
	code              problem.Code
	reason            string
}

// refusals is safe for concurrent use.
type refusals struct {
	mu       sync.Mutex
	list     map[refusalKey]*Refusal
	lines    map[string]int // how many lines each group has
	codes    map[problem.Code]int64
	answered map[string]time.Time // error topic → last answer
}

func newRefusals() refusals {
	return refusals{list: map[refusalKey]*Refusal{}, lines: map[string]int{}, codes: map[problem.Code]int64{}, answered: map[string]time.Time{}}
}

// group is whose lines are bounded together. Who was not let in may call itself anything.
func (r Refusal) group() string {
	if slices.Contains([]problem.Code{problem.MQTTLoginRefused, problem.MQTTProtocol, problem.MQTTVersion}, r.Code) {
		return "code " + string(r.Code)
	}
	return "login " + r.Login
}

// add counts a refusal and says whether it is new.
func (r *refusals) add(one Refusal, now time.Time) bool {
	for _, text := range []*string{&one.Login, &one.Topic, &one.Key, &one.Reason} {
		*text = cut(*text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codes[one.Code]++
	id, group := refusalKey{one.Login, one.Topic, one.Key, one.Code, grouped(one)}, one.group()
	if old, ok := r.list[id]; ok {
		old.Last, old.Reason = now, one.Reason
		old.Count++
		return false
	}
	if r.lines[group] >= refusalsEach {
		if id, one = others(one); r.list[id] != nil {
			r.list[id].Last = now
			r.list[id].Count++
			return false
		}
	}
	if len(r.list) >= refusalsMax {
		r.evict()
	}
	one.First, one.Last, one.Count = now, now, 1
	r.list[id] = &one
	r.lines[group]++
	return true
}

// grouped is what of a reason tells lines apart: figures in a reason would make a line each time.
func grouped(one Refusal) string {
	if one.Code == problem.MQTTPayloadRefused {
		return one.Reason
	}
	return ""
}

// others is the line of what finds no line of its own.
func others(one Refusal) (refusalKey, Refusal) {
	if one.group() != "login "+one.Login {
		one.Login = ""
	}
	one.Topic, one.Key, one.Reason = "", "", "more of this kind"
	return refusalKey{login: one.Login, code: one.Code, reason: one.Reason}, one
}

func cut(text string) string {
	if len(text) > refusalTextMax {
		text = text[:refusalTextMax] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}

// evict drops the line that was heard of longest ago.
func (r *refusals) evict() {
	var oldest refusalKey
	var at time.Time
	for k, one := range r.list {
		if at.IsZero() || one.Last.Before(at) {
			oldest, at = k, one.Last
		}
	}
	group := r.list[oldest].group()
	if r.lines[group]--; r.lines[group] <= 0 {
		delete(r.lines, group)
	}
	delete(r.list, oldest)
}

// due says whether a device may be answered now, and notes that it was.
func (r *refusals) due(topic string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, ok := r.answered[topic]; ok && now.Sub(last) < reportEvery {
		return false
	}
	if len(r.answered) >= refusalsMax {
		clear(r.answered) // answering some a little too often beats growing
	}
	r.answered[topic] = now
	return true
}

// all lists the refusals, the latest first.
func (r *refusals) all() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Refusal, 0, len(r.list))
	for _, one := range r.list {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		return cmp.Or(b.Last.Compare(a.Last), cmp.Compare(a.Login, b.Login), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// totals counts refusals by their codes.
func (r *refusals) totals() map[problem.Code]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.codes)
}

// said is the word for a code of the broker's in the contract with devices; empty for what a
// device cannot be told.
func said(code problem.Code) decode.Code {
	return map[problem.Code]decode.Code{problem.MQTTPublishForbidden: decode.TopicNotPermitted, problem.MQTTSubscribeForbidden: decode.TopicNotPermitted,
		problem.MQTTTopicCharacters: decode.TopicCharacters, problem.MQTTPayloadTooLarge: decode.PayloadTooLarge,
		problem.MQTTClientIDTwice: decode.ClientIDTwice, problem.MQTTFlood: decode.TooManyMessages}[code]
}

// codeOf is a decoder's code among those that people see.
func codeOf(code decode.Code) problem.Code {
	switch code {
	case decode.PayloadTooLarge:
		return problem.MQTTPayloadTooLarge
	case decode.UnknownTopic, decode.AnotherBuilding:
		return problem.MQTTTopicUnheard
	default:
		return problem.MQTTPayloadRefused
	}
}

// answer is what a plain sensor finds on its error topic.
func answer(building, device string, r Refusal, code decode.Code) (string, []byte, error) {
	reason := r.Reason
	if reason == "" {
		p := problem.New(r.Code, "")
		reason = p.Message() + ". " + p.Remedy()
	}
	body, err := json.Marshal(map[string]string{"topic": r.Topic, "key": r.Key, "code": string(code), "reason": reason})
	if err != nil {
		return "", nil, fmt.Errorf("write the answer to device %q: %w", device, err)
	}
	return "estate/v1/" + building + "/dev/" + device + "/error", body, nil
}
