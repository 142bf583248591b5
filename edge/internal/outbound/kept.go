package outbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"estate/edge/internal/decode"
)

// keep brings what the broker keeps for whoever comes later up to date: alarms as long as they
// last, and the box's state.
func (o *Outbound) keep(ctx context.Context, all bool) error {
	if o.kept == nil {
		kept, err := o.cfg.Local.Kept(ctx)
		if err != nil {
			return err
		}
		o.kept = kept
	}
	want, err := o.wanted(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, topic := range slices.Sorted(maps.Keys(o.kept)) {
		if _, still := want[topic]; !still {
			errs = append(errs, o.set(ctx, topic, nil))
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(want)) {
		if all || !bytes.Equal(o.kept[topic], want[topic]) {
			errs = append(errs, o.set(ctx, topic, want[topic]))
		}
	}
	return errors.Join(errs...)
}

// set asks the broker to keep a message, or none. The note of it is durable before the broker
// is asked, so that what it keeps is never forgotten; and gone only after it was taken away.
func (o *Outbound) set(ctx context.Context, topic string, payload []byte) error {
	_, noted := o.kept[topic]
	if len(payload) > 0 && !noted {
		if err := o.cfg.Local.Keep(ctx, topic, payload); err != nil {
			return err
		}
		o.kept[topic] = nil
	}
	if err := o.publish(ctx, Message{Topic: topic, Payload: payload, QoS: 1, Retained: true}); err != nil {
		return err
	}
	if len(payload) > 0 {
		o.kept[topic] = payload
		return nil
	}
	if err := o.cfg.Local.Keep(ctx, topic, nil); err != nil {
		return err
	}
	delete(o.kept, topic)
	return nil
}

// wanted is what the broker is to keep now, by topic.
func (o *Outbound) wanted(ctx context.Context) (map[string][]byte, error) {
	alarms, err := o.cfg.Desk.OpenAlarms(ctx, o.cfg.Building)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, a := range alarms {
		if err := put(out, o.topic("alarm/"+a.ID.String()), a); err != nil {
			return nil, err
		}
	}
	state, err := o.state(ctx)
	if err == nil {
		err = put(out, o.topic("state/box"), state)
	}
	if err == nil {
		err = put(out, o.cfg.Prefixes[0]+"/device/estate_"+o.cfg.Box+"/config", o.announcement())
	}
	return out, err
}

func put(out map[string][]byte, topic string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", topic, err)
	}
	out[topic] = text
	return nil
}

// State is what the box tells of itself and of the building's work.
type State struct {
	Emergencies int    `json:"emergencies"`
	Open        int    `json:"open_tickets"`
	Overdue     int    `json:"overdue_tickets"`
	Cloud       string `json:"cloud"`
	Waiting     int    `json:"waiting"`
	// ReceiptAt is when the cloud last confirmed something, in RFC 3339.
	ReceiptAt string `json:"receipt_at,omitempty"`
	Blind     bool   `json:"blind"`
	// Trouble is the code of what is wrong with the box; empty where nothing is.
	Trouble string `json:"trouble"`
	Version string `json:"version"`
}

// count counts the building's open work, but takes no more than a hundredth of the time: it costs
// the index entries of all open tickets, and whoever writes one meanwhile waits for it. What
// changes meanwhile is found at the next look.
func (o *Outbound) count(ctx context.Context) error {
	began := time.Now()
	if began.Before(o.countAfter) {
		return nil
	}
	work, err := o.cfg.Desk.Workload(ctx, o.cfg.Building)
	if err != nil {
		return err
	}
	o.work, o.countAfter = work, began.Add(countShare*time.Since(began))
	return nil
}

func (o *Outbound) state(ctx context.Context) (State, error) {
	if err := o.count(ctx); err != nil {
		return State{}, err
	}
	work := o.work
	link := o.cfg.Link(ctx)
	s := State{Emergencies: work.Urgent, Open: work.Open, Overdue: work.Overdue, Cloud: link.State, Waiting: link.Waiting, Blind: !o.cfg.Blind().IsZero(), Trouble: o.cfg.Trouble(ctx), Version: o.cfg.Version}
	if link.ReceiptAt != nil {
		s.ReceiptAt = link.ReceiptAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	return s, nil
}

// component is one entity of the announcement, in Home Assistant's words.
type component struct {
	Platform    string `json:"platform"`
	UniqueID    string `json:"unique_id"`
	Name        string `json:"name"`
	Template    string `json:"value_template"`
	DeviceClass string `json:"device_class,omitempty"`
	StateClass  string `json:"state_class,omitempty"`
	Category    string `json:"entity_category,omitempty"`
	Icon        string `json:"icon,omitempty"`
	PayloadOn   string `json:"payload_on,omitempty"`
	PayloadOff  string `json:"payload_off,omitempty"`
}

type announcement struct {
	Device struct {
		Identifiers  []string `json:"identifiers"`
		Name         string   `json:"name"`
		Manufacturer string   `json:"manufacturer"`
		Model        string   `json:"model"`
		Software     string   `json:"sw_version,omitempty"`
	} `json:"device"`
	Origin struct {
		Name     string `json:"name"`
		Software string `json:"sw_version,omitempty"`
	} `json:"origin"`
	StateTopic   string               `json:"state_topic"`
	Availability []availability       `json:"availability"`
	QoS          int                  `json:"qos"`
	Components   map[string]component `json:"components"`
}

type availability struct {
	Topic string `json:"topic"`
}

// announcement is the box as a device of Home Assistant's.
func (o *Outbound) announcement() announcement {
	var a announcement
	a.Device.Identifiers, a.Device.Name = []string{"estate_" + o.cfg.Box}, "Smart Estate "+o.cfg.Code
	a.Device.Manufacturer, a.Device.Model, a.Device.Software = decode.Origin, "edge box", o.cfg.Version
	a.Origin.Name, a.Origin.Software = decode.Origin, o.cfg.Version
	a.StateTopic, a.QoS = o.topic("state/box"), 1
	a.Availability = []availability{{o.topic(AvailabilityTopic)}}
	id := func(name string) string { return "estate_" + o.cfg.Box + "_" + name }
	a.Components = map[string]component{
		"emergency":   {Platform: "binary_sensor", Name: "Emergency", DeviceClass: "safety", Template: "{{ 'ON' if value_json.emergencies > 0 else 'OFF' }}", PayloadOn: "ON", PayloadOff: "OFF"},
		"emergencies": {Platform: "sensor", Name: "Open emergencies", StateClass: "measurement", Icon: "mdi:alarm-light", Template: "{{ value_json.emergencies }}"},
		"open":        {Platform: "sensor", Name: "Open tickets", StateClass: "measurement", Icon: "mdi:clipboard-list", Template: "{{ value_json.open_tickets }}"},
		"overdue":     {Platform: "sensor", Name: "Overdue tickets", StateClass: "measurement", Icon: "mdi:clipboard-alert", Template: "{{ value_json.overdue_tickets }}"},
		"cloud": {Platform: "binary_sensor", Name: "In step with the cloud", DeviceClass: "connectivity", Category: "diagnostic",
			Template: "{{ 'ON' if value_json.cloud == 'synced' else 'OFF' }}", PayloadOn: "ON", PayloadOff: "OFF"},
		"waiting": {Platform: "sensor", Name: "Changes waiting for the cloud", StateClass: "measurement", Category: "diagnostic", Template: "{{ value_json.waiting }}"},
		"receipt": {Platform: "sensor", Name: "Last confirmed by the cloud", DeviceClass: "timestamp", Category: "diagnostic", Template: "{{ value_json.receipt_at | default(none) }}"},
		"blind": {Platform: "binary_sensor", Name: "Does not hear devices", DeviceClass: "problem", Category: "diagnostic",
			Template: "{{ 'ON' if value_json.blind else 'OFF' }}", PayloadOn: "ON", PayloadOff: "OFF"},
		"trouble": {Platform: "binary_sensor", Name: "Box needs attention", DeviceClass: "problem", Category: "diagnostic",
			Template: "{{ 'ON' if value_json.trouble else 'OFF' }}", PayloadOn: "ON", PayloadOff: "OFF"},
		"cause": {Platform: "sensor", Name: "What is wrong with the box", Category: "diagnostic", Icon: "mdi:wrench-clock", Template: "{{ value_json.trouble or 'nothing' }}"},
	}
	for name, c := range a.Components {
		c.UniqueID = id(name)
		a.Components[name] = c
	}
	return a
}

// AvailabilityTopic is below the building: "online", and "offline" by the broker itself when the
// box is gone.
const AvailabilityTopic = "state/availability"
