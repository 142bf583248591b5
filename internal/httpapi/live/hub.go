package live

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"estate/internal/obs"
	"estate/sync/record"
)

const (
	// keptMax and keptBytesMax bound the stretch of the feed that a hub keeps. Who is
	// further behind reads from the store.
	keptMax      = 1024
	keptBytesMax = 4 << 20
	// retryWait is the pause before a feed that could not be read is tried again.
	retryWait = time.Second
)

// hub reads one building's feed for everybody in this process who follows it.
type hub struct {
	server     *Server
	building   record.ID
	generation record.ID
	ctx        context.Context
	stop       context.CancelFunc
	begun      chan struct{} // closed when head is known

	mu        sync.Mutex
	listeners map[chan struct{}]struct{}
	kept      []*message // in feed order: all changes after from, up to head
	bytes     int
	from      uint64
	head      uint64
	rewound   bool // the store was set back: nothing here holds any more
	link      []byte
	linkN     uint64
	edges     map[record.ID]edgeText
	edgeN     uint64
}

func newHub(s *Server, building record.ID) *hub {
	ctx, stop := context.WithCancel(s.ctx)
	return &hub{server: s, building: building, generation: s.config.Source.Generation(), ctx: ctx, stop: stop,
		begun: make(chan struct{}), listeners: map[chan struct{}]struct{}{}, edges: map[record.ID]edgeText{}}
}

// run follows the feed until the last listener has left. Failing to read is logged once
// for each time that it begins.
func (h *hub) run() {
	moved, unwatch := h.server.config.Source.Watch(h.building)
	defer unwatch()
	linkMoved, unwatchLink := h.server.config.Source.WatchLink(h.building)
	defer unwatchLink()
	edgesMoved, unwatchEdges := h.server.config.Source.WatchEdges(h.building)
	defer unwatchEdges()
	failing := false
	for {
		err := h.read()
		switch {
		case errors.Is(err, ErrRewound):
			h.rewind()
			return
		case h.ctx.Err() != nil:
			return
		case err != nil && !failing:
			h.server.config.Log.ErrorContext(h.ctx, "follow feed", obs.Building(h.building), obs.Error(err))
		}
		failing = err != nil
		if !h.wait(moved, linkMoved, edgesMoved, failing) {
			return
		}
	}
}

// wait returns when there may be something to read; false when the hub has ended.
func (h *hub) wait(moved, linkMoved, edgesMoved <-chan struct{}, failing bool) bool {
	var retry <-chan time.Time
	if failing {
		timer := time.NewTimer(retryWait)
		defer timer.Stop()
		retry = timer.C
		moved = nil // the pause holds, however often the feed moves
	}
	for {
		select {
		case <-h.ctx.Done():
			return false
		case <-moved:
			return true
		case <-retry:
			return true
		case <-linkMoved:
			h.readLink()
		case <-edgesMoved:
			h.readEdges()
		}
	}
}

// read takes in everything up to the feed's end.
func (h *hub) read() error {
	source := h.server.config.Source
	select {
	case <-h.begun:
	default:
		end, err := source.End(h.ctx, h.building)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.from, h.head = end, end
		h.mu.Unlock()
		close(h.begun)
		h.readLink()
		h.readEdges()
	}
	for {
		if source.Generation() != h.generation {
			return ErrRewound
		}
		batch, err := source.Read(h.ctx, h.building, h.position())
		if err != nil {
			return err
		}
		h.keep(messagesOf(batch), batch.To)
		if !batch.More {
			return nil
		}
	}
}

func (h *hub) readLink() {
	status := h.server.config.Source.Link(h.ctx, h.building)
	if status == nil {
		return
	}
	text, err := json.Marshal(answer{Type: typeSync, Building: &h.building, Link: status})
	if err != nil {
		h.server.config.Log.ErrorContext(h.ctx, "encode link status", obs.Error(err))
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.link = text
	h.linkN++
	h.wake()
}

// keep adds a stretch and lets go of the oldest.
func (h *hub) keep(messages []*message, to uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		h.bytes += m.change.Bytes
	}
	h.kept = append(h.kept, messages...)
	h.head = max(h.head, to)
	gone := 0
	for len(h.kept)-gone > keptMax || h.bytes > keptBytesMax && gone < len(h.kept) {
		h.bytes -= h.kept[gone].change.Bytes
		h.from = h.kept[gone].change.Position
		gone++
	}
	if gone > 0 {
		h.kept = slices.Clone(h.kept[gone:])
	}
	h.wake()
}

// after gives what changed after a position and how far that reaches; ok is false for a
// position before what is kept.
func (h *hub) after(position uint64) (messages []*message, to uint64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if position < h.from {
		return nil, position, false
	}
	i := sort.Search(len(h.kept), func(i int) bool { return h.kept[i].change.Position > position })
	return h.kept[i:len(h.kept):len(h.kept)], max(position, h.head), true
}

func (h *hub) position() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head
}

// linkAfter gives the link's status if it is newer than the number.
func (h *hub) linkAfter(n uint64) ([]byte, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.linkN == n {
		return nil, n
	}
	return h.link, h.linkN
}

func (h *hub) rewind() {
	h.server.retire(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rewound = true
	h.wake()
}

func (h *hub) isRewound() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rewound
}

func (h *hub) listen(wake chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners[wake] = struct{}{}
}

// forget takes a listener out and says how many are left.
func (h *hub) forget(wake chan struct{}) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, wake)
	return len(h.listeners)
}

// wake tells every listener that there may be something. h.mu is held.
func (h *hub) wake() {
	for l := range h.listeners {
		nudge(l)
	}
}

func nudge(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}
