package decode

import "slices"

// A broker delivers what it kept in an order of its own: a value, or a last will, often before the
// announcement that says what it is. Many devices say either once only. So what came on a topic
// that nothing is known of is held until something is announced on it.

const (
	// heldMax and heldBytesMax bound what is held. Real buildings have some hundreds of such topics
	// with short payloads.
	heldMax      = 2000
	heldBytesMax = 1 << 20
	// heldPayloadMax leaves out what is no value: pictures, logs, lists.
	heldPayloadMax = 4 << 10
)

// held are the last messages of topics that nothing is known of.
type held struct {
	// topics are in the order in which they came first; those that were dropped may be among them.
	topics  []string
	last    map[string]Message
	bytes   int
	waiting []string // topics that were announced since
}

// hold keeps a message. The topics that came first give way.
func (h *held) hold(m Message) {
	if len(m.Payload) == 0 || len(m.Payload) > heldPayloadMax {
		h.drop(m.Topic)
		return
	}
	if before, known := h.last[m.Topic]; known {
		h.bytes -= len(before.Topic) + len(before.Payload)
	} else {
		h.topics = append(h.topics, m.Topic)
	}
	m.Payload = slices.Clone(m.Payload)
	h.last[m.Topic] = m
	h.bytes += len(m.Topic) + len(m.Payload)
	for len(h.last) > heldMax || h.bytes > heldBytesMax || len(h.topics) > 2*heldMax {
		h.drop(h.topics[0])
		h.topics = h.topics[1:]
	}
}

func (h *held) drop(topic string) {
	if m, ok := h.last[topic]; ok {
		h.bytes -= len(m.Topic) + len(m.Payload)
		delete(h.last, topic)
	}
}

// announced notes that a topic means something now.
func (h *held) announced(topic string) {
	if _, ok := h.last[topic]; ok && !slices.Contains(h.waiting, topic) {
		h.waiting = append(h.waiting, topic)
	}
}

// catchUp reads what was held of topics that were announced by a message. It is how things are, as
// what a broker kept is, and no event.
func (d *Decoder) catchUp(r *Result) {
	for len(d.held.waiting) > 0 {
		topic := d.held.waiting[0]
		d.held.waiting = d.held.waiting[1:]
		m, ok := d.held.last[topic]
		if !ok {
			continue
		}
		d.held.drop(topic)
		m.Retained = true
		d.bound(r, m)
	}
}
