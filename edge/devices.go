package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"estate/edge/internal/actuate"
	"estate/edge/internal/broker"
	"estate/edge/internal/decode"
	"estate/edge/internal/ingest"
	"estate/edge/internal/local"
	"estate/edge/internal/sink"
	"estate/edge/internal/sqlitestore"
	"estate/internal/desk"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/internal/rules"
	"estate/schema"
	"estate/sync/record"
)

const (
	// defaultBase is Zigbee2MQTT's own default.
	defaultBase = "zigbee2mqtt"
	// registerEvery is how soon a device that nobody adopted can be seen and adopted.
	registerEvery = time.Second
	// nameSettles is how long a device that is known by its topic only may take to say what it is,
	// which is in the messages beside: then it is one device to adopt, and not two.
	nameSettles = 3 * time.Second
	// ownRetryMax is how long the broker in this process may be up before it is tried again:
	// it lets nobody in until then.
	ownRetryMax = 5 * time.Second
)

// devices is the MQTT side of a building: the broker, and what is made of its messages.
type devices struct {
	building *building
	log      *slog.Logger
	broker   *broker.Broker // nil with an external one
	secret   *tls.Config    // of the embedded one; nil without a listener for TLS
	ingest   atomic.Pointer[ingest.Ingest]
	topic    atomic.Value // string: the building's level in topics, once it is known
	// tls is where the embedded broker listens for TLS, and tlsTrouble why it does not.
	tls        atomic.Pointer[string]
	tlsTrouble atomic.Pointer[string]
}

func newDevices(b *building) *devices {
	return &devices{building: b, log: b.edge.log}
}

// ready says whether devices are heard. An external broker that is away keeps nobody from
// working with tickets, so it does not count.
func (d *devices) ready() error {
	in := d.ingest.Load()
	switch {
	case in == nil:
		return fmt.Errorf("devices: waiting for the building's first data from the cloud")
	case d.broker != nil && !d.broker.Ready():
		return fmt.Errorf("devices: the broker lets nobody in yet")
	}
	return nil
}

// topicOf is the building's level in topics: its short code, which never changes.
func topicOf(ctx context.Context, store *sqlitestore.Store, building record.ID) (string, error) {
	code, err := shown(ctx, store, schema.Default(), record.Key{Building: building, Kind: "building", ID: building}, "code")
	if err != nil {
		return "", fmt.Errorf("read the building's code: %w", err)
	}
	text, ok := code.AsText()
	if !ok || text == "" {
		return "", problem.New(problem.Unavailable, "the building's first data has not come from the cloud yet: start estate-edge where it reaches the cloud")
	}
	return strings.ToLower(text), nil
}

// awaitTopic waits for the first exchange with the cloud where there was none yet.
func (d *devices) awaitTopic(ctx context.Context) (string, error) {
	moved, stop := d.building.edge.store.Watch(d.building.id)
	defer stop()
	for {
		topic, err := topicOf(ctx, d.building.edge.store, d.building.id)
		if err == nil || !problem.HasCode(err, problem.Unavailable) {
			return topic, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-moved:
		}
	}
}

func (d *devices) run(ctx context.Context) error {
	topic, err := d.awaitTopic(ctx)
	if err != nil {
		return err
	}
	d.topic.Store(topic)
	link, err := d.connect(topic)
	if err != nil {
		return err
	}
	link.Will = willOf(topic)
	if d.broker != nil {
		// Last of all: what it acknowledged is on its disk, and ingest asks for it again.
		defer d.broker.Close()
	}
	moved, stop := d.building.edge.store.WatchKinds(d.building.id, "device")
	defer stop()
	s := sink.New(sink.Config{Building: d.building.id, Node: d.building.node.ID(), Desk: d.building.desk, Local: d.building.edge.local, Readings: d.building.edge.readings, Moved: moved, Log: d.log})
	bases, err := d.bases(ctx)
	if err != nil {
		return err
	}
	list, err := d.building.desk.ActiveRules(ctx, d.building.id)
	if err != nil {
		return err
	}
	changed, board := make(chan []rules.Rule), actuate.NewBoard()
	floodDevice, floodGateway := 0, 0
	if link.Others { // our own broker looks itself
		floodDevice, floodGateway = broker.FloodDevice, broker.FloodGateway
	}
	in, err := ingest.New(ingest.Config{FloodDevice: floodDevice, FloodGateway: floodGateway, Building: topic, Box: desk.BoxHardware(d.building.node.ID()), Link: link, Gateways: bases, Discovery: d.building.edge.cfg.DiscoveryPrefixes, Zone: d.building.desk.Zone(ctx, d.building.id), Rules: list, Changed: changed, Follow: board,
		Now: d.building.edge.now, OnSubscribed: d.subscribed, OnTaken: d.taken}, s, d.log)
	if err != nil {
		return err
	}
	d.ingest.Store(in)
	d.building.edge.mqtt.Store(d)
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return ended(running, in.Run(running)) })
	group.Go(func() error { return d.register(running, in, s) })
	group.Go(func() error { return d.outbound(running, topic, in) })
	group.Go(func() error { return d.followRules(running, list, changed) })
	group.Go(func() error { return d.carryOrders(running, topic, in, board) })
	if d.broker != nil {
		group.Go(func() error { return ended(running, d.broker.Mend(running)) })
		group.Go(func() error { return ended(running, d.broker.WatchFloods(running)) })
	}
	if d.secret != nil {
		group.Go(func() error { return ended(running, d.serveTLS(running)) })
	}
	return group.Wait()
}

// rulesSettle is how long a building's rules may go on changing before they are looked at.
const rulesSettle = time.Second

// followRules gives the rules on each time that they changed.
func (d *devices) followRules(ctx context.Context, list []rules.Rule, changed chan<- []rules.Rule) error {
	moved, stop := d.building.edge.store.WatchKinds(d.building.id, "rule")
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-moved:
		}
		settle := time.NewTimer(rulesSettle)
		select {
		case <-ctx.Done():
			settle.Stop()
			return nil
		case <-settle.C:
		}
		now, err := d.building.desk.ActiveRules(ctx, d.building.id)
		if err != nil {
			if ctx.Err() == nil {
				d.log.WarnContext(ctx, "read the building's rules", obs.Error(err))
			}
			continue
		}
		if reflect.DeepEqual(now, list) {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case changed <- now:
			list = now
		}
	}
}

// connect starts the embedded broker or names the external one.
func (d *devices) connect(topic string) (ingest.Link, error) {
	cfg := d.building.edge.cfg
	if cfg.BrokerURL != "" {
		link := ingest.Link{URL: cfg.BrokerURL, Username: cfg.BrokerUsername, Others: true}
		if cfg.BrokerPasswordFile != "" {
			text, err := os.ReadFile(cfg.BrokerPasswordFile)
			if err != nil {
				return link, fmt.Errorf("read the broker's password: %w", err)
			}
			link.Password = strings.TrimRight(string(text), "\r\n")
		}
		return link, nil
	}
	b, err := broker.Start(broker.Config{Addr: cfg.MQTTListen, StoreDir: d.building.edge.path(folderBroker), Now: d.building.edge.now,
		Authenticate: func(ctx context.Context, l broker.Login) (broker.Grant, bool) { return d.authenticate(ctx, topic, l) },
		OnViolation:  d.refused}, d.log)
	if err != nil {
		return ingest.Link{}, err
	}
	d.broker = b
	if cfg.MQTTTLSListen != "" {
		if d.secret, err = d.building.edge.brokerTLS(); err != nil {
			b.Close()
			return ingest.Link{}, err
		}
	}
	if moved := b.StoreMovedTo(); moved != "" {
		d.log.Error("the broker's store was damaged and began anew", slog.String("moved_to", moved))
	}
	d.log.Info("mqtt broker listens", obs.Address(b.Addr()))
	own := b.Internal()
	return ingest.Link{URL: b.URL(), Username: own.Username, Password: own.Password, RetryMax: ownRetryMax}, nil
}

func (d *devices) authenticate(ctx context.Context, topic string, l broker.Login) (broker.Grant, bool) {
	login, ok, err := d.building.edge.local.CheckLogin(ctx, l.Username, l.Password)
	if err != nil {
		d.log.ErrorContext(ctx, "mqtt login cannot be checked", obs.Error(err))
	}
	if err != nil || !ok {
		return broker.Grant{}, false
	}
	if !login.Person.IsZero() && !d.employs(ctx, login.Person) {
		return broker.Grant{}, false
	}
	return d.building.edge.grantOf(login, topic), true
}

// grantOf is what a login may do in a building.
func (e *Edge) grantOf(l local.Login, topic string) broker.Grant {
	g := broker.Grant{Role: broker.Role(l.Role), ClientID: l.Username, Building: topic, Device: l.Username, Base: l.Base, MAC: l.MAC, Discovery: e.cfg.DiscoveryPrefixes}
	if !l.Person.IsZero() {
		g.Person = l.Person.String()
	}
	return g
}

// employs reports whether a person works for the building now.
func (d *devices) employs(ctx context.Context, person record.ID) bool {
	v, err := d.building.desk.Viewer(ctx, desk.Caller{Person: person}, d.building.id)
	if err != nil && !problem.HasCode(err, problem.NotFound) && !problem.HasCode(err, problem.Forbidden) {
		d.log.ErrorContext(ctx, "whether a person works for the building is not known", obs.Error(err))
	}
	return err == nil && slices.Contains([]schema.Role{schema.Technician, schema.Manager, schema.Admin}, v.Role)
}

// bases are the gateways to listen to from the start on. One whose login is made later is met when
// it says that it is there.
func (d *devices) bases(ctx context.Context) ([]string, error) {
	logins, err := d.building.edge.local.Logins(ctx)
	if err != nil {
		return nil, err
	}
	bases := append(slices.Clone(d.building.edge.cfg.GatewayBases), defaultBase)
	for _, l := range logins {
		if l.Role == string(broker.RoleZigbee2MQTT) {
			bases = append(bases, l.Base)
		}
	}
	slices.Sort(bases)
	return slices.Compact(bases), nil
}

// subscribed lets devices in, now that nothing of theirs can be lost.
// taken lets as many messages in as were taken, where the broker is ours.
func (d *devices) taken(count int) {
	if d.broker != nil {
		d.broker.Taken(count)
	}
}

func (d *devices) subscribed() {
	if d.broker != nil {
		d.broker.Admit()
	}
}

// disconnect ends the live connection of a login that changed.
func (d *devices) disconnect(clientID string) {
	if d.broker == nil {
		return
	}
	if err := d.broker.Disconnect(clientID); err != nil {
		d.log.Warn("end a device's connection", slog.String("client", clientID), obs.Error(err))
	}
}

// register enters devices that send and were not adopted.
func (d *devices) register(ctx context.Context, in *ingest.Ingest, s *sink.Sink) error {
	known := map[string]bool{}
	tick := time.NewTicker(registerEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := d.registerOnce(ctx, in, s, known)
		if ctx.Err() == nil && failing != (err != nil) {
			failing = err != nil
			d.log.WarnContext(ctx, "enter devices that nobody adopted", slog.Bool("failing", failing), slog.Any("error", err))
		}
	}
}

func (d *devices) registerOnce(ctx context.Context, in *ingest.Ingest, s *sink.Sink, known map[string]bool) error {
	now := d.building.edge.now()
	candidates := slices.DeleteFunc(in.Quarantine(), func(c ingest.Candidate) bool { return !decode.Lasting(c.Hardware) && now.Sub(c.First) < nameSettles })
	if !slices.ContainsFunc(candidates, func(c ingest.Candidate) bool { return !known[c.Hardware] }) {
		return nil
	}
	all, err := d.building.desk.AllDevices(ctx, d.building.id)
	if err != nil {
		return err
	}
	clear(known)
	for _, one := range all {
		if !one.Adopted {
			known[one.Hardware] = true
		}
	}
	return s.Register(ctx, candidates, known)
}

// listenRetry is how often a port is tried that another program has.
const listenRetry = 5 * time.Second

// serveTLS lets devices in that speak TLS. A port that is taken is said and tried again: those
// who need no TLS are heard meanwhile.
func (d *devices) serveTLS(ctx context.Context) error {
	var listen net.ListenConfig
	for {
		l, err := listen.Listen(ctx, "tcp", d.building.edge.cfg.MQTTTLSListen)
		if err == nil {
			address := l.Addr().String()
			d.tlsTrouble.Store(nil)
			d.tls.Store(&address)
			return d.broker.ServeTLS(ctx, l, d.secret)
		}
		if text := err.Error(); d.tlsTrouble.Swap(&text) == nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "the broker cannot listen for TLS: it tries again", obs.Code(string(problem.MQTTListen)), obs.Error(err))
		}
		retry := time.NewTimer(listenRetry)
		select {
		case <-ctx.Done():
			retry.Stop()
			return ctx.Err()
		case <-retry.C:
		}
	}
}
