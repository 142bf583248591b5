package broker

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"estate/internal/problem"
)

// The protocol has no way to tell a publisher why something of it was not taken, and the server
// tells it in its log alone. So each refusal is read out of the line.

// Violation is something of a client that was not taken. The client was told nothing.
type Violation struct {
	// Code says what it was; its remedy is in package problem.
	Code     problem.Code
	ClientID string
	// Remote is the client's address.
	Remote string
	// Grant is the client's, where it was let in.
	Grant Grant
	Topic string
	// Reason is what happened this time, where the code does not say it all.
	Reason string
}

// refused is what a line of the server's log says.
type refused struct {
	code                              problem.Code
	clientID, remote, subject, reason string
}

// refusalMarks are in the server's lines about something that it did not take.
func refusalMarks() []struct {
	mark string
	code problem.Code
} {
	return []struct {
		mark string
		code problem.Code
	}{
		{"Publish Violation", problem.MQTTPublishForbidden},
		{"Subscription Violation", problem.MQTTSubscribeForbidden},
		{"character not supported for MQTT topics", problem.MQTTTopicCharacters},
		{"maximum payload exceeded", problem.MQTTPayloadTooLarge},
		{"both have the same client ID", problem.MQTTClientIDTwice},
		{"remote connection has started with the same client ID", problem.MQTTClientIDTwice},
		{"unacceptable protocol version", problem.MQTTVersion},
		{"older protocol", problem.MQTTVersion},
		{"expected connect packet", problem.MQTTProtocol},
		{"the first packet should be a CONNECT", problem.MQTTProtocol},
		{"invalid fixed header", problem.MQTTProtocol},
		{"invalid remaining length", problem.MQTTProtocol},
		{"received unknown packet type", problem.MQTTProtocol},
		{"invalid utf8 for", problem.MQTTProtocol},
		{"invalid null character", problem.MQTTProtocol},
		{"wildcards not allowed in publish's topic", problem.MQTTProtocol},
		{"packet identifier cannot be 0", problem.MQTTProtocol},
	}
}

// lineOf reads address, client id and text of a line such as `127.0.0.1:5 - mid:7 - "leak1" - …`.
// A client that was not let in has no id yet.
var lineOf = regexp.MustCompile(`^(\S+) - mid:\d+ - (?:"((?:[^"\\]|\\.)*)" - )?(.*)$`)

// parseRefusal reads what was refused out of a log line.
func parseRefusal(line string) (refused, bool) {
	for _, m := range refusalMarks() {
		if !strings.Contains(line, m.mark) {
			continue
		}
		out := refused{code: m.code}
		text := line
		if p := lineOf.FindStringSubmatch(line); p != nil {
			out.remote, out.clientID, text = p[1], p[2], p[3]
		}
		if _, after, found := strings.Cut(text, `Subject "`); found {
			out.subject, _, _ = strings.Cut(after, `"`)
		}
		if slices.Contains([]problem.Code{problem.MQTTProtocol, problem.MQTTVersion, problem.MQTTPayloadTooLarge, problem.MQTTTopicCharacters}, m.code) {
			out.reason = text
		}
		return out, true
	}
	return refused{}, false
}

// refuse reports a refusal to the log and to the edge, with the topic as the device wrote it.
func (b *Broker) refuse(r refused) {
	if r.code == problem.MQTTClientIDTwice && !b.takeovers.often(r.clientID, b.cfg.Now()) {
		return
	}
	v := Violation{Code: r.code, ClientID: r.clientID, Remote: b.remotes.of(r.remote), Topic: topicOf(r.subject), Reason: r.reason}
	if r.code == problem.MQTTSubscribeForbidden { // a filter, with the broker's own wildcards
		v.Topic = strings.NewReplacer("*", "+", ">", "#").Replace(v.Topic)
	}
	if g, ok := b.grants.Load(r.clientID); ok {
		v.Grant, _ = g.(Grant)
	}
	b.violate(v)
}

func (b *Broker) violate(v Violation) {
	b.log.Debug("mqtt refused", "code", v.Code, "client", v.ClientID, "remote", v.Remote, "topic", v.Topic, "reason", v.Reason)
	if b.cfg.OnViolation != nil {
		b.cfg.OnViolation(v)
	}
}

// topicOf turns the broker's subject back into a topic: "//" stands for a dot.
func topicOf(subject string) string {
	parts := strings.Split(subject, "//")
	for i, p := range parts {
		parts[i] = strings.NewReplacer("./", "/", "/.", "/", ".", "/").Replace(p)
	}
	return strings.Join(parts, ".")
}

const (
	// takeoverWithin and takeoverMax tell two devices with one client id from one that lost its
	// connection and came back before the broker knew: that happens now and then.
	takeoverWithin = 5 * time.Minute
	takeoverMax    = 3
	// takeoverIDsMax bounds how many ids are remembered; a building has fewer.
	takeoverIDsMax = connectionsMax
)

// takeovers remembers when a client id was taken over by a new connection.
type takeovers struct {
	mu   sync.Mutex
	last map[string][]time.Time
}

// often notes a takeover and says whether they come too often to be chance.
func (t *takeovers) often(clientID string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || len(t.last) >= takeoverIDsMax && t.last[clientID] == nil {
		t.last = map[string][]time.Time{}
	}
	list := append(t.last[clientID], now)
	if len(list) > takeoverMax {
		list = list[len(list)-takeoverMax:]
	}
	t.last[clientID] = list
	return len(list) == takeoverMax && now.Sub(list[0]) <= takeoverWithin
}
