package cloud

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/internal/lab/pglab/pgtest"
	"estate/internal/synclink/phone"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
	"estate/sync/wire"
)

// A phone brings back what this cloud had acknowledged and lost: an operator must learn of
// it, for nobody else may have noticed that a backup was put in place.
func TestReturnedRecordsAreNoticed(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	p := start(t, database)
	oak := p.building("oak")
	who := p.manager(oak)
	p.stop()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	backup := pgtest.Copy(t, config.Database)

	p = start(t, database)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	table := schema.Default()
	app, err := phone.NewClient(phone.Config{Key: key, Building: oak, Person: who, Cloud: p.node.PublicKey(), Rules: table, Random: rand.Reader,
		Admit: table.Admit(schema.Viewer{Person: who, Building: oak, Role: schema.Manager, Active: true})}, nil, time.Now, func([]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	app.HTTP = client
	field := func(name string, v record.Value) replica.FieldWrite { return replica.FieldWrite{Field: name, Value: v} }
	_, err = app.Write("ticket.create", phone.Change{Kind: "ticket", ID: record.DerivedID("ticket", "leak"), Fields: []replica.FieldWrite{
		field("title", record.Text("leak")), field("reporter", record.IDValue(who))}})
	if err != nil {
		t.Fatal(err)
	}
	if did, err := app.Exchange(t.Context(), p.base, p.signIn(managerEmail)); err != nil || did.Returned != 0 || len(p.notices(oak)) != 0 {
		t.Fatalf("returned %d before anything was lost, %v; notices %+v", did.Returned, err, p.notices(oak))
	}
	p.stop()

	p = start(t, backup)
	if did, err := app.Exchange(t.Context(), p.base, p.signIn(managerEmail)); err != nil || did.Returned != 1 {
		t.Fatalf("returned %d, %v", did.Returned, err)
	}
	got := p.notices(oak)
	if len(got) != 1 || got[0].Code != wire.CodeRecordsReturned || got[0].Node != p.node.ID() || got[0].Count != 1 {
		t.Fatalf("notices: %+v", got)
	}
}

const managerEmail = "mara@estate.example"

// manager makes the account of a building's manager.
func (p *process) manager(building record.ID) record.ID {
	p.t.Helper()
	var made struct{ ID record.ID }
	p.want(http.StatusCreated, http.MethodPost, "/accounts", p.token, map[string]string{"name": "Mara", "email": managerEmail, "password": adminPassword}, &made)
	p.want(http.StatusOK, http.MethodPost, "/accounts/"+made.ID.String()+"/memberships", p.token, map[string]any{"building": building, "role": "manager", "active": true}, nil)
	eventually(p.t, "the building knows its manager", func() bool {
		_, _, err := p.rights(p.t.Context(), building, made.ID)
		return err == nil
	})
	return made.ID
}

func (p *process) signIn(email string) string {
	p.t.Helper()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	p.want(http.StatusOK, http.MethodPost, "/auth/login", "", map[string]string{"email": email, "password": adminPassword}, &got)
	return got.AccessToken
}

func (p *process) notices(building record.ID) []desk.Notice {
	p.t.Helper()
	var got desk.SyncState
	p.want(http.StatusOK, http.MethodGet, "/buildings/"+building.String()+"/sync", p.token, nil, &got)
	return got.Notices
}
