package ingest

import (
	"strconv"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// droppedTopic is where mosquitto says how many messages it has dropped since its start because
// more waited for a client than it keeps. It had acknowledged them.
const droppedTopic = "$SYS/broker/publish/messages/dropped"

// Dropped is what a broker of others says that it dropped, for whatever client.
type Dropped struct {
	// Count is since the box began to listen to it, with what the broker had counted before.
	Count int64
	// During is from when it was heard of first to when it last became more.
	During Period
}

// drops follows the broker's count. It is safe for concurrent use.
type drops struct {
	mu     sync.Mutex
	now    Dropped
	before int64 // what the broker counted until its last restart
}

// said takes the broker's count.
func (d *drops) said(payload []byte, at time.Time) {
	n, err := strconv.ParseInt(string(payload), 10, 64)
	if err != nil || n < 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before+n < d.now.Count {
		d.before = d.now.Count // the broker counts from 0 again
	}
	if d.before+n == d.now.Count {
		return
	}
	d.now.Count = d.before + n
	d.now.During.To = at
	if d.now.During.From.IsZero() {
		d.now.During.From = at
	}
}

func (d *drops) all() Dropped {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// watchDrops asks a broker of others for its count. One that does not tell is as good as one that
// has none: it is not waited for.
func (l *link) watchDrops(c mqtt.Client) {
	if l.cfg.Others {
		c.Subscribe(droppedTopic, 0, nil)
	}
}
