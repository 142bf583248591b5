package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/internal/problem"
)

// setMessage is an order as a device of our own topics receives it.
type setMessage struct {
	ID, Entity, Value string
	Expires           int64
}

// valve is a motor valve with a client of its own, which comes back when the broker does.
type valve struct {
	t      *testing.T
	client mqtt.Client
	own    string

	mu    sync.Mutex
	turns bool // does what it is told
	state string
	got   []setMessage
}

func newValve(t *testing.T, e *stack.Edge, login stack.Login) *valve {
	t.Helper()
	v := &valve{t: t, own: strings.TrimSuffix(login.Topic, "state"), turns: true, state: "open"}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + e.MQTT()).SetClientID(login.ClientID).SetUsername(login.Username).SetPassword(login.Password).
		SetProtocolVersion(4).SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(time.Second).SetConnectRetry(true).SetConnectRetryInterval(time.Second).
		SetOnConnectHandler(func(c mqtt.Client) {
			c.Subscribe(v.own+"set", 1, v.take)
			c.Publish(v.own+"announcement", 1, true, `{"name":"Main valve","entities":{"valve":{"component":"valve"}}}`)
			v.say()
		})
	v.client = mqtt.NewClient(o)
	v.client.Connect()
	t.Cleanup(func() { v.client.Disconnect(0) })
	return v
}

// say tells the state.
func (v *valve) say() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.client.Publish(v.own+"state", 1, false, `{"valve":"`+v.state+`"}`)
}

func (v *valve) take(_ mqtt.Client, m mqtt.Message) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var one setMessage
	if err := json.Unmarshal(m.Payload(), &one); err != nil {
		v.t.Errorf("the valve was told %q", m.Payload())
	}
	v.got = append(v.got, one)
	if v.turns {
		v.state = map[string]string{"open": "open", "close": "closed"}[one.Value]
		v.client.Publish(v.own+"answer", 1, false, fmt.Sprintf(`{"id":%q,"entity":"valve","result":"done","value":%q}`, one.ID, v.state))
	}
}

func (v *valve) orders() []setMessage {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]setMessage{}, v.got...)
}

// turn says whether it does what it is told.
func (v *valve) turn(does bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.turns = does
}

// plumbed is a building with an adopted valve that is open, as the cloud knows it.
func plumbed(t *testing.T) (*world, *stack.Cloud, *stack.Edge, *valve, desk.Device) {
	t.Helper()
	w, cloud := begin(t, oak(), false)
	e := w.edge(cloud, "OAK")
	login, err := e.AddDevice(t.Context(), "valve")
	if err != nil {
		t.Fatal(err)
	}
	v := newValve(t, e, login)
	manager := w.as(e.Base(), "manager")
	var device desk.Device
	until(t, "the valve to be listed", every, func() error {
		all, err := manager.Devices(t.Context(), e.Place.ID)
		if err != nil || len(all) == 0 {
			return fmt.Errorf("%d devices, %w", len(all), err)
		}
		device = all[0]
		return nil
	})
	if _, err := manager.AdoptDevice(t.Context(), e.Place.ID, device.ID, desk.Adoption{Name: "Main valve", Unit: new(e.Place.Units["Lobby"])}); err != nil {
		t.Fatal(err)
	}
	v.say()
	stated(t, w.as(cloud.Base(), "manager"), e, device, "open")
	return w, cloud, e, v, device
}

// stated waits until a server shows a valve that takes orders in a state.
func stated(t *testing.T, client *apiclient.Client, e *stack.Edge, device desk.Device, state string) {
	t.Helper()
	until(t, "the valve to be "+state, every, func() error {
		list, err := client.Controls(t.Context(), e.Place.ID, device.ID)
		if err != nil || len(list) != 1 || list[0].State != state || list[0].Refused != nil {
			return fmt.Errorf("%+v, %w", list, err)
		}
		return nil
	})
}

// order plans and confirms.
func order(t *testing.T, client *apiclient.Client, e *stack.Edge, device desk.Device, value string) desk.Action {
	t.Helper()
	plan, err := client.PlanAction(t.Context(), e.Place.ID, device.ID, "valve", value)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.OrderAction(t.Context(), e.Place.ID, device.ID, plan.Token)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ends waits for the end of an order, as a server shows it.
func ends(t *testing.T, client *apiclient.Client, e *stack.Edge, a desk.Action) desk.Action {
	t.Helper()
	until(t, a.Value+" to have an end", every, func() error {
		now, err := client.Action(t.Context(), e.Place.ID, a.Device, a.ID)
		if err != nil || !now.Over() {
			return fmt.Errorf("%s, %w", now.State, err)
		}
		a = now
		return nil
	})
	return a
}

// TestOrderFromTheCloud: who gives an order at the cloud sees the device's answer there. An order
// that reached the box too late is never carried out.
func TestOrderFromTheCloud(t *testing.T) {
	t.Parallel()
	w, cloud, e, v, device := plumbed(t)
	above := w.as(cloud.Base(), "manager")
	out, err := run(t, w.credentials(cloud.Base(), "manager"), "device", "order", "--building", "OAK", "--yes", "Main valve", "valve", "closed")
	if err != nil || !strings.Contains(out, "valve is open") || !strings.Contains(out, "answered\nThe device says: closed") {
		t.Errorf("estate device order: %v\n%s", err, out)
	}
	if got := v.orders(); len(got) != 1 || got[0].Value != "close" {
		t.Fatalf("the valve was told %+v", got)
	}
	stated(t, above, e, device, "closed")
	if out, err := run(t, w.credentials(cloud.Base(), "manager"), "device", "order", "--building", "OAK", "Main valve", "valve", "open"); err == nil || !strings.Contains(out, "not confirmed") {
		t.Errorf("an order that nobody confirmed: %v\n%s", err, out)
	}

	// The order is accepted while the box is in touch, and held up on the way to it.
	e.Line.HalfOpen()
	late := order(t, above, e, device, "open")
	wait := time.NewTimer(time.Until(late.ExpiresAt.Add(time.Second)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-t.Context().Done():
	}
	if got, err := above.Action(t.Context(), e.Place.ID, device.ID, late.ID); err != nil || got.State != "asked" {
		t.Errorf("the order got through: %+v, %v", got, err)
	}
	e.Line.Restore()
	if got := ends(t, above, e, late); got.State != "expired" || got.Reason == nil || got.Reason.Code != problem.ActionExpired {
		t.Errorf("the late order: %+v", got)
	}
	if got := v.orders(); len(got) != 1 {
		t.Errorf("the valve was told %+v", got)
	}
	if err := e.Kill9(); err != nil {
		t.Fatal(err)
	}
	until(t, "the cloud to know that the box is away", every, func() error {
		_, err := above.PlanAction(t.Context(), e.Place.ID, device.ID, "valve", "open")
		if !apiclient.HasCode(err, problem.BoxOffline) {
			return fmt.Errorf("planned: %w", err)
		}
		return nil
	})
}

// TestOrderSurvivesTheEdge: the edge is killed after it told the device and before it heard the
// answer. The next run finds out, and whatever it tells the device is the same order again.
func TestOrderSurvivesTheEdge(t *testing.T) {
	t.Parallel()
	w, _, e, v, device := plumbed(t)
	v.turn(false)
	at := w.as(e.Base(), "manager")
	a := order(t, at, e, device, "closed")
	until(t, "the valve to be told", every, func() error {
		if len(v.orders()) == 0 {
			return errNotYet
		}
		return nil
	})
	if err := e.Kill9(); err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	v.turns, v.state = true, "closed" // it turned meanwhile
	v.mu.Unlock()
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ends(t, w.as(e.Base(), "manager"), e, a); got.State != "answered" || got.Answer != "closed" {
		t.Errorf("the order: %+v", got)
	}
	for _, one := range v.orders() {
		if one.ID != a.ID.String() || one.Value != "close" {
			t.Errorf("the valve was told %+v", one)
		}
	}
	t.Logf("the valve was told %d times", len(v.orders()))
}
