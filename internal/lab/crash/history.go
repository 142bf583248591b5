package crash

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"estate/internal/apiclient"
	"estate/internal/audit"
	"estate/sync/merge"
	"estate/sync/record"
)

// exportLineBytesMax is the longest line of an export.
const exportLineBytesMax = 4 << 20

// place is a field of a record.
type place struct {
	kind  string
	id    record.ID
	field string
}

// mark is one value that an event wrote to a field.
type mark struct {
	place place
	dot   record.Dot
	tier  record.Tier
}

// written names a value by kind, field and bytes: the values of a run are unique.
type written struct{ kind, field, value string }

// overwrite is an event that took a value away.
type overwrite struct {
	dot  record.Dot
	tier record.Tier
	new  []record.Value
}

// history is what an audit export says of a building.
type history struct {
	hashes   map[record.Dot]string
	cards    map[record.ReplicaID]record.Card
	marks    map[written][]mark
	replaced map[place]map[record.Dot][]overwrite
	refused  map[mark]string // the code, by what was not admitted
	codes    map[string]int
}

// Card implements merge.Lineage.
func (h *history) Card(r record.ReplicaID) (record.Card, bool) {
	c, ok := h.cards[r]
	return c, ok
}

// export reads a building's audit at one server.
func (s *site) export(ctx context.Context, server *server) ([]byte, error) {
	var out bytes.Buffer
	err := s.account(server, "manager").do(ctx, func(c *apiclient.Client) error {
		out.Reset()
		return c.ExportAudit(ctx, s.place.ID, &out)
	})
	if err != nil {
		return nil, fmt.Errorf("export the audit of %s at %s: %w", s.place.Code, server.name, err)
	}
	return out.Bytes(), nil
}

// verifies holds one export against itself and against what the other side signed.
func (s *site) verifies(server *server, export, other []byte) error {
	claims, err := audit.ReadClaims(bytes.NewReader(other))
	if err != nil {
		return fmt.Errorf("read the other side's claims: %w", err)
	}
	report, err := audit.Verify(bytes.NewReader(export), claims)
	var broken *audit.Broken
	if errors.As(err, &broken) {
		s.world.findings.add("audit broken", "%s at %s: %v", s.place.Code, server.name, err)
		return nil
	}
	if err == nil {
		s.world.notes.add("audit", "%s at %s verifies: %d events in %d chains, %d claims of the other side hold", s.place.Code, server.name, report.Events, report.Chains, report.Claims)
	}
	return err
}

// parse reads the events of an export.
func parse(export []byte) (*history, error) {
	h := &history{hashes: map[record.Dot]string{}, cards: map[record.ReplicaID]record.Card{}, marks: map[written][]mark{},
		replaced: map[place]map[record.Dot][]overwrite{}, refused: map[mark]string{}, codes: map[string]int{}}
	lines := bufio.NewScanner(bytes.NewReader(export))
	lines.Buffer(make([]byte, 0, 64<<10), exportLineBytesMax)
	for lines.Scan() {
		var line struct {
			Type          string
			Hash          string
			Body, Details []byte
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		if line.Type != "event" {
			continue
		}
		e, err := record.DecodeEvent(line.Body)
		if err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		var details record.Details
		if len(line.Details) > 0 {
			if details, err = record.DecodeDetails(line.Details); err != nil {
				return nil, fmt.Errorf("read the export: %w", err)
			}
		}
		h.take(e, details, line.Hash)
	}
	return h, lines.Err()
}

// take notes an event. A chain's card is its first event.
func (h *history) take(e record.Event, details record.Details, hash string) {
	h.hashes[e.Dot()] = hash
	if e.Card != nil {
		h.cards[e.Replica] = *e.Card
	}
	for _, r := range e.Refusals {
		h.codes[r.Code]++
		h.refused[mark{place: place{r.Kind, r.ID, r.Field}, dot: r.Dot}] = r.Code
	}
	tier := h.cards[e.Replica].Tier
	for i, t := range e.Touches {
		at := place{t.Kind, t.ID, t.Field}
		var values []record.Value
		if i < len(details) {
			values = details[i].New
		}
		for _, v := range values {
			name := written{t.Kind, t.Field, string(v)}
			h.marks[name] = append(h.marks[name], mark{at, e.Dot(), tier})
		}
		for _, d := range t.Replaced {
			if h.replaced[at] == nil {
				h.replaced[at] = map[record.Dot][]overwrite{}
			}
			h.replaced[at][d] = append(h.replaced[at][d], overwrite{e.Dot(), tier, values})
		}
	}
}

// token reads what an author was shown.
func token(seen string) (record.Context, error) {
	b, err := base64.RawURLEncoding.DecodeString(seen)
	if err != nil {
		return record.Context{}, fmt.Errorf("read a seen token: %w", err)
	}
	r, err := record.Decode(b)
	return r.Context, err
}

// saw says whether an author was shown a value.
func (h *history) saw(e *entry, field string, dot record.Dot) bool {
	c, err := token(e.seen)
	return err == nil && merge.Covers(c, field, dot, h)
}
