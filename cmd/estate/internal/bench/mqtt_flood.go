package bench

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sync/errgroup"

	"estate/internal/lab"
	"estate/internal/lab/stack"
)

const (
	// payloadBytes is the size of each message.
	payloadBytes = 100
	// windowQoS1 is how many messages of one publisher wait for their acknowledgement.
	windowQoS1 = 100
	// settleTimeout bounds one acknowledgement, and for how long nothing may arrive before what
	// was acknowledged counts as lost: a disk may stall, and what was under way when a connection
	// was cut comes again after the broker's wait. At QoS 0 nothing comes again.
	settleTimeout, settleQuiet = 60 * time.Second, 3 * time.Second
	glanceEvery                = 100 * time.Millisecond
)

// flooded is what came of a flood.
type flooded struct {
	sent, arrived int64
	took          time.Duration
	cpu           time.Duration
	peak, growth  float64
}

func (f flooded) rate() float64 { return perSecond(int(f.arrived), f.took) }

// flood publishes for a while as fast as the broker takes it, and waits until all of it has
// arrived, or nothing more does. The time is that from the first message sent to the last one
// arrived. Where there is a process, its memory is watched.
func (m *messages) flood(ctx context.Context, address string, l pace, at *counter, watched *lab.Process) (got flooded, err error) {
	clients, err := dialMQTT(ctx, address, m.logins[:l.publishers])
	defer hangUp(clients)
	if err != nil {
		return got, err
	}
	before, err := at.count(ctx)
	if err != nil {
		return got, err
	}
	length := floodFull
	if m.how.quick {
		length = floodQuick
	}
	memory := newTrace(watched)
	began := time.Now()
	var sent atomic.Int64
	group, publishing := errgroup.WithContext(ctx)
	for i, c := range clients {
		group.Go(func() error { return m.publish(publishing, c, m.logins[i].Topic, l.qos, began.Add(length), &sent) })
	}
	done := make(chan error, 1)
	go func() { done <- group.Wait() }()
	last, ended := began, false
	ticker := time.NewTicker(glanceEvery)
	defer ticker.Stop()
	quiet := settleQuiet
	switch {
	case l.qos > 0:
		quiet = settleTimeout
	case m.how.quick:
		quiet = floodQuick
	}
	for !ended || got.arrived < sent.Load() && time.Since(last) < quiet {
		select {
		case err := <-done:
			if err != nil {
				return got, err
			}
			ended = true
			last = time.Now()
		case <-ticker.C:
		}
		memory.look()
		now, err := at.count(ctx)
		if err != nil {
			return got, err
		}
		if now-before > got.arrived {
			got.arrived, last = now-before, time.Now()
			got.took = last.Sub(began)
		}
	}
	got.sent = sent.Load()
	if got.arrived == 0 {
		return got, fmt.Errorf("%s: none of %d messages arrived", l, got.sent)
	}
	got.peak, got.growth, got.cpu = memory.end()
	return got, nil
}

// publish sends until the deadline. At QoS 1 only what was acknowledged counts as sent.
func (m *messages) publish(ctx context.Context, c mqtt.Client, topic string, qos byte, until time.Time, sent *atomic.Int64) error {
	var window []mqtt.Token
	settle := func(most int) error {
		for len(window) > most {
			if t := window[0]; !t.WaitTimeout(settleTimeout) || t.Error() != nil {
				return fmt.Errorf("publish to %s: no acknowledgement: %w", topic, t.Error())
			}
			window = window[1:]
			sent.Add(1)
		}
		return nil
	}
	most := windowQoS1 - 1
	if qos == 0 {
		most = 0 // a token is done when the message is written
	}
	for ctx.Err() == nil && time.Now().Before(until) {
		window = append(window, c.Publish(topic, qos, false, m.payload(time.Now())))
		if err := settle(most); err != nil {
			return err
		}
	}
	return settle(0)
}

// payload is what a plain meter sends: one value, that was never sent before.
func (m *messages) payload(at time.Time) []byte {
	n := atomic.AddInt64(&m.next, 1)
	text := fmt.Appendf(make([]byte, 0, payloadBytes), `{"ts":"%s","energy":%d,"note":"`, at.UTC().Format("2006-01-02T15:04:05.000Z"), n)
	for len(text) < payloadBytes-2 {
		text = append(text, '.')
	}
	return append(text, '"', '}')
}

// dialMQTT signs publishers in.
func dialMQTT(ctx context.Context, address string, logins []stack.Login) (out []mqtt.Client, err error) {
	for _, l := range logins {
		c, err := lab.SignIn(ctx, mqtt.NewClientOptions().AddBroker("tcp://"+address).SetClientID(l.ClientID).SetUsername(l.Username).SetPassword(l.Password).
			// A broker whose disk stalls cuts a publisher off: what it had not acknowledged is sent again.
			SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(time.Second).SetConnectTimeout(readyTimeout).SetWriteTimeout(settleTimeout))
		if err != nil {
			return out, fmt.Errorf("publishers of %s: %w", address, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func hangUp(all []mqtt.Client) {
	const quiesceMillis = 250
	for _, c := range all {
		c.Disconnect(quiesceMillis)
	}
}

// trace is a process's memory over time.
type trace struct {
	process *lab.Process
	cpu     time.Duration
	rss     []float64
}

func newTrace(p *lab.Process) *trace {
	t := &trace{process: p}
	if p != nil {
		t.cpu, _ = tree(p.PID())
	}
	return t
}

func (t *trace) look() {
	if t.process != nil {
		_, rss := tree(t.process.PID())
		t.rss = append(t.rss, float64(rss))
	}
}

// end gives the peak, what the last quarter lies above the second, and the time of the
// processor.
func (t *trace) end() (peak, growth float64, cpu time.Duration) {
	if len(t.rss) == 0 {
		return 0, 0, 0
	}
	for _, r := range t.rss {
		peak = max(peak, r)
	}
	n := len(t.rss)
	now, _ := tree(t.process.PID())
	return peak, max(0, median(t.rss[n*3/4:])-median(t.rss[n/4:max(n/2, n/4+1)])), now - t.cpu
}
