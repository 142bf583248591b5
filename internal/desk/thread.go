package desk

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/sync/record"
)

// Message is what somebody said on a ticket; a Note has the same form and is for staff.
type Message struct {
	ID     record.ID  `json:"id"`
	Ticket record.ID  `json:"ticket"`
	Person *Person    `json:"person,omitempty"`
	Text   string     `json:"text"`
	SentAt *time.Time `json:"sent_at,omitempty"`
}

// NewMessage is a message or a note to add.
type NewMessage struct {
	ID             record.ID
	IdempotencyKey string
	Text           string
	// SentAt is when it was written, where that is not now.
	SentAt *time.Time
}

// Media is a photo, video or voice note of a ticket. Digest names the blob.
type Media struct {
	ID          record.ID  `json:"id"`
	Ticket      record.ID  `json:"ticket"`
	Person      *Person    `json:"person,omitempty"`
	Name        string     `json:"name,omitempty"`
	ContentType string     `json:"content_type"`
	Size        int64      `json:"size"`
	Digest      string     `json:"digest"`
	Thumbnail   string     `json:"thumbnail,omitempty"`
	TakenAt     *time.Time `json:"taken_at,omitempty"`
}

// NewMedia is a file to attach; its bytes are already stored under Digest.
type NewMedia struct {
	ID             record.ID
	IdempotencyKey string
	Digest         record.Hash
	Thumbnail      record.Hash // zero for none
	Size           int64
	ContentType    string
	Name           string
	TakenAt        *time.Time
}

// Messages lists what was said on a ticket, the oldest first.
func (d *Desk) Messages(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Message], error) {
	return d.thread(ctx, c, building, ticket, shapeMessages, p)
}

// Notes lists the internal notes on a ticket, the oldest first.
func (d *Desk) Notes(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Message], error) {
	return d.thread(ctx, c, building, ticket, shapeNotes, p)
}

func (d *Desk) thread(ctx context.Context, c Caller, building, ticket record.ID, shape string, p Page) (List[Message], error) {
	v, parent, err := d.openTicket(ctx, c, building, ticket)
	if err == nil && shape == shapeNotes {
		err = d.mayList(v, "note")
	}
	if err != nil {
		return List[Message]{}, err
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, parent.record) }
	return list(ctx, d, Selection{Shape: shape, Building: building, Lead: record.IDValue(ticket)}, p, keep, d.messageViews)
}

func (d *Desk) messageViews(ctx context.Context, items []item) ([]Message, error) {
	return d.messageViewsAmong(ctx, items, nil)
}

func (d *Desk) messageViewsAmong(ctx context.Context, items []item, known found) ([]Message, error) {
	names, err := d.authors(ctx, items, known)
	if err != nil {
		return nil, err
	}
	out := make([]Message, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Message{ID: it.key.ID, Ticket: f.id("ticket"), Person: names.person(f.id("person")), Text: f.text("text"), SentAt: f.time("sent_at")})
	}
	return out, nil
}

// authors reads the names of the persons of child records, as far as they are not known.
func (d *Desk) authors(ctx context.Context, items []item, known found) (*refs, error) {
	if len(items) == 0 {
		return d.refs(record.ID{}), nil
	}
	names := d.refsAmong(items[0].key.Building, known)
	for _, it := range items {
		names.wantPerson(d.fields(it).id("person"))
	}
	return names, names.read(ctx)
}

// AddMessage says something on a ticket, to everyone on it.
func (d *Desk) AddMessage(ctx context.Context, c Caller, building, ticket record.ID, in NewMessage) (Message, error) {
	return d.say(ctx, c, building, ticket, "message", in)
}

// AddNote adds an internal note to a ticket, for staff only.
func (d *Desk) AddNote(ctx context.Context, c Caller, building, ticket record.ID, in NewMessage) (Message, error) {
	return d.say(ctx, c, building, ticket, "note", in)
}

func (d *Desk) say(ctx context.Context, c Caller, building, ticket record.ID, kind string, in NewMessage) (Message, error) {
	if strings.TrimSpace(in.Text) == "" {
		return Message{}, invalid("text", "is required")
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, kind)
	if err != nil {
		return Message{}, err
	}
	k := key(building, kind, id)
	done, err := d.child(ctx, c, k, ticket, in.SentAt, func(x *draft) error {
		return x.setAll(k, textPair("text", in.Text), pair{"sent_at", timeValue(x.eventTime())})
	})
	if err != nil {
		return Message{}, err
	}
	return first(d.messageViewsAmong(ctx, []item{done.found.item(k)}, done.found))
}

// child adds a record to a ticket. The same id again is the same record, if it was the
// same person's on the same ticket.
func (d *Desk) child(ctx context.Context, c Caller, k record.Key, ticket record.ID, at *time.Time, fill func(*draft) error) (outcome, error) {
	parent := key(k.Building, "ticket", ticket)
	return d.decide(ctx, c, k.Building, k.Kind+".add", at, []record.Key{parent, k}, func(x *draft) error {
		if _, err := x.readable(parent); err != nil {
			return err
		}
		x.parents[k] = parent
		if it := x.item(k); hasContent(it) {
			if f := d.fields(it); f.id("ticket") != ticket || f.id("person") != c.Person {
				return problem.New(problem.Conflict, "a %s with this id exists", k.Kind)
			}
			return nil
		}
		if err := x.setAll(k, idPair("ticket", ticket), idPair("person", c.Person)); err != nil {
			return err
		}
		return fill(x)
	})
}

// MediaOf lists the files of a ticket, in the order of their ids.
func (d *Desk) MediaOf(ctx context.Context, c Caller, building, ticket record.ID, p Page) (List[Media], error) {
	v, parent, err := d.openTicket(ctx, c, building, ticket)
	if err != nil {
		return List[Media]{}, err
	}
	keep := func(it item) bool { return d.table.MayRead(v, it.key, it.record, parent.record) }
	return list(ctx, d, Selection{Shape: shapeMedia, Building: building, Lead: record.IDValue(ticket)}, p, keep, d.mediaViews)
}

func (d *Desk) mediaViews(ctx context.Context, items []item) ([]Media, error) {
	names, err := d.authors(ctx, items, nil)
	if err != nil {
		return nil, err
	}
	out := make([]Media, 0, len(items))
	for _, it := range items {
		f := d.fields(it)
		out = append(out, Media{ID: it.key.ID, Ticket: f.id("ticket"), Person: names.person(f.id("person")), Name: f.text("name"), ContentType: f.text("content_type"),
			Size: f.int("size"), Digest: hex.EncodeToString(f.bytes("digest")), Thumbnail: hex.EncodeToString(f.bytes("thumbnail")), TakenAt: f.time("taken_at")})
	}
	return out, nil
}

// Media reads one file's record.
func (d *Desk) Media(ctx context.Context, c Caller, building, id record.ID) (Media, error) {
	k := key(building, "media", id)
	_, found, err := d.open(ctx, c, building, k)
	if err != nil {
		return Media{}, err
	}
	return d.oneMedia(ctx, c, found.item(k))
}

// oneMedia shows a file's record to those who may read its ticket.
func (d *Desk) oneMedia(ctx context.Context, c Caller, it item) (Media, error) {
	if !hasContent(it) {
		return Media{}, notFound("media")
	}
	if _, _, err := d.openTicket(ctx, c, it.key.Building, d.fields(it).id("ticket")); err != nil {
		return Media{}, err
	}
	views, err := d.mediaViews(ctx, []item{it})
	if err != nil {
		return Media{}, err
	}
	return views[0], nil
}

// MayReadBlob finds a file by the digest of its bytes or of its thumbnail's, among what
// the caller may see in the building.
func (d *Desk) MayReadBlob(ctx context.Context, c Caller, building record.ID, digest record.Hash) (Media, error) {
	if _, err := d.Viewer(ctx, c, building); err != nil {
		return Media{}, err
	}
	for _, shape := range []string{shapeMediaByDigest, shapeMediaByThumb} {
		// The same picture may hang on several tickets.
		items, _, err := d.selectItems(ctx, Selection{Shape: shape, Building: building, Lead: record.Bytes(digest[:]), Limit: PerPageMax})
		if err != nil {
			return Media{}, err
		}
		for _, it := range items {
			m, err := d.oneMedia(ctx, c, it)
			if err == nil || !problem.HasCode(err, problem.NotFound) {
				return m, err
			}
		}
	}
	return Media{}, notFound("media")
}

// MayWriteTo reports (as nil) whether the caller may add to a ticket: what an upload asks
// before it takes bytes.
func (d *Desk) MayWriteTo(ctx context.Context, c Caller, building, ticket record.ID) error {
	_, _, err := d.openTicket(ctx, c, building, ticket)
	return err
}

// AddMedia attaches a file, whose bytes are already stored, to a ticket.
func (d *Desk) AddMedia(ctx context.Context, c Caller, building, ticket record.ID, in NewMedia) (Media, error) {
	if in.Digest.IsZero() || in.ContentType == "" || in.Size <= 0 {
		return Media{}, invalid("digest", "digest, size and content type are required")
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, "media")
	if err != nil {
		return Media{}, err
	}
	k := key(building, "media", id)
	thumbnail := pair{}
	if !in.Thumbnail.IsZero() {
		thumbnail = pair{"thumbnail", record.Bytes(in.Thumbnail[:])}
	}
	_, err = d.child(ctx, c, k, ticket, nil, func(x *draft) error {
		return x.setAll(k, textPair("name", in.Name), textPair("content_type", in.ContentType), pair{"size", record.Int(in.Size)},
			pair{"digest", record.Bytes(in.Digest[:])}, thumbnail, timePair("taken_at", in.TakenAt))
	})
	if err != nil {
		return Media{}, err
	}
	return d.Media(ctx, c, building, id)
}
