package edge_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"estate/edge"
	"estate/internal/httpapi"
	"estate/internal/lab"
	"estate/internal/problem"
)

func (b *box) hearing(building string) (got httpapi.Hearing) {
	b.t.Helper()
	b.call(http.MethodGet, "/buildings/"+building+"/hearing", nil, &got)
	return got
}

// refusal gives the line of a login with a code, once there is one.
func (b *box) refusal(building, login string, code problem.Code) (found httpapi.Refusal) {
	b.t.Helper()
	var last []httpapi.Refusal
	eventually(b.t, string(code)+" of "+login, func() bool {
		var got httpapi.RefusalsBody
		b.call(http.MethodGet, "/buildings/"+building+"/refusals", nil, &got)
		last = got.Items
		i := slices.IndexFunc(got.Items, func(r httpapi.Refusal) bool { return r.Login == login && r.Code == string(code) })
		if i >= 0 {
			found = got.Items[i]
		}
		return i >= 0
	})
	if found.Message == "" || found.Remedy == "" || found.Count == 0 || found.FirstAt.IsZero() || found.LastAt.Before(found.FirstAt) {
		b.t.Errorf("%+v of %+v", found, last)
	}
	return found
}

// client signs a device in.
func (b *box) client(login edge.LoginResult) mqtt.Client {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	return must(lab.SignIn(ctx, mqtt.NewClientOptions().AddBroker("tcp://"+b.MQTTAddr()).SetClientID(login.ClientID).SetUsername(login.Username).
		SetPassword(login.Password).SetAutoReconnect(false)))(b.t)
}

// toldOf publishes to a topic and gives what the device finds on its error topic.
func (b *box) toldOf(login edge.LoginResult, about, topic string) (said map[string]string) {
	b.t.Helper()
	got := make(chan []byte, 1)
	client := b.client(login)
	defer client.Disconnect(250)
	for _, token := range []func() mqtt.Token{
		func() mqtt.Token {
			return client.Subscribe(about, 1, func(_ mqtt.Client, m mqtt.Message) { got <- m.Payload() })
		},
		func() mqtt.Token { return client.Publish(topic, 1, false, "{}") }} {
		if done := token(); !done.WaitTimeout(patience) || done.Error() != nil {
			b.t.Fatal(done.Error())
		}
	}
	select {
	case text := <-got:
		if err := json.Unmarshal(text, &said); err != nil {
			b.t.Fatal(err)
		}
	case <-time.After(patience):
		b.t.Fatal("the device is not told")
	}
	return said
}

// TestRefusals: what the broker does silently, and what was not understood, is listed by login
// with a remedy, and the device that it was is told.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	gateway := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "gw", Role: "zigbee2mqtt"}))(t)
	own := "estate/v1/oak/dev/s1/"
	if said := b.toldOf(sensor, own+"error", "estate/v1/oak/alarm/1"); said["code"] != "topic_not_permitted" || !strings.Contains(said["reason"], "estate-edge device add") || said["topic"] != "estate/v1/oak/alarm/1" {
		t.Errorf("the device was told %v", said)
	}
	for _, send := range []struct {
		login          edge.LoginResult
		topic, payload string
		code           problem.Code
	}{
		{sensor, "estate/v1/oak/dev/s2/state", `{}`, problem.MQTTPublishForbidden},
		{sensor, own + "temprature", `21`, problem.MQTTTopicUnheard},
		{sensor, own + "state", `{"leak":"banana"}`, problem.MQTTPayloadRefused},
		{gateway, "zigbee2mqtt/dining room", `{}`, problem.MQTTTopicCharacters},
		{edge.LoginResult{Username: "s1", ClientID: "s9", Password: sensor.Password}, own + "state", `{}`, problem.MQTTClientIDWrong},
		{edge.LoginResult{Username: "s1", ClientID: "s1", Password: "wrong"}, own + "state", `{}`, problem.MQTTLoginRefused},
	} {
		_ = b.tryPublish(send.login, send.topic, send.payload) // what becomes of it is what is looked at
		got := b.refusal(building, send.login.Username, send.code)
		if send.code != problem.MQTTTopicCharacters && send.code != problem.MQTTClientIDWrong && send.code != problem.MQTTLoginRefused && got.Topic != send.topic {
			t.Errorf("%s: topic %q", send.code, got.Topic)
		}
	}
	b.refusal(building, "gw", problem.MQTTTopicCharacters)
	if got := b.hearing(building); !got.Heard || got.BlindSince != nil || got.Code != "" || got.Refused < 6 || got.Broker != "embedded" || got.LastBlind == nil {
		t.Errorf("%+v", got)
	}
}

// TestFloodIsShown: while readings cannot be stored a device floods at QoS 0. What found no room
// shows with its remedy, and under whose login it was.
func TestFloodIsShown(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	b.publish(sensor, sensor.Topic, `{"temperature":20}`)
	eventually(t, "listed", func() bool { return len(b.devices(building)) == 1 })
	b.call(http.MethodPost, "/buildings/"+building+"/devices/"+b.devices(building)[0].ID.String()+"/adopt", map[string]string{}, nil)

	db, err := sql.Open("sqlite", filepath.Join(b.cfg.Data, "readings.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	held := must(db.Conn(t.Context()))(t)
	defer func() { _ = held.Close() }()
	for _, text := range []string{"PRAGMA busy_timeout = 60000", "BEGIN IMMEDIATE"} {
		if _, err := held.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	client := b.client(sensor)
	defer client.Disconnect(250)
	for n := range 20_000 {
		if done := client.Publish(sensor.Topic, 0, false, fmt.Sprintf(`{"energy":%d}`, n)); !done.WaitTimeout(patience) || done.Error() != nil {
			t.Fatal(done.Error())
		}
	}
	got := b.refusal(building, "s1", problem.MQTTLeftOut)
	if got.Topic != sensor.Topic {
		t.Errorf("%+v", got)
	}
	if got := b.hearing(building); !got.Heard || got.Code != string(problem.MQTTLeftOut) || got.Remedy == "" || got.Detail == "" || got.Waiting == 0 {
		t.Errorf("%+v", got)
	}
	if _, err := held.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all that found room is stored", func() bool { return b.hearing(building).Waiting == 0 })
}

// TestReadingsDisk: who looks after the box sees how much of its disk readings take.
func TestReadingsDisk(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	b := enrolled(t, c)
	b.signIn()
	building := c.building.String()
	sensor := must(edge.AddLoginAt(t.Context(), b.cfg, time.Now, edge.LoginInput{Name: "s1"}))(t)
	b.publish(sensor, sensor.Topic, `{"temperature":20}`)
	eventually(t, "listed", func() bool { return len(b.devices(building)) == 1 })
	b.call(http.MethodPost, "/buildings/"+building+"/devices/"+b.devices(building)[0].ID.String()+"/adopt", map[string]string{}, nil)
	b.publish(sensor, sensor.Topic, `{"temperature":21}`)
	eventually(t, "a forecast", func() bool {
		var got httpapi.ReadingsDisk
		b.call(http.MethodGet, "/buildings/"+building+"/readings/disk", nil, &got)
		return got.Bytes > 0 && got.BudgetBytes > got.Bytes && got.BytesPerDay > 0 && got.ReadingsFrom != nil && got.RollupsFrom != nil
	})
}

// TestPortOfTheBrokerIsTaken: the box runs and says what is wrong, with a remedy; once the port
// is free, devices are heard, and it says for how long they were not.
func TestPortOfTheBrokerIsTaken(t *testing.T) {
	t.Parallel()
	plain, secure := must(net.Listen("tcp", "127.0.0.1:0"))(t), must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer func() { _, _ = plain.Close(), secure.Close() }()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTListen, cfg.MQTTTLSListen = plain.Addr().String(), secure.Addr().String()
	b := startBox(t, cfg)
	if _, err := edge.EnrolAt(t.Context(), b.cfg, time.Now, edge.EnrolInput{Code: c.code(), Cloud: c.http.URL}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "that people can sign in", func() bool {
		return b.call(http.MethodPost, "/auth/login", map[string]string{"email": "m@oak.example", "password": password}, nil)/100 == 2
	})
	b.signIn()
	building := c.building.String()
	var got httpapi.Hearing
	eventually(t, "that the box says so", func() bool { got = b.hearing(building); return got.Code == string(problem.MQTTListen) })
	if got.Heard || got.BlindSince == nil || got.Remedy == "" || got.Detail == "" || b.ready() {
		t.Errorf("%+v, ready %v", got, b.ready())
	}
	since := *got.BlindSince
	_ = plain.Close()
	eventually(t, "devices are heard", func() bool { got = b.hearing(building); return got.Heard })
	if got.LastBlind == nil || !got.LastBlind.From.Equal(since) || !got.LastBlind.To.After(since) {
		t.Errorf("blind since %s, then %+v", since, got.LastBlind)
	}
	if got.Code != string(problem.MQTTListen) || got.BlindSince != nil {
		t.Errorf("the port for TLS is taken still: %+v", got)
	}
	_ = secure.Close()
	eventually(t, "TLS, too", func() bool { return b.MQTTTLSAddr() != "" && b.hearing(building).Code == "" })
}
