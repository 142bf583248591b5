package crash

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"

	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
)

// pull reads every record that a manager may see, whole and as it is stored, the way a new
// app does.
func (s *site) pull(ctx context.Context, server *server) (map[record.Key]record.Record, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	manager := s.world.State.Person("manager").ID
	app, err := phone.NewClient(phone.Config{Key: private, Building: s.place.ID, Person: manager, Cloud: s.cloud, Rules: schema.Default(), Random: rand.Reader},
		nil, time.Now, func([]byte) error { return nil })
	if err != nil {
		return nil, err
	}
	app.Schema = schema.Version
	client, err := s.account(server, "manager").signedIn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := app.Exchange(ctx, server.base, client.Token()); err != nil {
		return nil, fmt.Errorf("pull the records of %s at %s: %w", s.place.Code, server.name, err)
	}
	out := map[record.Key]record.Record{}
	app.Look(func(o *phone.Outbox) {
		for _, k := range o.Keys() {
			out[k] = o.Shown(k.Kind, k.ID)
		}
	})
	return out, nil
}

// compare holds that two nodes have the same records, byte for byte.
func (s *site) compare(name string, one, other map[record.Key]record.Record) {
	same := 0
	for k, r := range one {
		theirs, ok := other[k]
		if !ok {
			s.world.findings.add("not converged", "%s: %s %s is only at the edge", name, k.Kind, k.ID)
			continue
		}
		a, errA := r.Encode()
		b, errB := theirs.Encode()
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			s.world.findings.add("not converged", "%s: %s %s differs: %+v and %+v", name, k.Kind, k.ID, r, theirs)
			continue
		}
		same++
	}
	for k := range other {
		if _, ok := one[k]; !ok {
			s.world.findings.add("not converged", "%s: %s %s is only at the cloud", name, k.Kind, k.ID)
		}
	}
	s.world.notes.add("records", "%s: %d records byte for byte the same", name, same)
}
