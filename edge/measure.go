package edge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge/internal/broker"
	"estate/edge/internal/decode"
	"estate/edge/internal/telemetry"
	"estate/internal/httpapi"
	"estate/internal/reading"
)

// What is here stands beside an edge while `estate bench mqtt` measures it. None of it runs in
// an edge that serves a building.

const (
	// discardWait bounds one step of a subscriber that throws everything away.
	discardWait = 10 * time.Second
	// fillBatch is how many readings are written at once.
	fillBatch = 5000
	// discardBuilding is the level of the topics that publishers may use there.
	discardBuilding = "oak"
	// swing is how far a room's temperature goes from its mean, in degrees.
	swing, mean = 1.5, 20.5
)

// Discard runs the broker as an edge does, with the same settings, and in place of what an edge
// makes of messages a subscriber, with an edge's session, that counts and acknowledges them
// at once. With BrokerURL it is only the subscriber. The count is at /count of cfg.Listen.
func Discard(ctx context.Context, cfg Config, now func() time.Time) error {
	if err := os.MkdirAll(cfg.Data, folderMode); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	url, user, password := cfg.BrokerURL, "", ""
	admit, taken := func() {}, func(int) {}
	if url == "" {
		b, err := broker.Start(broker.Config{Addr: cfg.MQTTListen, StoreDir: (&Edge{cfg: cfg}).path(folderBroker), Now: now,
			Authenticate: func(_ context.Context, l broker.Login) (broker.Grant, bool) {
				return broker.Grant{Role: broker.RoleDevice, ClientID: l.ClientID, Building: discardBuilding, Device: l.ClientID}, true
			}}, cfg.Log)
		if err != nil {
			return err
		}
		defer b.Close()
		own := b.Internal()
		url, user, password, admit, taken = b.URL(), own.Username, own.Password, b.Admit, b.Taken
	}
	var count atomic.Int64
	ready := make(chan error, 1)
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("estate-discard").SetUsername(user).SetPassword(password).
		SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(time.Second).SetConnectTimeout(discardWait).SetOrderMatters(true).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			count.Add(1)
			if m.Qos() == 0 {
				taken(1)
			}
		}).
		SetOnConnectHandler(func(c mqtt.Client) {
			t := c.Subscribe("#", 1, nil)
			if !t.WaitTimeout(discardWait) {
				cfg.Log.Warn("discard: not subscribed in time")
			}
			select {
			case ready <- t.Error():
			default: // not the first time
			}
		}))
	client.Connect()
	select {
	case err := <-ready:
		if err != nil {
			return fmt.Errorf("listen at %s: %w", url, err)
		}
	case <-time.After(discardWait):
		return fmt.Errorf("listen at %s: no answer within %s", url, discardWait)
	case <-ctx.Done():
		return nil
	}
	defer client.Disconnect(0)
	admit()
	return serveCount(ctx, cfg, func(context.Context) (int64, error) { return count.Load(), nil })
}

// Stored counts at /count of cfg.Listen what is on the disk of the readings of the box whose
// data folder it is. The box runs beside it.
func Stored(ctx context.Context, cfg Config, _ func() time.Time) error {
	path := (&Edge{cfg: cfg}).path(fileReadings)
	return serveCount(ctx, cfg, func(ctx context.Context) (int64, error) { return telemetry.Count(ctx, path) })
}

// serveCount answers /count, and /readyz, until ctx ends.
func serveCount(ctx context.Context, cfg Config, count func(context.Context) (int64, error)) error {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, r *http.Request) {
		n, err := count(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte(strconv.FormatInt(n, 10))) // who asked is gone
	})
	server := httpapi.NewServer(mux, cfg.Log)
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the count: %w", err)
	}
	return nil
}

// Past is what Fill writes.
type Past struct {
	// Hardware has the number of each sensor put in, from 0 on.
	Hardware string
	Sensors  int
	Span     time.Duration
	Every    time.Duration
}

// Fill writes readings of a past that never was into a box that does not run.
func Fill(ctx context.Context, cfg Config, now func() time.Time, p Past) (stored int, err error) {
	if p.Sensors < 1 || p.Every < time.Second || p.Span < p.Every {
		return 0, errors.New("fill: give a number of sensors, and a time longer than the one between readings")
	}
	store, err := telemetry.Open(ctx, (&Edge{cfg: cfg}).path(fileReadings), telemetry.Options{Log: cfg.Log})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	end := now().Truncate(time.Second)
	batch := make([]reading.Reading, 0, fillBatch)
	flush := func() error {
		added, err := store.Add(ctx, batch)
		stored, batch = stored+added.Stored, batch[:0]
		return err
	}
	for n := range p.Sensors {
		series := reading.Series{Hardware: fmt.Sprintf(p.Hardware, n), Key: string(decode.Temperature), Kind: string(decode.Temperature), Unit: "°C", Type: reading.Number}
		for at := end.Add(-p.Span); at.Before(end); at = at.Add(p.Every) {
			day := float64(at.Unix()%86400) / 86400 * 2 * math.Pi
			batch = append(batch, reading.Reading{Series: series, At: at, Arrival: at, Value: mean - swing*math.Cos(day+float64(n))})
			if len(batch) == fillBatch {
				if err := flush(); err != nil {
					return stored, err
				}
			}
		}
	}
	return stored, flush()
}
