package ingest

import (
	"fmt"
	"testing"
)

// TestQueueSharesRoom: who floods leaves room to others, what finds none is counted under who
// sends most, and QoS 1 is kept beside it.
func TestQueueSharesRoom(t *testing.T) {
	t.Parallel()
	q := newQueue(nil)
	put := func(qos byte, topic string) bool {
		return q.put(message{qos: qos, topic: q.topic([]byte(topic)), payload: []byte("x")})
	}
	kept := 0
	for range 3 * queueMax {
		if put(0, "flood") {
			kept++
		}
	}
	if kept != queueMax/2 {
		t.Errorf("one topic got %d places of %d", kept, queueMax)
	}
	for n := range 100 {
		if !put(0, fmt.Sprint("other/", n%10)) {
			t.Fatalf("message %d of the others found no room", n)
		}
	}
	for n := range queueMax {
		if !put(1, "flood") {
			t.Fatalf("message %d of QoS 1 found no room", n)
		}
	}
	if lost, worst := q.lost(); lost != int64(3*queueMax-kept) || worst != "flood" {
		t.Errorf("%d were lost, most on %q", lost, worst)
	}
	all := q.take(nil, 100)
	all = q.take(all, 10*queueMax)
	if want := kept + 100 + queueMax; len(all) != want || q.waits() != want {
		t.Fatalf("%d were taken, %d wait, want %d", len(all), q.waits(), want)
	}
	if q.stored(all[1:]) || !q.stored(all[:1]) || q.bytes != 0 || q.loose != 0 || q.topic([]byte("flood")).loose != 0 {
		t.Errorf("what is left: %+v", q)
	}
	if !put(0, "flood") {
		t.Error("there is no room when all is stored")
	}
}

// TestQueueBytes: large messages are bounded by their bytes, at QoS 1 too.
func TestQueueBytes(t *testing.T) {
	t.Parallel()
	q := newQueue(nil)
	large := message{qos: 1, topic: q.topic([]byte("a")), payload: make([]byte, queueBytesMax/4-1)}
	for n := range 5 {
		if got, want := q.put(large), n < 4; got != want {
			t.Fatalf("message %d: %v", n, got)
		}
	}
	all := q.take(nil, 1)
	if q.put(large) {
		t.Error("what was taken and is not stored counts no more")
	}
	if q.stored(all); !q.put(large) {
		t.Error("no room for what was stored")
	}
}

// TestTopicsForgotten: ever new topics take no more memory than so many, and what waits keeps its
// own.
func TestTopicsForgotten(t *testing.T) {
	t.Parallel()
	q := newQueue(nil)
	q.put(message{topic: q.topic([]byte("kept")), payload: []byte("x")})
	for n := range 3 * topicsMax {
		q.topic(fmt.Append(nil, "new/", n))
	}
	if len(q.names) > topicsMax || q.topic([]byte("kept")).loose != 1 {
		t.Errorf("%d topics, %+v", len(q.names), q.topic([]byte("kept")))
	}
}
