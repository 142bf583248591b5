package replica

import (
	"estate/sync/record"
	"estate/sync/wire"
)

// Content is what a page's events and records say, read and checked as far as that takes
// nothing but the page: off the building's lock, while another page is being applied.
type Content struct {
	building record.ID
	from, to uint64 // the page's
	events   []*incoming
	codes    []string // alarms
	records  []*candidate
}

// ReadContent reads a page of a building. It shares memory with the page, which must not
// change afterwards.
func ReadContent(building record.ID, p wire.Page) *Content {
	c := &Content{building: building, from: p.From, to: p.To, records: make([]*candidate, len(p.Records))}
	d := record.NewDecoder(max(len(p.Events), len(p.Records)))
	c.events, c.codes = decodeEvents(d, building, p.Events)
	candidates := make([]candidate, len(p.Records))
	for i := range p.Records {
		c.records[i] = &candidates[i]
		c.records[i].decode(d, building, &p.Records[i])
	}
	return c
}

// of reports whether this is the content of a page.
func (c *Content) of(building record.ID, p wire.Page) bool {
	return c != nil && c.building == building && c.from == p.From && c.to == p.To && len(c.records) == len(p.Records)
}

// joinContents is the content of pages that follow each other; nil where one is not known.
func joinContents(pages []queued) *Content {
	if len(pages) == 1 {
		return pages[0].content
	}
	out := &Content{}
	for i, p := range pages {
		c := p.content
		if c == nil {
			return nil
		}
		if i == 0 {
			out.building, out.from = c.building, c.from
		}
		out.to = c.to
		out.events, out.codes, out.records = append(out.events, c.events...), append(out.codes, c.codes...), append(out.records, c.records...)
	}
	return out
}
