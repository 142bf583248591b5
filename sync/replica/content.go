package replica

import (
	"slices"

	"estate/sync/record"
	"estate/sync/wire"
)

// Content is what a page's events and records say, read and checked as far as that takes
// nothing but the page: off the building's lock, while another page is being applied.
type Content struct {
	building record.ID
	from, to uint64 // the page's
	events   []incoming
	codes    []string // alarms
	records  []candidate
}

// ReadContent reads a page of a building. It shares memory with the page, which must not
// change afterwards.
func ReadContent(building record.ID, p wire.Page) *Content {
	c := &Content{building: building, from: p.From, to: p.To, records: make([]candidate, len(p.Records))}
	d := record.NewDecoder(max(len(p.Events), len(p.Records)))
	c.events, c.codes = decodeEvents(d, building, p.Events)
	for i := range p.Records {
		c.records[i] = decodeRecord(d, building, &p.Records[i])
	}
	return c
}

// of reports whether this is the content of a page.
func (c *Content) of(building record.ID, p wire.Page) bool {
	return c != nil && c.building == building && c.from == p.From && c.to == p.To && len(c.records) == len(p.Records)
}

// join is the content of two pages that follow each other; nil where one is not known.
func (c *Content) join(next *Content) *Content {
	if c == nil || next == nil {
		return nil
	}
	return &Content{building: c.building, from: c.from, to: next.to, events: slices.Concat(c.events, next.events), codes: slices.Concat(c.codes, next.codes), records: slices.Concat(c.records, next.records)}
}
