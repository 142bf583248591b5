package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/decode"
)

const (
	// batchMax and batchWait bound what is stored in one go: enough to pay for one sync of
	// the disk, short enough that an alarm is not felt to wait.
	batchMax  = 500
	batchWait = 5 * time.Millisecond
	// tickDefault is how often alarms are looked at for clearing.
	tickDefault = time.Second
	// storeRetryMin and storeRetryMax bound the wait while the store fails.
	storeRetryMin = 100 * time.Millisecond
	storeRetryMax = 10 * time.Second
)

// Config says what to listen to.
type Config struct {
	Building string
	Link     Link
	// Gateways, Discovery and Zone are as decode.Config has them.
	Gateways, Discovery []string
	Zone                *time.Location
	// Timing is DefaultTiming where zero.
	Timing Timing
	// Tick is how often alarms are looked at for clearing; 1 s where zero.
	Tick time.Duration
	Now  func() time.Time
	// OnSubscribed is called whenever the session has subscribed: with the embedded broker,
	// its Admit. May be nil.
	OnSubscribed func()
}

// Counts are totals since the start.
type Counts struct {
	Messages, Observations, Duplicates, Quarantined, Unrecognised int64
	Raised, Cleared, Refused, LeftOut                             int64
}

// Status says whether devices are heard.
type Status struct {
	Connected bool
	// BlindSince is since when devices are not heard; zero while they are.
	BlindSince time.Time
	// Cause says why not.
	Cause string
	// StoreFailing is since when the store refuses everything; zero while it works.
	StoreFailing time.Time
	Waiting      int // messages not stored yet
	Counts       Counts
}

// Ingest takes messages of one building from one broker.
type Ingest struct {
	cfg     Config
	sink    Sink
	log     *slog.Logger
	link    *link
	decoder *decode.Decoder
	recent  *recent
	rules   *Rules

	quarantine quarantine
	refusals   refusals

	messages, observations, duplicates, quarantined, unrecognised atomic.Int64
	raised, cleared, refused                                      atomic.Int64

	mu           sync.Mutex
	storeFailing time.Time
}

// New makes an Ingest; Run starts it.
func New(cfg Config, sink Sink, log *slog.Logger) (*Ingest, error) {
	if cfg.Building == "" || cfg.Link.URL == "" || cfg.Now == nil || sink == nil {
		return nil, errors.New("ingest: Building, Link.URL, Now and a sink are required")
	}
	if cfg.Timing == (Timing{}) {
		cfg.Timing = DefaultTiming()
	}
	if cfg.Tick == 0 {
		cfg.Tick = tickDefault
	}
	d := decode.New(decode.Config{Building: cfg.Building, Gateways: cfg.Gateways, Discovery: cfg.Discovery, Zone: cfg.Zone})
	return &Ingest{cfg: cfg, sink: sink, log: log, decoder: d, recent: newRecent(),
		link:       newLink(cfg.Link, "estate-ingest-"+cfg.Building, d.Filters(), cfg.Now, cfg.OnSubscribed, log),
		quarantine: quarantine{list: map[string]*Candidate{}},
		refusals:   refusals{list: map[[3]string]*Refusal{}, answered: map[string]time.Time{}},
	}, nil
}

// Run restores what was saved, then takes messages until ctx ends. A broker that is away
// or a store that fails is tried again for ever; Status says so meanwhile.
func (i *Ingest) Run(ctx context.Context) error {
	var saved Snapshot
	err := i.store(ctx, "restore the state of sensors", func() (err error) {
		saved, err = i.sink.Restore(ctx)
		return err
	})
	if err != nil {
		return err
	}
	i.decoder.Seed(saved.Announced)
	i.rules = NewRules(i.cfg.Timing, saved, i.cfg.Now())

	var wg sync.WaitGroup
	wg.Go(func() { i.link.run(ctx) })
	defer wg.Wait()
	tick := time.NewTicker(i.cfg.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err = i.apply(ctx, i.rules.Tick(i.cfg.Now()))
		case m := <-i.link.in:
			err = i.process(ctx, i.gather(m))
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// gather takes what is waiting, for at most batchWait.
func (i *Ingest) gather(first mqtt.Message) []mqtt.Message {
	i.link.taken(first)
	batch := []mqtt.Message{first}
	wait := time.NewTimer(batchWait)
	defer wait.Stop()
	for len(batch) < batchMax {
		select {
		case m := <-i.link.in:
			i.link.taken(m)
			batch = append(batch, m)
		case <-wait.C:
			return batch
		}
	}
	return batch
}

// process stores what a batch of messages says and then acknowledges them. Alarms go
// first; where it stops in between, the broker delivers all of it again, and what was
// stored is recognised.
func (i *Ingest) process(ctx context.Context, messages []mqtt.Message) error {
	var batch Batch
	var effects []Effect
	for _, m := range messages {
		i.messages.Add(1)
		message := decode.Message{Topic: m.Topic(), Payload: m.Payload(), Retained: m.Retained(), Duplicate: m.Duplicate(), Arrival: i.cfg.Now()}
		r := i.decoder.Decode(message)
		i.report(r)
		if r.Configures {
			batch.Announced = append(batch.Announced, message)
		}
		for _, o := range r.Observations {
			effects = append(effects, i.observe(o, &batch)...)
		}
	}
	if err := i.apply(ctx, effects); err != nil {
		return err
	}
	if err := i.save(ctx, batch); err != nil {
		return err
	}
	for _, m := range messages {
		m.Ack()
	}
	return nil
}

// observe adds one observation to the batch, unless nobody adopted its device or it came
// before.
func (i *Ingest) observe(o decode.Observation, batch *Batch) []Effect {
	if !i.sink.Known(o.Hardware) {
		if o.Alias == "" || !i.sink.Known(o.Alias) {
			i.quarantined.Add(1)
			i.quarantine.add(o)
			return nil
		}
		o.Hardware = o.Alias
	}
	if i.recent.repeated(o) {
		i.duplicates.Add(1)
		return nil
	}
	i.observations.Add(1)
	effects, state := i.rules.Apply(o)
	batch.Observations = append(batch.Observations, o)
	if state != nil {
		batch.Sensors = append(batch.Sensors, *state)
	}
	return effects
}

// apply hands alarms to the sink.
func (i *Ingest) apply(ctx context.Context, effects []Effect) error {
	for _, e := range effects {
		what, call, count := "raise the alarm ", i.sink.RaiseAlarm, &i.raised
		if e.Clear {
			what, call, count = "clear the alarm ", i.sink.ClearAlarm, &i.cleared
		}
		err := i.store(ctx, what+e.Alarm.Cause(), func() error { return call(ctx, e.Alarm) })
		if errors.Is(err, ErrRefused) {
			i.setAside(e.Alarm.Hardware, string(e.Alarm.Kind), err)
			continue
		}
		if err != nil {
			return err
		}
		count.Add(1)
	}
	return nil
}

// save stores a batch. One that is refused is halved until the bad observation is alone,
// so that it takes nothing else with it.
func (i *Ingest) save(ctx context.Context, b Batch) error {
	if len(b.Observations) == 0 && len(b.Sensors) == 0 && len(b.Announced) == 0 {
		return nil
	}
	err := i.store(ctx, fmt.Sprintf("store %d observations", len(b.Observations)), func() error { return i.sink.Observe(ctx, b) })
	if !errors.Is(err, ErrRefused) {
		return err
	}
	half := len(b.Observations) / 2
	if half == 0 {
		if len(b.Observations) == 0 {
			i.setAside("", "state", err)
			return nil
		}
		i.setAside(b.Observations[0].Hardware, b.Observations[0].Key, err)
		return i.save(ctx, Batch{Sensors: b.Sensors, Announced: b.Announced})
	}
	if err := i.save(ctx, Batch{Observations: b.Observations[:half]}); err != nil {
		return err
	}
	return i.save(ctx, Batch{Observations: b.Observations[half:], Sensors: b.Sensors, Announced: b.Announced})
}

// store tries until it passes, is refused, or ctx ends; the error is then ErrRefused or
// ctx's.
func (i *Ingest) store(ctx context.Context, what string, try func() error) error {
	wait := storeRetryMin
	for {
		err := try()
		if err == nil || errors.Is(err, ErrRefused) {
			i.storeWorks(what)
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		i.storeFails(what, err)
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
		wait = min(2*wait, storeRetryMax)
	}
}

func (i *Ingest) storeFails(what string, err error) {
	i.mu.Lock()
	first := i.storeFailing.IsZero()
	if first {
		i.storeFailing = i.cfg.Now()
	}
	i.mu.Unlock()
	if first {
		i.log.Error("device data waits: the store fails, trying again", "attempted", what, "cause", err)
	}
}

func (i *Ingest) storeWorks(what string) {
	i.mu.Lock()
	since := i.storeFailing
	i.storeFailing = time.Time{}
	i.mu.Unlock()
	if !since.IsZero() {
		i.log.Info("the store takes device data again", "attempted", what, "failed_since", since)
	}
}

func (i *Ingest) setAside(hardware, key string, err error) {
	i.refused.Add(1)
	i.refusals.add(hardware, key, err.Error(), i.cfg.Now())
	i.log.Error("device data set aside: the store will never take it", "hardware", hardware, "key", key, "cause", err)
}

// report keeps what was not understood and tells a plain sensor about it.
func (i *Ingest) report(r decode.Result) {
	for _, u := range r.Unrecognised {
		i.unrecognised.Add(1)
		now := i.cfg.Now()
		if i.refusals.add(u.Topic, u.Key, u.Reason, now) {
			i.log.Warn("device message not understood", "topic", u.Topic, "key", u.Key, "reason", u.Reason)
		}
		if r.Device != "" {
			i.answer(r.Building, r.Device, u.Topic, u.Key, u.Reason, now)
		}
	}
}

// ReportViolation tells a device, and whoever looks at Refusals, what the broker refused.
// It may be called from any goroutine and does not block.
func (i *Ingest) ReportViolation(building, device, topic, reason string) {
	now := i.cfg.Now()
	i.refusals.add(topic, "", reason, now)
	if building == i.cfg.Building && device != "" {
		i.answer(building, device, topic, "", reason, now)
	}
}

func (i *Ingest) answer(building, device, topic, key, reason string, now time.Time) {
	to, body, err := answer(building, device, topic, key, reason)
	if err == nil && i.refusals.due(to, now) {
		i.link.send(to, body)
	}
}

// Status says whether devices are heard and how much came. Safe for concurrent use.
func (i *Ingest) Status() Status {
	since, cause := i.link.blind()
	i.mu.Lock()
	failing := i.storeFailing
	i.mu.Unlock()
	return Status{Connected: since.IsZero(), BlindSince: since, Cause: cause, StoreFailing: failing, Waiting: len(i.link.in),
		Counts: Counts{Messages: i.messages.Load(), Observations: i.observations.Load(), Duplicates: i.duplicates.Load(),
			Quarantined: i.quarantined.Load(), Unrecognised: i.unrecognised.Load(), Raised: i.raised.Load(),
			Cleared: i.cleared.Load(), Refused: i.refused.Load(), LeftOut: i.link.dropped.Load()}}
}

// Quarantine lists devices that send but were not adopted. Safe for concurrent use.
func (i *Ingest) Quarantine() []Candidate { return i.quarantine.all(i.sink.Known) }

// Refusals lists what was sent and not taken. Safe for concurrent use.
func (i *Ingest) Refusals() []Refusal { return i.refusals.all() }
