package crash

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"estate/internal/apiclient"
	"estate/internal/httpapi"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

const (
	// phoneWrites is how much a phone writes before it looks for a server.
	phoneWrites   = 4
	phonePauseMin = 200 * time.Millisecond
	phonePauseMax = time.Second
	// exchangeMax bounds one exchange.
	exchangeMax = 30 * time.Second
	// restartOdds is how often a phone itself is killed: one time in so many.
	restartOdds = 12
)

// handset is an installed app of a tenant: a replica of its own, whose writes count as
// acknowledged once they are on its disk, and that pushes to whatever server answers.
type handset struct {
	site     *site
	name     string
	person   *account
	servers  []*account
	config   phone.Config
	app      *phone.Client
	disk     []byte
	unit     record.ID
	count    int
	tickets  []record.ID
	lastOpen *entry
}

// addPhones installs two apps of the building's tenant and registers their keys.
func (s *site) addPhones(ctx context.Context) error {
	key := map[string]string{"OAK": "tenant-a", "PINE": "tenant-b"}[s.place.Code]
	person := s.world.State.Person(key)
	for n := range 2 {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return fmt.Errorf("make a phone's key: %w", err)
		}
		h := &handset{site: s, name: fmt.Sprintf("%s phone %d", s.place.Code, n), servers: s.accounts(key), unit: s.place.Units[person.Units[s.place.Code]]}
		h.person = h.servers[1]
		h.config = phone.Config{Key: private, Building: s.place.ID, Person: person.ID, Cloud: s.cloud, Rules: schema.Default(), Random: rand.Reader}
		if err := h.open(); err != nil {
			return err
		}
		public, _ := private.Public().(ed25519.PublicKey)
		body := map[string]any{"public_key": []byte(public), "signature": ed25519.Sign(private, httpapi.NodeProof(s.place.ID, person.ID)), "name": h.name}
		err = h.person.do(ctx, func(c *apiclient.Client) error { return c.Post(ctx, s.path("/nodes"), body, nil) })
		if err != nil {
			return fmt.Errorf("register a phone: %w", err)
		}
		s.phones = append(s.phones, h)
	}
	return nil
}

// open starts the app from its disk.
func (h *handset) open() (err error) {
	h.app, err = phone.NewClient(h.config, h.disk, time.Now, func(saved []byte) error { h.disk = saved; return nil })
	if err != nil {
		return fmt.Errorf("start %s: %w", h.name, err)
	}
	h.app.Schema = schema.Version
	return nil
}

func (h *handset) work(ctx context.Context, random *mathrand.Rand) {
	for ctx.Err() == nil {
		for range phoneWrites {
			if err := h.write(random); err != nil {
				h.site.world.findings.add("phone", "%s: %v", h.name, err)
				return
			}
			pause(ctx, between(random, phonePauseMin/10, phonePauseMin))
		}
		if err := h.exchange(ctx, h.servers[random.IntN(len(h.servers))]); err == nil {
			h.honest(ctx)
		}
		if random.IntN(restartOdds) == 0 {
			if err := h.open(); err != nil {
				h.site.world.findings.add("phone", "%v", err)
				return
			}
		}
		pause(ctx, between(random, phonePauseMin, phonePauseMax))
	}
}

// write makes one transaction: a report of the tenant's, or a word on one.
func (h *handset) write(random *mathrand.Rand) error {
	h.count++
	text := fmt.Sprintf("%s writes %d", h.name, h.count)
	id, err := record.NewID(time.Now().UnixMilli(), rand.Reader)
	if err != nil {
		return err
	}
	own := replica.FieldWrite{Field: "person", Value: record.IDValue(h.config.Person)}
	change, field := phone.Change{Kind: "message", ID: id}, "text"
	if len(h.tickets) > 0 && random.IntN(3) > 0 {
		change.Fields = []replica.FieldWrite{{Field: "ticket", Value: record.IDValue(h.tickets[random.IntN(len(h.tickets))])}, own,
			{Field: "text", Value: record.Text(text)}, {Field: "sent_at", Value: record.Int(time.Now().UnixMilli())}}
	} else {
		change, field = phone.Change{Kind: "ticket", ID: id}, "title"
		own.Field = "reporter"
		change.Fields = []replica.FieldWrite{{Field: "title", Value: record.Text(text)}, {Field: "status", Value: record.Text("new")},
			{Field: "unit", Value: record.IDValue(h.unit)}, own, {Field: "reported_at", Value: record.Int(time.Now().UnixMilli())}}
	}
	e := h.site.world.ledger.begin(&entry{kind: wroteByPhone, site: h.site, where: h.name, field: field, value: record.Text(text), once: true,
		key: record.Key{Building: h.site.place.ID, Kind: change.Kind, ID: id}})
	if _, err := h.app.Write("crash", change); err != nil {
		return err
	}
	h.site.world.ledger.acknowledge(e, h.name)
	if change.Kind == "ticket" {
		h.tickets, h.lastOpen = append(h.tickets, id), e
	}
	return nil
}

// exchange synchronises with one server.
func (h *handset) exchange(ctx context.Context, a *account) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeMax)
	defer cancel()
	client, err := a.signedIn(ctx)
	if err != nil {
		return err
	}
	_, err = h.app.Exchange(ctx, a.server.base, client.Token())
	if err != nil && replica.RefusalCode(err) != "" {
		h.site.world.notes.add("phone refused", "%s at %s: %v", h.name, a.server.name, err)
	}
	return err
}

func (h *handset) unsettled() (n int) {
	h.app.Look(func(o *phone.Outbox) { _, n = o.Kept() })
	return n
}

// honest asks the cloud for the last report once the app says that all is settled.
func (h *handset) honest(ctx context.Context) {
	if h.unsettled() > 0 || h.lastOpen == nil {
		return
	}
	h.site.mustBeAtCloud(ctx, h.lastOpen, h.name+" says that all is settled")
}
