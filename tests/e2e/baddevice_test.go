package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/internal/problem"
	"estate/sync/record"
)

// badDevices is a building in which devices misbehave.
type badDevices struct {
	*testing.T
	edge    *stack.Edge
	manager *apiclient.Client
	logins  map[string]stack.Login
	devices map[string]record.ID
}

// TestBadDevices: what is wrong with one device stays with it: an operator reads what and why,
// others are heard, and nothing but a real leak makes a ticket.
func TestBadDevices(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, oak(), false)
	b := &badDevices{T: t, edge: w.edge(cloud, "OAK"), logins: map[string]stack.Login{}, devices: map[string]record.ID{}}
	b.manager = w.as(b.edge.Base(), "manager")
	for _, name := range []string{"truncated", "notnumbers", "large", "units", "chatty", "honest"} {
		login, err := b.edge.AddDevice(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		b.logins[name] = login
		b.devices[name] = b.enter("plain:oak/"+name, name)
	}
	gateway, err := b.edge.Gateway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.logins["gateway"] = gateway
	b.payloads()
	b.renamed()
	b.twoOfOneID()
	b.flood()
	if err := publish(t, b.edge, b.logins["honest"], b.logins["honest"].Topic, `{"leak":true}`, false); err != nil {
		t.Fatal(err)
	}
	until(t, "the ticket of the real leak", every, func() error {
		if openTickets(t, b.manager, b.edge) == 0 {
			return errNotYet
		}
		return nil
	})
	all, err := b.manager.Tickets(t.Context(), b.edge.Place.ID, nil)
	if err != nil || len(all) != 1 || all[0].Device != b.devices["honest"] {
		t.Errorf("one ticket, of the real leak, was expected: %+v, %v", all, err)
	}
}

func (b *badDevices) enter(hardware, name string) record.ID {
	b.Helper()
	d, err := b.manager.CreateDevice(b.Context(), b.edge.Place.ID, apiclient.NewDevice{Hardware: hardware, Name: name})
	if err != nil {
		b.Fatal(err)
	}
	return d.ID
}

func (b *badDevices) say(name, payload string) {
	b.Helper()
	if err := publish(b.T, b.edge, b.logins[name], b.logins[name].Topic, payload, false); err != nil {
		b.Fatal(err)
	}
}

// refused waits until the operator's list has a line.
func (b *badDevices) refused(login string, code problem.Code, key string) {
	b.Helper()
	until(b.T, fmt.Sprintf("a refusal %s of %s %s", code, login, key), every, func() error {
		var list struct {
			Items []struct{ Login, Key, Code, Message, Remedy, Detail string }
		}
		if err := b.manager.Get(b.Context(), "/buildings/"+b.edge.Place.ID.String()+"/refusals", &list); err != nil {
			return err
		}
		for _, one := range list.Items {
			if one.Login == login && one.Code == string(code) && one.Key == key && one.Message != "" && one.Remedy != "" {
				return nil
			}
		}
		return fmt.Errorf("none of %+v", list.Items)
	})
}

// measured waits until a device's last value of a key is this one.
func (b *badDevices) measured(name, key string, want float64) {
	b.Helper()
	until(b.T, fmt.Sprintf("%s %s of %s", key, fmt.Sprint(want), name), every, func() error {
		list, err := b.manager.Series(b.Context(), b.edge.Place.ID, b.devices[name])
		if err != nil {
			return err
		}
		for _, one := range list {
			if one.Key == key && one.Last != nil && *one.Last == want {
				return nil
			}
		}
		return fmt.Errorf("none of %+v", list)
	})
}

// payloads are broken ones. A key that is wrong spoils only itself.
func (b *badDevices) payloads() {
	b.Helper()
	b.say("truncated", `{"leak":tr`)
	b.refused("truncated", problem.MQTTPayloadRefused, "")

	b.say("notnumbers", `{"leak":NaN}`)
	b.refused("notnumbers", problem.MQTTPayloadRefused, "")
	b.say("notnumbers", `{"temperature":1e999,"pressure":"Infinity","humidity":41}`)
	b.refused("notnumbers", problem.MQTTPayloadRefused, "temperature")
	b.refused("notnumbers", problem.MQTTPayloadRefused, "pressure")
	b.measured("notnumbers", "humidity", 41)

	b.say("large", `{"humidity":42,"pad":"`+strings.Repeat("x", 200<<10)+`"}`)
	b.measured("large", "humidity", 42)
	b.say("large", `{"leak":true,"pad":"`+strings.Repeat("x", 300<<10)+`"}`)
	b.refused("large", problem.MQTTPayloadTooLarge, "")

	b.say("units", `{"temperature":"21 °F","leak":"3 l/h","humidity":430,"battery":55}`)
	for _, key := range []string{"temperature", "leak", "humidity"} {
		b.refused("units", problem.MQTTPayloadRefused, key)
	}
	b.measured("units", "battery", 55)
}

// renamed: a device whose gateway gives it another name is the same device.
func (b *badDevices) renamed() {
	b.Helper()
	const address = "0x00158d00baddecaf"
	b.devices["meter"] = b.enter("z2m:"+address, "meter")
	announce := func(name string) {
		b.Helper()
		list := `[{"ieee_address":"` + address + `","type":"EndDevice","friendly_name":"` + name + `"}]`
		if err := publish(b.T, b.edge, b.logins["gateway"], "zigbee2mqtt/bridge/devices", list, true); err != nil {
			b.Fatal(err)
		}
	}
	send := func(name string, value int) {
		b.Helper()
		if err := publish(b.T, b.edge, b.logins["gateway"], "zigbee2mqtt/"+name, fmt.Sprintf(`{"temperature":%d}`, value), false); err != nil {
			b.Fatal(err)
		}
	}
	announce("cellar")
	send("cellar", 11)
	b.measured("meter", "temperature", 11)
	announce("attic/north")
	send("attic/north", 12)
	b.measured("meter", "temperature", 12)
	all, err := b.manager.Devices(b.Context(), b.edge.Place.ID)
	if err != nil {
		b.Fatal(err)
	}
	for _, d := range all {
		if strings.Contains(d.Hardware, "cellar") || strings.Contains(d.Hardware, "attic") {
			b.Errorf("a name became a device of its own: %+v", d)
		}
	}
}

// twoOfOneID: two gateways with one client id throw each other off, which is said.
func (b *badDevices) twoOfOneID() {
	b.Helper()
	l := b.logins["gateway"]
	for range 2 {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + b.edge.MQTT()).SetClientID(l.ClientID).SetUsername(l.Username).SetPassword(l.Password).
			SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(every).SetMaxReconnectInterval(every))
		c.Connect()
		defer c.Disconnect(0)
	}
	b.refused(l.ClientID, problem.MQTTClientIDTwice, "")
}

// flood: one device sends as fast as it can. Others are heard meanwhile, and it is named.
func (b *badDevices) flood() {
	b.Helper()
	l := b.logins["chatty"]
	ctx, stop := context.WithCancel(b.Context())
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + b.edge.MQTT()).SetClientID(l.ClientID).SetUsername(l.Username).SetPassword(l.Password))
	if t := c.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
		b.Fatal(errors.Join(t.Error(), errNotYet))
	}
	defer c.Disconnect(0)
	var sending sync.WaitGroup
	defer sending.Wait()
	defer stop()
	sending.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			c.Publish(l.Topic, byte(n%2), false, fmt.Sprintf(`{"leak":false,"energy":%d}`, n)).WaitTimeout(patience)
		}
	})
	for n := range 3 {
		b.say("honest", fmt.Sprintf(`{"leak":false,"temperature":%d}`, 20+n))
		b.measured("honest", "temperature", float64(20+n))
	}
	b.refused("chatty", problem.MQTTFlood, "")
	began := time.Now()
	if _, err := b.manager.Alarms(b.Context(), b.edge.Place.ID); err != nil || time.Since(began) > patience {
		b.Errorf("the API answers after %s: %v", time.Since(began), err)
	}
	var hearing struct{ Heard bool }
	if err := b.manager.Get(b.Context(), "/buildings/"+b.edge.Place.ID.String()+"/hearing", &hearing); err != nil || !hearing.Heard {
		b.Errorf("devices are not heard: %+v, %v", hearing, err)
	}
}
