package ingest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"estate/edge/internal/decode"
)

const (
	// refusalsMax bounds the list of what was not understood.
	refusalsMax = 500
	// reportEvery keeps a sensor with a bad format from being answered at its own rate.
	reportEvery = 10 * time.Second
)

// Refusal is something that was sent and not taken, with how often.
type Refusal struct {
	Topic, Key, Reason string
	First, Last        time.Time
	Count              int
}

// refusals is safe for concurrent use.
type refusals struct {
	mu       sync.Mutex
	list     map[[3]string]*Refusal
	answered map[string]time.Time // error topic → last answer
}

// add counts a refusal and says whether it is new.
func (r *refusals) add(topic, key, reason string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := [3]string{topic, key, reason}
	if one, ok := r.list[id]; ok {
		one.Last, one.Count = now, one.Count+1
		return false
	}
	if len(r.list) >= refusalsMax {
		var oldest [3]string
		var at time.Time
		for k, one := range r.list {
			if at.IsZero() || one.Last.Before(at) {
				oldest, at = k, one.Last
			}
		}
		delete(r.list, oldest)
	}
	r.list[id] = &Refusal{Topic: topic, Key: key, Reason: reason, First: now, Last: now, Count: 1}
	return true
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

func (r *refusals) all() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Refusal, 0, len(r.list))
	for _, one := range r.list {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// answer is what a plain sensor finds on its error topic.
func answer(building, device, topic, key string, code decode.Code, reason string) (string, []byte, error) {
	body, err := json.Marshal(map[string]string{"topic": topic, "key": key, "code": string(code), "reason": reason})
	if err != nil {
		return "", nil, fmt.Errorf("write the answer to device %q: %w", device, err)
	}
	return "estate/v1/" + building + "/dev/" + device + "/error", body, nil
}
