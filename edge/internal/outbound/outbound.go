// Package outbound tells others over MQTT what happens in the building: the time, alarms as long
// as they last, an inbox for each technician, and the box's own state in the form that Home
// Assistant discovers.
//
// It must never send a person what the person may not read, and never let a broker that is away
// hold anything else up: what must arrive is sent again until the broker has it.
package outbound

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/sync/record"
)

const (
	// settle is how long a change may develop before it is told.
	settle = 100 * time.Millisecond
	// countShare is how many times as long as a count of the open work nothing is counted.
	countShare = 100
	// lookEvery is how often what nobody announces is looked at: tickets that become overdue,
	// the link to the cloud.
	lookEvery = 30 * time.Second
	// publishWait bounds one message; the next look tries again.
	publishWait = 20 * time.Second
	// announceWithin spreads what is announced again after Home Assistant's start.
	announceWithin = 30 * time.Second
)

// Message is one message to send.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
}

// Broker sends messages.
type Broker interface {
	// Publish returns when the broker has acknowledged the message, at QoS 0 when it was sent.
	Publish(ctx context.Context, m Message) error
	// Connected tells each time that the broker is there again, and may have forgotten what it
	// kept.
	Connected() <-chan struct{}
	// Asked tells each time that a Home Assistant says that it has started.
	Asked() <-chan struct{}
}

// Desk is what an Outbound needs of desk.Desk.
type Desk interface {
	OpenAlarms(ctx context.Context, building record.ID) ([]desk.Alarm, error)
	Workload(ctx context.Context, building record.ID) (desk.Workload, error)
	Changes(ctx context.Context, c desk.Caller, building record.ID, after uint64) (desk.Changes, error)
}

// Local is what an Outbound needs of the box's own tables.
type Local interface {
	// Kept gives the messages that brokers were asked to keep, by topic.
	Kept(ctx context.Context) (map[string][]byte, error)
	// Keep notes what brokers are being asked to keep; an empty payload takes away.
	Keep(ctx context.Context, topic string, payload []byte) error
	// Inboxes gives the people with an inbox and the position up to which each was told.
	Inboxes(ctx context.Context) (map[record.ID]uint64, error)
	// Told notes up to where a person was told.
	Told(ctx context.Context, person record.ID, position uint64) error
}

// Config is what an Outbound is made of; all of it is needed.
type Config struct {
	Building record.ID
	// Code is the building's level in topics, Box the box's id.
	Code, Box string
	Version   string
	Desk      Desk
	Local     Local
	Broker    Broker
	// Link tells how the box stands with the cloud, Blind since when it does not hear devices.
	Link  func(ctx context.Context) httpapi.LinkStatus
	Blind func() time.Time
	// Moved receives after each commit that moved the building's feed.
	Moved <-chan struct{}
	// Time is the building's time, and what it may be off by; zero where that is not known.
	Time func(ctx context.Context) (at time.Time, uncertainty time.Duration, err error)
	// TimeEvery is how often the time is told.
	TimeEvery time.Duration
	// Birth says that this box plays Home Assistant's part: devices announce themselves anew
	// when it starts.
	Birth bool
	// Prefixes are where devices announce themselves; the box does so under the first.
	Prefixes []string
	// Trouble is the code of what is wrong with the box; empty where nothing is.
	Trouble func(ctx context.Context) string
	// Lost is told of a person who has no rights here any more and still has an inbox.
	Lost func(person record.ID)
	Log  *slog.Logger
}

// Outbound tells. Run it once.
type Outbound struct {
	cfg  Config
	kept map[string][]byte
	// work is what was counted last, countAfter when it is counted again.
	work       desk.Workload
	countAfter time.Time
	failing    bool
}

// New makes an Outbound.
func New(cfg Config) *Outbound { return &Outbound{cfg: cfg} }

func (o *Outbound) topic(rest string) string { return "estate/v1/" + o.cfg.Code + "/" + rest }

// Run tells until ctx ends.
func (o *Outbound) Run(ctx context.Context) error {
	clock, look := time.NewTicker(o.cfg.TimeEvery), time.NewTicker(lookEvery)
	defer clock.Stop()
	defer look.Stop()
	var again <-chan time.Time // when to announce again
	for all := false; ; {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
			err = o.tellTime(ctx)
		case <-o.cfg.Broker.Connected():
			all = true
			err = errors.Join(o.birth(ctx), o.tellTime(ctx), o.tell(ctx, all))
		case <-o.cfg.Broker.Asked():
			again = time.After(rand.N(announceWithin)) //nolint:gosec // spreading load needs no secrecy
		case <-again:
			again, all = nil, true
			err = o.tell(ctx, all)
		case <-o.cfg.Moved:
			pause(ctx, settle)
			err = o.tell(ctx, all)
		case <-look.C:
			err = o.tell(ctx, all)
		}
		if err == nil {
			all = false
		}
		o.note(ctx, err)
	}
}

// shellyAnnounce is the topic on which Shellies are asked to say who they are.
const shellyAnnounce = "shellies/command"

// birth asks devices to announce themselves.
func (o *Outbound) birth(ctx context.Context) error {
	err := o.publish(ctx, Message{Topic: shellyAnnounce, Payload: []byte("announce")})
	if !o.cfg.Birth {
		return err
	}
	for _, prefix := range o.cfg.Prefixes {
		err = errors.Join(err, o.publish(ctx, Message{Topic: prefix + "/status", Payload: []byte("online"), QoS: 1}))
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// note logs a change between working and failing.
func (o *Outbound) note(ctx context.Context, err error) {
	if ctx.Err() == nil && o.failing != (err != nil) {
		o.failing = err != nil
		o.cfg.Log.WarnContext(ctx, "tell others over MQTT", slog.Bool("failing", o.failing), slog.Any("error", err))
	}
}

// tell brings everything up to date that others see or wait for; all says that the broker may
// have forgotten what it kept.
func (o *Outbound) tell(ctx context.Context, all bool) error {
	return errors.Join(o.keep(ctx, all), o.tellPeople(ctx))
}

func (o *Outbound) publish(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	return o.cfg.Broker.Publish(ctx, m)
}
