package e2e_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/lab/stack"
	"estate/internal/problem"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
)

// neighbours is two buildings, and in the first two tenants of different units.
func neighbours() stack.Plan {
	plan := stack.DefaultPlan()
	plan.People = append(plan.People, stack.Person{Key: "tenant-c", Name: "Tenant C (Oak 4A)",
		Roles: map[string]string{"OAK": "tenant"}, Units: map[string]string{"OAK": "4A"}})
	return plan
}

// planted is what the manager makes: only the first is the business of Oak's unit 4B.
type planted struct{ mine, theirs, elsewhere record.ID }

func plant(t *testing.T, w *world, manager *apiclient.Client) planted {
	t.Helper()
	create := func(building *stack.Place, unit string) record.ID {
		id := building.Units[unit]
		made, err := manager.CreateTicket(t.Context(), building.ID, "", apiclient.NewTicket{Title: "Secret of " + unit, Category: "other", Unit: &id})
		if err != nil {
			t.Fatal(err)
		}
		return made.Ticket.ID
	}
	oak, pine := w.State.Building("OAK"), w.State.Building("PINE")
	p := planted{create(oak, "4B"), create(oak, "4A"), create(pine, "1A")}
	if _, err := manager.AddNote(t.Context(), oak.ID, p.mine, "for staff"); err != nil {
		t.Fatal(err)
	}
	if _, err := manager.AddMessage(t.Context(), oak.ID, p.theirs, "for 4A"); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTenantIsolation: a tenant gets what is theirs and nothing else, over REST, the
// WebSocket and the phone's exchange, at the cloud and at the edge.
func TestTenantIsolation(t *testing.T) {
	t.Parallel()
	w, cloud := begin(t, neighbours(), false)
	e := w.edge(cloud, "OAK")
	manager := w.as(cloud.Base(), "manager")
	p := plant(t, w, manager)
	converged(t, manager, w.as(e.Base(), "manager"), e.Place.ID)
	for where, base := range map[string]string{"Cloud": cloud.Base(), "Edge": e.Base()} {
		t.Run(where, func(t *testing.T) {
			tenant := w.as(base, "tenant-a")
			restIsolated(t, w, tenant, p)
			socketIsolated(t, w, w.as(base, "manager"), tenant, p)
			phoneIsolated(t, w, tenant, base, p)
		})
	}
	other := w.as(cloud.Base(), "tenant-b")
	if _, err := other.Tickets(t.Context(), e.Place.ID, nil); !apiclient.HasStatus(err, http.StatusNotFound) {
		t.Errorf("a tenant of Pine asked for Oak's tickets and got %v", err)
	}
	if event := <-apiclient.Follow(t.Context(), e.Place.ID, other); event.Type != apiclient.EventEnded {
		t.Errorf("a tenant of Pine follows Oak and got %+v", event)
	}
	if _, err := exchange(t, w, other, "tenant-b", cloud.Base(), e.Place.ID); err == nil {
		t.Error("the phone of a tenant of Pine synchronised Oak")
	}
	if _, err := w.SignIn(t.Context(), e.Base(), "tenant-b"); !apiclient.HasCode(err, problem.SignInFailed) {
		t.Errorf("a tenant of Pine signed in at Oak's edge: %v", err)
	}
	// What an edge signed is good for its building only.
	atEdge := w.as(e.Base(), "manager")
	if _, err := manager.With(atEdge.Token()).Tickets(t.Context(), w.State.Building("PINE").ID, nil); err == nil {
		t.Error("a token of Oak's edge opened Pine at the cloud")
	}
}

func restIsolated(t *testing.T, w *world, tenant *apiclient.Client, p planted) {
	t.Helper()
	oak, pine := w.State.Building("OAK").ID, w.State.Building("PINE").ID
	all, err := tenant.Tickets(t.Context(), oak, nil)
	if err != nil || !slices.ContainsFunc(all, func(x desk.Ticket) bool { return x.ID == p.mine }) ||
		slices.ContainsFunc(all, func(x desk.Ticket) bool { return x.ID == p.theirs }) {
		t.Errorf("the tenant's list: %+v, %v", all, err)
	}
	for _, path := range []string{
		"/buildings/" + oak.String() + "/tickets/" + p.theirs.String(),
		"/buildings/" + oak.String() + "/tickets/" + p.theirs.String() + "/messages",
		"/buildings/" + oak.String() + "/tickets/" + p.mine.String() + "/notes",
		"/buildings/" + oak.String() + "/devices",
		"/buildings/" + oak.String() + "/audit",
		"/buildings/" + oak.String() + "/audit/export",
		"/buildings/" + pine.String(),
		"/buildings/" + pine.String() + "/tickets",
		"/buildings/" + oak.String() + "/tickets/" + p.elsewhere.String(),
		"/accounts", "/edges",
	} {
		err := tenant.Get(t.Context(), path, nil)
		if !apiclient.HasStatus(err, http.StatusNotFound) && !apiclient.HasStatus(err, http.StatusForbidden) {
			t.Errorf("GET %s answered a tenant: %v", path, err)
		}
	}
	high := "high"
	if _, err := tenant.UpdateTicket(t.Context(), oak, p.mine, apiclient.TicketChange{Priority: &high}); !apiclient.HasStatus(err, http.StatusForbidden) {
		t.Errorf("a tenant set a priority: %v", err)
	}
}

// socketIsolated: of three writes only the last may reach the tenant.
func socketIsolated(t *testing.T, w *world, manager, tenant *apiclient.Client, p planted) {
	t.Helper()
	oak := w.State.Building("OAK").ID
	a := listen(t, oak, tenant)
	high := "high"
	if _, err := manager.UpdateTicket(t.Context(), oak, p.theirs, apiclient.TicketChange{Priority: &high}); err != nil {
		t.Fatal(err)
	}
	if _, err := manager.AddNote(t.Context(), oak, p.mine, "still for staff"); err != nil {
		t.Fatal(err)
	}
	said, err := manager.AddMessage(t.Context(), oak, p.mine, "for you")
	if err != nil {
		t.Fatal(err)
	}
	a.await(t, "the message", shows(said.ID))
	for id, event := range a.seen {
		if id != said.ID && id != p.mine {
			t.Errorf("the tenant was pushed %s %s", event.Kind, id)
		}
	}
}

// phoneIsolated looks at everything that a tenant's phone was given.
func phoneIsolated(t *testing.T, w *world, tenant *apiclient.Client, base string, p planted) {
	t.Helper()
	oak := w.State.Building("OAK").ID
	keys, err := exchange(t, w, tenant, "tenant-a", base, oak)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"building", "unit", "membership", "ticket", "message", "media", "alarm"}
	mine := false
	for _, key := range keys {
		mine = mine || key.ID == p.mine
		if key.Building != oak || !slices.Contains(allowed, key.Kind) || key.ID == p.theirs || key.ID == p.elsewhere ||
			key.Kind == "unit" && key.ID != w.State.Building("OAK").Units["4B"] {
			t.Errorf("the tenant's phone holds %s", key)
		}
	}
	if !mine {
		t.Errorf("the tenant's own ticket is not among %v", keys)
	}
}

// exchange registers a new phone of a person and synchronises it once.
func exchange(t *testing.T, w *world, client *apiclient.Client, key, base string, building record.ID) ([]record.Key, error) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	person := w.State.Person(key).ID
	spki := map[string]any{"public_key": []byte(public), "signature": ed25519.Sign(private, httpapi.NodeProof(building, person)), "name": "e2e"}
	if err := client.Post(t.Context(), "/buildings/"+building.String()+"/nodes", spki, nil); err != nil {
		return nil, fmt.Errorf("register the phone: %w", err)
	}
	app, err := phone.NewClient(phone.Config{Key: private, Building: building, Person: person, Cloud: public, Rules: schema.Default(), Random: rand.Reader},
		nil, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	app.Schema = schema.Version
	if _, err := app.Exchange(t.Context(), base, client.Token()); err != nil {
		return nil, err
	}
	var keys []record.Key
	app.Look(func(o *phone.Outbox) { keys = o.Keys() })
	return keys, nil
}
