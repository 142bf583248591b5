package broker

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// logger passes the server's log lines on and reads out of them what the server tells in
// no other way: why it stopped, what it could not recover, and what it refused.
type logger struct {
	log    *slog.Logger
	refuse func(refused)
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

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("mqtt broker: " + fmt.Sprintf(format, v...))
}

func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

func (l *logger) Warnf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.note(line)
	if r, ok := parseRefusal(strings.TrimSpace(line)); ok {
		l.refuse(r)
		return
	}
	l.log.Warn("mqtt broker: " + strings.TrimSpace(line))
}

func (l *logger) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	l.note(line)
	if r, ok := parseRefusal(strings.TrimSpace(line)); ok {
		l.refuse(r)
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
