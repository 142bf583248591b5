package ingest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"estate/internal/problem"
)

// TestFloodElsewhere: where the broker is another's the box itself names who sends far too much, and
// takes neither many who send little nor what was kept for it for a flood.
func TestFloodElsewhere(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		topics   func(n int) string
		blind    time.Duration // before the start, until when nobody was heard
		a        int           // messages a second
		retained bool
		login    string
	}{
		"Device":       {topics: func(int) string { return "estate/v1/oak/dev/chatty/state" }, blind: time.Hour, a: 51, login: "chatty"},
		"JustMuch":     {topics: func(int) string { return "estate/v1/oak/dev/busy/state" }, blind: time.Hour, a: 49},
		"SeveralTopic": {topics: func(n int) string { return fmt.Sprint("tele/plug/x", n%10) }, blind: time.Hour, a: 60, login: "tele/plug"},
		"ManyDevices":  {topics: func(n int) string { return fmt.Sprint("estate/v1/oak/dev/d", n%100, "/state") }, blind: time.Hour, a: 400},
		"Gateway":      {topics: func(n int) string { return fmt.Sprint("zigbee2mqtt/d", n%100) }, blind: time.Hour, a: 400},
		"WildGateway":  {topics: func(n int) string { return fmt.Sprint("zigbee2mqtt/d", n%100) }, blind: time.Hour, a: 600, login: "zigbee2mqtt"},
		"WhatWasKept":  {topics: func(int) string { return "estate/v1/oak/dev/chatty/state" }, blind: 5 * time.Second, a: 5000},
		"Retained":     {topics: func(int) string { return "estate/v1/oak/dev/chatty/state" }, blind: time.Hour, a: 5000, retained: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := start
			in, err := New(Config{Building: "oak", FloodDevice: 50, FloodGateway: 500, Link: Link{URL: "tcp://127.0.0.1:1", Others: true}, Now: func() time.Time { return now }}, register{}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			in.link.lastBlind = Period{start.Add(-2 * time.Hour), start.Add(-c.blind)}
			in.gateways.list["zigbee2mqtt"] = Gateway{Base: "zigbee2mqtt", Online: true}
			for s := range 31 {
				now = start.Add(time.Duration(s) * time.Second)
				in.lookForFloods(now)
				for n := range c.a {
					in.floods.count(&message{topic: in.link.queue.topic([]byte(c.topics(n))), retained: c.retained})
				}
			}
			list := in.Refusals()
			if c.login == "" && len(list) > 0 || c.login != "" && (len(list) != 1 || list[0].Login != c.login || list[0].Code != problem.MQTTFlood || list[0].Count != 3 || !strings.Contains(list[0].Reason, "messages a second")) {
				t.Errorf("%+v", list)
			}
		})
	}
}
