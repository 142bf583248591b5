package ingest

import (
	"io"
	"sync"
	"time"

	"estate/edge/internal/decode"
)

const (
	// queueMax is how many QoS 0 messages may wait to be stored. Those of QoS 1 need no such
	// bound: a broker sends no more of them than it may without our acknowledgement.
	queueMax = 8192
	// queueBytesMax bounds the memory of what is not stored yet: four times the largest message.
	queueBytesMax = 32 << 20
	// topicsMax bounds the topics that are remembered between messages, at some 100 bytes each.
	topicsMax = 20_000
)

// message is what a broker sent and is not stored yet.
type message struct {
	from                io.Writer // takes its acknowledgement
	topic               *topic
	payload             []byte
	arrival             time.Time
	id                  uint16 // at QoS 1, to acknowledge it by
	qos                 byte
	retained, duplicate bool
}

func (m *message) size() int64 { return int64(len(m.payload) + len(m.topic.name)) }

// decoded is the message as the decoder takes it.
func (m *message) decoded() decode.Message {
	return decode.Message{Topic: m.topic.name, Payload: m.payload, Retained: m.retained, Duplicate: m.duplicate, Arrival: m.arrival}
}

// topic is shared by the messages that came on it.
type topic struct {
	name string
	// loose is how many messages of QoS 0 wait, guarded by the queue.
	loose int
	// leftOut is how many found no room, guarded by the queue.
	leftOut int
}

// queue holds what was read from the broker and waits to be stored. Putting never waits, so
// that the connection is always read: a broker cuts off who does not. What finds no room is
// counted.
type queue struct {
	ready chan struct{}   // holds a token while something waits
	taken func(count int) // is told of messages of QoS 0 that wait no longer

	mu      sync.Mutex
	list    []message
	loose   int   // messages of QoS 0 among them
	bytes   int64 // of what is not stored yet, taken or not
	waiting int   // messages that are not stored yet, taken or not
	leftOut int64
	worst   *topic // of which most were left out
	names   map[string]*topic
}

func newQueue(taken func(count int)) *queue {
	if taken == nil {
		taken = func(int) {}
	}
	return &queue{ready: make(chan struct{}, 1), taken: taken, names: map[string]*topic{}}
}

// topic finds or makes the topic of a name. Those without anything to remember are forgotten when
// there are too many.
func (q *queue) topic(name []byte) *topic {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t, ok := q.names[string(name)]; ok {
		return t
	}
	if len(q.names) >= topicsMax {
		for name, t := range q.names {
			if t.loose == 0 && t.leftOut == 0 {
				delete(q.names, name)
			}
		}
	}
	if len(q.names) >= topicsMax {
		clear(q.names)
	}
	t := &topic{name: string(name)}
	q.names[t.name] = t
	return t
}

// put says whether there was room. At QoS 0 the room that is left is also the most that one topic
// may use: who floods leaves half of it to the others.
func (q *queue) put(m message) bool {
	room := q.add(m)
	if !room && m.qos == 0 {
		q.taken(1)
	}
	return room
}

func (q *queue) add(m message) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := m.size()
	if q.bytes+size > queueBytesMax || m.qos == 0 && m.topic.loose >= queueMax-q.loose {
		q.leftOut++
		m.topic.leftOut++
		if q.worst == nil || m.topic.leftOut > q.worst.leftOut {
			q.worst = m.topic
		}
		return false
	}
	q.list = append(q.list, m)
	q.bytes += size
	q.waiting++
	if m.qos == 0 {
		q.loose++
		m.topic.loose++
	}
	offer(q.ready)
	return true
}

// take moves up to most messages to the end of a batch.
func (q *queue) take(batch []message, most int) []message {
	batch, loose := q.remove(batch, most)
	if loose > 0 {
		q.taken(loose)
	}
	return batch
}

func (q *queue) remove(batch []message, most int) (list []message, loose int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(most, len(q.list))
	for _, m := range q.list[:n] {
		if m.qos == 0 {
			loose++
			m.topic.loose--
		}
	}
	q.loose -= loose
	batch = append(batch, q.list[:n]...)
	rest := copy(q.list, q.list[n:])
	clear(q.list[rest:])
	q.list = q.list[:rest]
	if rest > 0 {
		offer(q.ready)
	}
	return batch, loose
}

// stored forgets messages that are stored, and says whether nothing is left.
func (q *queue) stored(messages []message) (none bool) {
	size := int64(0)
	for n := range messages {
		size += messages[n].size()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= size
	q.waiting -= len(messages)
	return q.waiting == 0
}

// waits is how many messages are not stored yet.
func (q *queue) waits() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// lost is how many messages were left out, and on which topic most.
func (q *queue) lost() (count int64, worst string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.worst != nil {
		worst = q.worst.name
	}
	return q.leftOut, worst
}
