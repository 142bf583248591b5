package broker

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// logger passes the server's log lines on and reads out of them what the server tells in
// no other way: why it stopped, what it could not recover, and what it refused.
type logger struct {
	log       *slog.Logger
	violation func(clientID, subject, reason string)
	// failed is told why the store takes nothing any more.
	failed func(cause string)

	mu      sync.Mutex
	fatal   string
	trouble []string
	retired bool // the server is being shut down: its store may well complain
}

// failureMarks are in the server's lines about a store that takes nothing more until it is
// opened anew: one failed write is enough.
var failureMarks = []string{"Critical write error", "JetStream out of space", "no space left on device"}

// recoveryMarks are the beginnings of the server's lines about a stream or session that it
// gave up on while opening its store. Starting on such a store would silently leave
// sensors' messages out.
var recoveryMarks = []string{
	"Missing stream metafile", "Error reading metafile", "Missing stream checksum",
	"Error reading Stream metafile", "Stream metafile", "Error unmarshalling stream metafile",
	"Error recreating stream", "Error reading consumer metafile", "Missing consumer metafile",
	"Missing consumer checksum", "Error unmarshalling consumer metafile", "Error adding consumer",
}

var quotedClient = regexp.MustCompile(` - "([^"]*)"`)

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("mqtt broker: " + fmt.Sprintf(format, v...))
}

func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

func (l *logger) Warnf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.note(line)
	l.log.Warn("mqtt broker: " + strings.TrimSpace(line))
}

func (l *logger) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.note(line)
	if clientID, subject, reason, ok := parseRefusal(line); ok {
		l.violation(clientID, subject, reason)
		return
	}
	l.log.Error("mqtt broker: " + strings.TrimSpace(line))
}

func (l *logger) Fatalf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.log.Error("mqtt broker stopped: " + line)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == "" {
		l.fatal = line
	}
}

// retire ends reports of failures.
func (l *logger) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
}

func (l *logger) note(line string) {
	text := strings.TrimSpace(line)
	for _, mark := range failureMarks {
		if strings.Contains(text, mark) {
			l.fail(text)
			return
		}
	}
	for _, mark := range recoveryMarks {
		if strings.HasPrefix(text, mark) {
			l.mu.Lock()
			l.trouble = append(l.trouble, text)
			l.mu.Unlock()
			return
		}
	}
}

func (l *logger) fail(cause string) {
	l.mu.Lock()
	retired := l.retired
	l.mu.Unlock()
	if !retired {
		l.failed(cause)
	}
}

func (l *logger) fatalReason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *logger) recoveryTrouble() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.trouble, "; ")
}

func isListenFailure(reason string) bool { return strings.Contains(reason, "Unable to listen") }

// parseRefusal reads a refused publish, a refused subscription or a topic that the broker
// cannot carry out of a log line.
func parseRefusal(line string) (clientID, subject, reason string, ok bool) {
	switch {
	case strings.Contains(line, "Publish Violation"):
		reason = "publish outside the device's own branch: acknowledged and dropped"
	case strings.Contains(line, "Subscription Violation"):
		reason = "subscription outside the device's own branch: refused"
	case strings.Contains(line, "character not supported for MQTT topics"):
		reason = "white space or a control character in the topic: connection closed"
	default:
		return "", "", "", false
	}
	if m := quotedClient.FindStringSubmatch(line); m != nil {
		clientID = m[1]
	}
	if _, after, found := strings.Cut(line, `Subject "`); found {
		subject, _, _ = strings.Cut(after, `"`)
	}
	return clientID, subject, reason, true
}

// violation reports a refusal to the log and to the edge, with the topic as the device
// wrote it.
func (b *Broker) violation(clientID, subject, reason string) {
	v := Violation{ClientID: clientID, Topic: topicOf(subject), Reason: reason}
	if g, ok := b.grants.Load(clientID); ok {
		v.Grant, _ = g.(Grant)
	}
	b.log.Warn("mqtt refused", "client", clientID, "topic", v.Topic, "reason", reason)
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
