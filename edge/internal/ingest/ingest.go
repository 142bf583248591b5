package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"estate/edge/internal/decode"
	"estate/internal/rules"
)

const (
	// tickDefault is how often rules look at the time.
	tickDefault = time.Second
	// birthTopic is where, below a prefix of discovery, a Home Assistant says that it has started.
	birthTopic = "/status"
)

// Config says what to listen to.
type Config struct {
	Building string
	// Box is the hardware id under which the box itself is a device.
	Box  string
	Link Link
	// Gateways, Discovery and Zone are as decode.Config has them.
	Gateways, Discovery []string
	Zone                *time.Location
	// Rules are the building's; those that are shipped where nil.
	Rules []rules.Rule
	// Changed gives the building's rules each time that they changed. May be nil.
	Changed <-chan []rules.Rule
	// Follow is told what devices can be told to do. May be nil.
	Follow Follower
	// FloodDevice and FloodGateway are messages per second that a device, and a gateway, never needs,
	// where the broker does not watch for them; zero for no such limit.
	FloodDevice, FloodGateway int
	// Tick is how often rules look at the time; 1 s where zero.
	Tick time.Duration
	Now  func() time.Time
	// OnSubscribed is called whenever the session has subscribed: with the embedded broker,
	// its Admit. May be nil.
	OnSubscribed func()
	// OnTaken is told how many messages of QoS 0 wait to be stored no longer, or found no room:
	// with the embedded broker, its Taken. May be nil. It must not block.
	OnTaken func(count int)
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
	// LastBlind is when devices were not heard the last time before now.
	LastBlind Period
	// StoreFailing is since when the store refuses everything; zero while it works.
	StoreFailing time.Time
	Waiting      int // messages not stored yet
	// LeftOut is when messages were left out for want of room, from the first to the last.
	LeftOut Period
	// Dropped is what the broker dropped, where it is another's and tells.
	Dropped Dropped
	Counts  Counts
}

// Period is a stretch of time; its zero value is none.
type Period struct{ From, To time.Time }

// Ingest takes messages of one building from one broker.
type Ingest struct {
	cfg  Config
	sink Sink
	log  *slog.Logger
	link *link
	// told is held while the decoder changes: screens look at what devices told of themselves.
	told    sync.RWMutex
	decoder *decode.Decoder
	recent  *recent
	engine  *rules.Engine
	follows follows
	service service

	quarantine quarantine
	gateways   gateways
	refusals   refusals
	drops      drops
	floods     floods

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
	if cfg.Rules == nil {
		cfg.Rules = rules.Shipped()
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Tick == 0 {
		cfg.Tick = tickDefault
	}
	d := decode.New(decode.Config{Building: cfg.Building, Gateways: cfg.Gateways, Discovery: cfg.Discovery, Zone: cfg.Zone})
	return &Ingest{cfg: cfg, sink: sink, log: log, decoder: d, recent: newRecent(), engine: rules.New(cfg.Rules, cfg.Zone),
		link:       newLink(cfg.Link, "estate-ingest-"+cfg.Building, d.Filters(), cfg.Now, cfg.OnSubscribed, cfg.OnTaken, log),
		service:    service{watched: map[string]bool{}, strays: map[string]time.Time{}},
		follows:    follows{told: map[string]bool{}, aliases: map[string]string{}},
		quarantine: quarantine{list: map[string]*Candidate{}},
		gateways:   gateways{list: map[string]Gateway{}},
		refusals:   newRefusals(),
		floods:     floods{on: cfg.FloodDevice > 0, came: map[*topic]int{}},
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
	i.told.Lock()
	i.decoder.Seed(i.follows.recall(saved.Announced))
	i.told.Unlock()
	i.tellAll()
	i.met(decode.Result{Changed: i.decoder.Devices()}, i.cfg.Now())
	if err := i.resume(ctx, saved); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { i.link.run(ctx) })
	return i.work(ctx)
}

// work takes messages from the queue until ctx ends. What was read is stored while what follows
// is read.
func (i *Ingest) work(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	jobs, settled, ended := make(chan job), make(chan time.Duration, 1), make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		defer close(settled)
		ended <- i.settleAll(inner, jobs, settled)
	})
	if err := i.read(inner, jobs, newPace(settled), ended); ctx.Err() == nil {
		return err
	}
	return nil
}

// read reads messages, and lets time pass, until ctx ends or storing did.
func (i *Ingest) read(ctx context.Context, jobs chan<- job, pace *pace, ended <-chan error) error {
	tick := time.NewTicker(i.cfg.Tick)
	defer tick.Stop()
	defer pace.rest.Stop()
	for {
		var j job
		var err error
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case d, more := <-pace.settled:
			pace.took(d, more)
		case <-pace.rest.C:
			pace.open = true
		case <-tick.C:
			since, _ := i.link.blind()
			now := i.cfg.Now()
			i.lookForFloods(now)
			j, err = i.jobOf(slices.Concat(i.letGo(now), i.reaches(now, since.IsZero()), i.engine.Tick(now, since.IsZero())))
		case list := <-i.cfg.Changed:
			j, err = i.useRules(list)
		case <-i.link.queue.ready:
			j, err = i.look(pace.gather(ctx, i.link.queue))
		}
		if err != nil {
			return err
		}
		if !j.empty() && !pace.hand(ctx, j, jobs) {
			return <-ended
		}
	}
}

// resume goes on where the edge stopped: alarms that the rules hold open are raised again, which
// changes nothing where they were, and those that are open without a rule that says so end.
func (i *Ingest) resume(ctx context.Context, saved Snapshot) error {
	now := i.cfg.Now()
	effects, err := i.engine.Restore(saved.States, now)
	if err != nil {
		return err
	}
	for _, hardware := range i.engine.Devices() {
		if hardware != i.cfg.Box {
			i.service.watch(hardware)
		}
	}
	held := map[[3]string]bool{}
	id := func(a rules.Alarm) [3]string { return [3]string{a.Device, a.Cause, fmt.Sprint(a.Since.UnixMilli())} }
	for _, a := range i.engine.Open() {
		held[id(a)] = true
		effects = append(effects, rules.Effect{What: rules.Raise, Alarm: a})
	}
	for _, a := range saved.Open {
		if !held[id(a)] {
			a.Cleared, a.Detail = now, "it ended while the edge was off"
			effects = append(effects, rules.Effect{What: rules.Clear, Alarm: a})
		}
	}
	j, err := i.jobOf(effects)
	if err != nil {
		return err
	}
	return i.settle(ctx, j)
}

// useRules goes on with other rules. Alarms of rules that are gone end.
func (i *Ingest) useRules(list []rules.Rule) (job, error) {
	next, effects, err := i.engine.Replaced(list, i.cfg.Now())
	if err != nil {
		return job{}, err
	}
	i.engine = next
	i.log.Info("rules changed", "rules", len(list), "alarms_ended", len(effects))
	return i.jobOf(effects)
}

// look reads a batch of messages: what they say, and what it means.
func (i *Ingest) look(messages []message) (job, error) {
	observations := make([]decode.Observation, 0, len(messages))
	var announced []decode.Message
	var effects []rules.Effect
	f := following{changed: map[string]bool{}}
	for n := range messages {
		message := messages[n].decoded()
		if i.cfg.Link.Others && message.Topic == droppedTopic {
			i.drops.said(message.Payload, message.Arrival)
			continue
		}
		i.messages.Add(1)
		i.floods.count(&messages[n])
		if prefix, ok := strings.CutSuffix(message.Topic, birthTopic); ok && !message.Retained && string(message.Payload) == "online" && i.decoder.Discovers(prefix) {
			offer(i.link.asked)
		}
		i.told.Lock()
		r := i.decoder.Decode(message)
		i.told.Unlock()
		i.report(r)
		i.met(r, message.Arrival)
		for _, q := range r.Ask {
			i.link.send(q.Topic, q.Payload)
		}
		i.follow(&f, r)
		if r.Configures {
			announced = append(announced, message)
		}
		announced = append(announced, r.Remember...)
		for _, o := range r.Observations {
			o, place, ok := i.admit(o, &announced)
			if ok {
				observations = append(observations, o)
				i.service.watch(o.Hardware)
				effects = append(effects, i.engine.Observe(i.fact(o, place))...)
				continue
			}
			effects = append(effects, i.gatewaySays(o)...)
		}
	}
	j, err := i.jobOf(effects)
	j.messages, j.observations, j.announced, j.follow = messages, observations, announced, i.gathered(f)
	return j, err
}

// admit says whether an observation counts: not where nobody adopted its device, or where it
// came before.
func (i *Ingest) admit(o decode.Observation, announced *[]decode.Message) (decode.Observation, Place, bool) {
	place, known := i.sink.Known(o.Hardware)
	for _, name := range []string{i.follows.aliases[o.Hardware], o.Alias} {
		if known || name == "" {
			continue
		}
		if place, known = i.sink.Known(name); known {
			*announced = append(*announced, i.follows.alias(o.Hardware, name)...)
			o.Hardware = name
		}
	}
	switch {
	case !known && i.gateways.take(o):
		return o, place, false
	case !known:
		i.quarantined.Add(1)
		i.quarantine.add(o, i.called(o), i.modelOf(o.Hardware))
		return o, place, false
	case i.recent.repeated(o):
		i.duplicates.Add(1)
		return o, place, false
	}
	i.observations.Add(1)
	return o, place, true
}

// called is what people call a device that nobody adopted: its own name, with its area where
// the name does not tell it.
func (i *Ingest) called(o decode.Observation) string {
	name := o.Name
	if dev, ok := i.decoder.Device(o.Hardware); ok {
		if dev.Name != "" {
			name = dev.Name
		}
		if dev.Area != "" && !strings.Contains(strings.ToLower(name), strings.ToLower(dev.Area)) {
			name = dev.Area + " " + name
		}
	}
	return name
}

// modelOf is what a device says that it is.
func (i *Ingest) modelOf(hardware string) string {
	dev, ok := i.decoder.Device(hardware)
	if !ok {
		return ""
	}
	return strings.TrimSpace(dev.Manufacturer + " " + dev.Model)
}

// fact is an observation as rules look at it.
func (i *Ingest) fact(o decode.Observation, place Place) rules.Observation {
	name := place.Name
	if name == "" {
		name = o.Name
	}
	out := rules.Observation{Device: o.Hardware, Unit: place.Unit, Name: name, Kind: string(o.Kind), Key: o.Key, UnitOfMeasure: o.Unit,
		At: o.EventTime, Arrival: o.ArrivalTime, Retained: o.Retained, Duplicate: o.Duplicate}
	switch o.Value.Type {
	case decode.Bool: // a copy: a pointer into the observation would keep all of it
		v := o.Value.Bool
		out.Bool = &v
	case decode.Number:
		v := o.Value.Number
		out.Number = &v
	case decode.Text: // no rule reads words
	}
	if dev, ok := i.decoder.Device(o.Hardware); ok {
		out.Battery = dev.Battery || dev.Sleeps
		if e := dev.Entities[o.Key]; e != nil {
			out.ExpireAfter = time.Duration(e.ExpireAfter) * time.Second
		}
	}
	return out
}

// Publish returns when the broker has acknowledged a message, at QoS 0 when it was sent. It waits
// for the broker as long as ctx allows. Safe for concurrent use.
func (i *Ingest) Publish(ctx context.Context, m Outgoing) error { return i.link.publish(ctx, m) }

// Connected tells each time that the broker is there again.
func (i *Ingest) Connected() <-chan struct{} { return i.link.connected }

// Asked tells each time that a Home Assistant says that it has started.
func (i *Ingest) Asked() <-chan struct{} { return i.link.asked }

// Status says whether devices are heard and how much came. Safe for concurrent use.
func (i *Ingest) Status() Status {
	since, cause := i.link.blind()
	i.mu.Lock()
	failing := i.storeFailing
	i.mu.Unlock()
	leftOut, _ := i.link.queue.lost()
	return Status{Connected: since.IsZero(), BlindSince: since, Cause: cause, LastBlind: i.link.last(), StoreFailing: failing, Waiting: i.link.queue.waits(), LeftOut: i.link.droppedAt(), Dropped: i.drops.all(),
		Counts: Counts{Messages: i.messages.Load(), Observations: i.observations.Load(), Duplicates: i.duplicates.Load(),
			Quarantined: i.quarantined.Load(), Unrecognised: i.unrecognised.Load(), Raised: i.raised.Load(),
			Cleared: i.cleared.Load(), Refused: i.refused.Load(), LeftOut: leftOut}}
}

// Quarantine lists devices that send but were not adopted. Safe for concurrent use.
func (i *Ingest) Quarantine() []Candidate {
	return i.quarantine.all(func(h string) bool { _, ok := i.sink.Known(h); return ok })
}
