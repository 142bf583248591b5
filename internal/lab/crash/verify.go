package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/internal/reading"
	"estate/schema"
	"estate/sync/record"
)

// verify looks for everything, building by building.
func (w *world) verify(ctx context.Context) error {
	for _, s := range w.sites {
		if err := s.verify(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) verify(ctx context.Context) error {
	var exports [][]byte
	var records []map[record.Key]record.Record
	var pasts []*history
	for _, server := range s.servers {
		export, err := s.export(ctx, server)
		if err != nil {
			return err
		}
		past, err := parse(export)
		if err != nil {
			return err
		}
		held, err := s.pull(ctx, server)
		if err != nil {
			return err
		}
		exports, pasts, records = append(exports, export), append(pasts, past), append(records, held)
	}
	for n, server := range s.servers {
		if err := s.verifies(server, exports[n], exports[(n+1)%len(exports)]); err != nil {
			return err
		}
		if n > 0 {
			s.compare(s.place.Code+", edge and cloud-"+fmt.Sprint(n), records[0], records[n])
			s.sameEvents(pasts[0], pasts[n])
		}
	}
	l := look{site: s, records: records[0], past: pasts[0], table: schema.Default(), entries: map[written][]*entry{}}
	var err error
	if l.measured, err = s.measured(ctx); err != nil {
		return err
	}
	l.run()
	return s.verifyPhotos(ctx, l)
}

// sameEvents holds that both sides have the same audit.
func (s *site) sameEvents(edge, cloud *history) {
	for dot, hash := range edge.hashes {
		if cloud.hashes[dot] != hash {
			s.world.findings.add("audits differ", "%s: event %d of %s", s.place.Code, dot.N, dot.Replica)
		}
	}
	if len(edge.hashes) != len(cloud.hashes) {
		s.world.findings.add("audits differ", "%s: %d events at the edge, %d at the cloud", s.place.Code, len(edge.hashes), len(cloud.hashes))
	}
}

// look finds what became of the writes of one building.
type look struct {
	site    *site
	records map[record.Key]record.Record
	past    *history
	table   *schema.Table
	entries map[written][]*entry // whose token says what they had seen
	// measured are the readings of the sensors, each as often as it is there.
	measured map[place][]record.Value
}

// measuredAround is how far from now a sensor's or the box's clock may have put a reading.
const measuredAround = 30 * 24 * time.Hour

// measured asks the building's box for all readings of the sensors that spoke.
func (s *site) measured(ctx context.Context) (map[place][]record.Value, error) {
	out := map[place][]record.Value{}
	done := map[record.ID]bool{}
	a, now := s.account(s.servers[0], "manager"), time.Now()
	for _, e := range s.world.ledger.of(s) {
		if e.kind != wroteReading || done[e.device] {
			continue
		}
		done[e.device] = true
		err := a.do(ctx, func(c *apiclient.Client) error {
			series, err := c.Series(ctx, s.place.ID, e.device)
			for _, one := range series {
				if err != nil {
					break
				}
				var got desk.ReadingPoints
				got, err = c.Readings(ctx, s.place.ID, e.device, desk.ReadingQuery{Key: one.Key, UnitOfMeasure: one.UnitOfMeasure,
					From: now.Add(-measuredAround), To: now.Add(measuredAround), Points: reading.PointsMax})
				at := place{"reading", e.device, one.Key}
				out[at] = nil
				for _, p := range got.Points {
					out[at] = append(out[at], record.Float(p.Last))
				}
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("readings of device %s: %w", e.device, err)
		}
	}
	return out, nil
}

func (l *look) run() {
	all := l.site.world.ledger.of(l.site)
	for _, e := range all {
		if e.seen != "" {
			name := written{"ticket", e.field, string(e.value)}
			l.entries[name] = append(l.entries[name], e)
		}
	}
	alarms := map[record.ID]int{}
	for k, r := range l.records {
		device, _ := l.table.Shown(k.Kind, "device", r).AsID()
		if k.Kind == "alarm" {
			alarms[device]++
		}
	}
	for _, e := range all {
		switch e.kind {
		case wroteReading:
			same := slices.DeleteFunc(slices.Clone(l.measured[place{"reading", e.device, e.field}]), func(v record.Value) bool { return !bytes.Equal(v, e.value) })
			l.counted(e, len(same))
		case wroteAlarm:
			l.counted(e, alarms[e.device])
		default:
			l.site.world.ledger.found(e, l.fate(e))
		}
	}
	for code, n := range l.past.codes {
		l.site.world.notes.add("refused", "%s: %d parts of transactions with %s; their values are in the audit", l.site.place.Code, n, code)
	}
}

// counted notes a write that is found by its device.
func (l *look) counted(e *entry, n int) {
	if n == 0 && e.acked {
		l.missing(e, "there is none")
	}
	if n > 1 && e.once {
		l.site.world.findings.add("doubled", "%s %s of device %s is there %d times", e.kind, e.field, e.device, n)
	}
	l.site.world.ledger.found(e, map[bool]fate{true: shown, false: lost}[n > 0])
}

func (l *look) missing(e *entry, why string) fate {
	if e.acked {
		text, _ := e.value.AsText()
		l.site.world.findings.add("LOST", "%s %q (%s %s) acknowledged by %s at %s: %s", e.kind, text, e.key, e.field, e.where, e.at.Format("15:04:05.000"), why)
	}
	return lost
}

func kindOf(e *entry) string {
	switch e.kind {
	case wroteMessage:
		return "message"
	case wrotePhoto:
		return "media"
	case wroteByPhone:
		return e.key.Kind
	}
	return "ticket"
}

// fate finds a write by its value: standing, or taken away by somebody who had seen it.
func (l *look) fate(e *entry) fate {
	marks := l.past.marks[written{kindOf(e), e.field, string(e.value)}]
	if !e.key.ID.IsZero() {
		marks = slices.DeleteFunc(slices.Clone(marks), func(m mark) bool { return m.place.id != e.key.ID })
	}
	if e.once {
		l.doubled(e)
	}
	if len(marks) == 0 {
		return l.missing(e, "no event wrote it")
	}
	at := marks[0].place
	r := l.records[record.Key{Building: l.site.place.ID, Kind: at.kind, ID: at.id}]
	standing := func(s record.Sibling) bool { return bytes.Equal(s.Value, e.value) }
	switch {
	case bytes.Equal(l.table.Shown(at.kind, at.field, r), e.value):
		return shown
	case slices.ContainsFunc(r.Siblings(at.field), standing):
		return inConflict
	}
	taken := false
	for _, m := range marks {
		if l.past.refused[mark{place: m.place, dot: m.dot}] != "" {
			return refused
		}
		for _, o := range l.past.replaced[at][m.dot] {
			if slices.ContainsFunc(o.new, func(v record.Value) bool { return bytes.Equal(v, e.value) }) {
				continue // issued again: another mark of the same value
			}
			taken = true
			if e.acked && !l.mayTake(at, m, o) {
				l.site.world.findings.add("overwritten unseen", "%s (%s %s) by event %d of %s, whose author had not seen it", e.kind, at.kind, at.field, o.dot.N, o.dot.Replica)
			}
		}
	}
	if !taken {
		return l.missing(e, "its event is there, the value is not")
	}
	return overwritten
}

// mayTake says whether the author of an event had been shown what it took away. A phone
// names only what it had pulled.
func (l *look) mayTake(at place, m mark, o overwrite) bool {
	if o.tier == record.TierPhone {
		return true
	}
	for _, v := range o.new {
		for _, e := range l.entries[written{at.kind, at.field, string(v)}] {
			if e.key.ID == at.id && l.past.saw(e, at.field, m.dot) {
				return true
			}
		}
	}
	return false
}

// doubled holds that a repeated delivery made no second record.
func (l *look) doubled(e *entry) {
	ids := map[record.ID]bool{}
	for _, m := range l.past.marks[written{kindOf(e), e.field, string(e.value)}] {
		ids[m.place.id] = true
	}
	if len(ids) > 1 {
		text, _ := e.value.AsText()
		l.site.world.findings.add("doubled", "%s %q is in %d records", e.kind, text, len(ids))
	}
}

// verifyPhotos holds that each acknowledged photo is there at every server, whole.
func (s *site) verifyPhotos(ctx context.Context, l look) error {
	waiting, cancel := context.WithTimeout(ctx, healMax)
	defer cancel()
	for _, e := range s.world.ledger.of(s) {
		if e.kind != wrotePhoto || !e.acked {
			continue
		}
		marks := l.past.marks[written{"media", "digest", string(e.value)}]
		if len(marks) == 0 {
			continue // lost, and said so
		}
		want, _ := e.value.AsBytes()
		for _, server := range s.servers {
			a := s.account(server, "manager")
			var body []byte
			var last error
			err := stack.PollEvery(waiting, 300*time.Millisecond, "a photo", func() (bool, error) {
				last = a.do(waiting, func(c *apiclient.Client) (err error) {
					body, err = c.Download(waiting, s.place.ID, marks[0].place.id)
					return err
				})
				return last == nil, nil
			})
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.world.findings.add("photo missing", "%s of %s at %s: %v", marks[0].place.id, e.where, server.name, last)
			} else if sum := sha256.Sum256(body); !bytes.Equal(sum[:], want) {
				s.world.findings.add("photo broken", "%s at %s hashes to %x", marks[0].place.id, server.name, sum)
			}
		}
	}
	return nil
}
