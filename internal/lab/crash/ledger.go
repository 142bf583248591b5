package crash

import (
	"sync"
	"time"

	"estate/sync/record"
)

// The kinds of writes, as the report names them.
const (
	wroteTicket  = "ticket created"
	wroteField   = "ticket field changed"
	wroteStatus  = "ticket status moved"
	wroteMessage = "message"
	wrotePhoto   = "photo"
	wroteReading = "sensor reading"
	wroteAlarm   = "sensor alarm"
	wroteByPhone = "phone transaction"
)

func kindsOfWrites() []string {
	return []string{wroteTicket, wroteField, wroteStatus, wroteMessage, wrotePhoto, wroteReading, wroteAlarm, wroteByPhone}
}

// entry is one write: what somebody was told of it, and where to look for it.
type entry struct {
	kind  string
	site  *site
	where string // the server that acknowledged it, or was asked last
	key   record.Key
	field string
	value record.Value
	// seen is the token of what the author was shown; empty for none.
	seen string
	// device is the sensor of a reading or alarm, whose record the edge names.
	device record.ID
	// once says that a repeated delivery must not make a second record.
	once bool

	acked bool
	at    time.Time // of the acknowledgement, by the true clock
}

// ledger is the test's own memory of what it wrote.
type ledger struct {
	mu      sync.Mutex
	entries []*entry
	results map[string]*Row
}

func newLedger() *ledger { return &ledger{results: map[string]*Row{}} }

// begin notes a write before it is sent: its answer may be lost.
func (l *ledger) begin(e *entry) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return e
}

// acknowledge notes that somebody was told that the write is kept.
func (l *ledger) acknowledge(e *entry, where string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.acked, e.where, e.at = true, where, time.Now()
}

// drop takes out what was refused before it was carried out.
func (l *ledger) drop(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.entries) - 1; i >= 0; i-- {
		if l.entries[i] == e {
			l.entries = append(l.entries[:i], l.entries[i+1:]...)
			return
		}
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// of lists a site's writes.
func (l *ledger) of(s *site) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*entry
	for _, e := range l.entries {
		if e.site == s {
			out = append(out, e)
		}
	}
	return out
}

// lately gives the last tickets of a site that an address acknowledged, at most n.
func (l *ledger) lately(s *site, where string, n int) []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*entry
	for i := len(l.entries) - 1; i >= 0 && len(out) < n; i-- {
		if e := l.entries[i]; e.site == s && e.acked && e.where == where && e.kind == wroteTicket {
			out = append(out, e)
		}
	}
	return out
}

// The ways in which a write was found.
type fate int

const (
	lost fate = iota
	shown
	inConflict
	overwritten
	refused
)

// found notes what became of a write.
func (l *ledger) found(e *entry, f fate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	row := l.results[e.kind]
	if row == nil {
		row = &Row{Kind: e.kind}
		l.results[e.kind] = row
	}
	if !e.acked {
		row.Unknown++
		if f != lost {
			row.UnknownFound++
		}
		return
	}
	row.Acknowledged++
	switch f {
	case lost:
		row.Lost++
	case shown:
		row.Shown++
	case inConflict:
		row.InConflict++
	case overwritten:
		row.Overwritten++
	case refused:
		row.Refused++
	}
}

func (l *ledger) report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	var r Report
	for _, kind := range kindsOfWrites() {
		if row := l.results[kind]; row != nil {
			r.Rows = append(r.Rows, *row)
		}
	}
	return r
}
