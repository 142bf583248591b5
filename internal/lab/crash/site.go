package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

// server is one program that people can ask.
type server struct {
	name string
	base string
	edge bool
}

// site is one building: its edge, the clouds, and who writes there.
type site struct {
	world   *world
	place   *stack.Place
	edge    *stack.Edge
	servers []*server // the edge first
	sensors []sensor
	phones  []*handset
	cloud   []byte // the cloud's public key

	mu       sync.Mutex
	tickets  []record.ID // acknowledged somewhere
	signedIn map[string]*account
}

// know adds a ticket that others may write on.
func (s *site) know(id record.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tickets = append(s.tickets, id)
}

// hotTickets is how many of the latest tickets most writes meet on.
const hotTickets = 12

// pick gives a ticket to write on, mostly one that others write on, too.
func (s *site) pick(random *rand.Rand) (record.ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.tickets)
	if n == 0 {
		return record.ID{}, false
	}
	if random.IntN(4) > 0 {
		return s.tickets[max(0, n-1-random.IntN(hotTickets))], true
	}
	return s.tickets[random.IntN(n)], true
}

func (s *site) path(below string) string {
	return "/buildings/" + s.place.ID.String() + below
}

// account is a person at one server, signed in when needed.
type account struct {
	world  *world
	server *server
	person string

	mu     sync.Mutex
	client *apiclient.Client
}

// account gives a person's one account at a server.
func (s *site) account(server *server, person string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := person + " at " + server.base
	if s.signedIn[key] == nil {
		s.signedIn[key] = &account{world: s.world, server: server, person: person}
	}
	return s.signedIn[key]
}

func (s *site) accounts(person string) (out []*account) {
	for _, server := range s.servers {
		out = append(out, s.account(server, person))
	}
	return out
}

func (a *account) signedIn(ctx context.Context) (*apiclient.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.client != nil {
		return a.client, nil
	}
	client, err := a.world.SignIn(ctx, a.server.base, a.person)
	if err == nil {
		a.client = client
	}
	return client, err
}

// do asks once and counts how it ended.
func (a *account) do(ctx context.Context, call func(*apiclient.Client) error) error {
	return a.ask(ctx, false, call)
}

// ask is do, also for HEAD, whose answers have no body.
func (a *account) ask(ctx context.Context, head bool, call func(*apiclient.Client) error) error {
	client, err := a.signedIn(ctx)
	if err == nil {
		err = call(client)
	}
	if ctx.Err() != nil {
		return cmpErr(err, ctx.Err())
	}
	a.world.answers.note(a.world, a.server.name, head, err)
	if apiclient.HasStatus(err, http.StatusUnauthorized) {
		a.mu.Lock()
		a.client = nil
		a.mu.Unlock()
	}
	return err
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// decided says that the server understood, and that asking again would change nothing.
func decided(err error) bool {
	var refused *apiclient.Error
	return errors.As(err, &refused) && refused.Status < 500 && refused.Status != http.StatusUnauthorized && refused.Status != http.StatusTooManyRequests
}

// open starts and seeds everything.
func open(ctx context.Context, o Options) (_ *world, err error) {
	s, err := stack.Open(ctx, stack.Options{Dir: o.Dir, Binaries: o.Binaries, FullDurability: true, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	w := &world{Stack: s, options: o, ledger: newLedger(), findings: newList(), notes: newList(), answers: newAnswers()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if w.clock, err = newClockFile(s.Dir()); err != nil {
		return nil, err
	}
	first, err := s.StartCloud(ctx, "cloud-1")
	if err != nil {
		return nil, err
	}
	second, err := s.StartCloud(ctx, "cloud-2")
	if err != nil {
		return nil, err
	}
	if err := s.Seed(ctx, first, stack.DefaultPlan()); err != nil {
		return nil, err
	}
	for code, cloud := range map[string]*stack.Cloud{"OAK": first, "PINE": second} {
		if err := w.addSite(ctx, code, cloud, first, second); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", code, err)
		}
	}
	slices.SortFunc(w.sites, func(a, b *site) int { return strings.Compare(a.place.Code, b.place.Code) })
	return w, nil
}

func (w *world) close() error { return w.Stop() }

// wrongSite is the building whose edge has the wrong clock.
const wrongSite = "PINE"

func (w *world) addSite(ctx context.Context, code string, line *stack.Cloud, clouds ...*stack.Cloud) error {
	edge, err := w.AddEdge(ctx, code, line)
	if err != nil {
		return err
	}
	if code == wrongSite {
		edge.Env = w.clock.environment()
	}
	if err := edge.Start(ctx); err != nil {
		return err
	}
	s := &site{world: w, signedIn: map[string]*account{}, place: edge.Place, edge: edge, servers: []*server{{name: "edge " + code, base: edge.Base(), edge: true}}}
	for _, c := range clouds {
		s.servers = append(s.servers, &server{name: "the cloud", base: c.Base()})
	}
	w.sites = append(w.sites, s)
	return s.prepare(ctx)
}

// prepare enters devices and phones and waits until the edge knows its people and devices.
func (s *site) prepare(ctx context.Context) error {
	manager, err := s.world.SignIn(ctx, s.servers[1].base, "manager")
	if err != nil {
		return err
	}
	if s.cloud, err = publicKey(ctx, manager, s.place.ID); err != nil {
		return err
	}
	count := min(max(s.world.options.Cycles*sensorsACycle, sensorsMin), sensorsMax)
	for n := range count {
		one := newSensor(s.place.Code, n)
		made, err := manager.CreateDevice(ctx, s.place.ID, apiclient.NewDevice{Hardware: one.hardware(), Name: one.name})
		if err != nil {
			return fmt.Errorf("enter a device: %w", err)
		}
		one.device = made.ID
		s.sensors = append(s.sensors, one)
	}
	if err := s.addPhones(ctx); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, healMax)
	defer cancel()
	return stack.PollEvery(waiting, 300*time.Millisecond, "the edge to know its people and devices", func() (bool, error) {
		atEdge, err := s.world.SignIn(waiting, s.edge.Base(), "manager")
		if err != nil {
			return false, nil //nolint:nilerr // not yet
		}
		devices, err := atEdge.Devices(waiting, s.place.ID)
		adopted := 0
		for _, d := range devices {
			if d.Adopted {
				adopted++
			}
		}
		return err == nil && adopted == count, nil
	})
}

// publicKey reads the cloud's key from the first line of an audit export.
func publicKey(ctx context.Context, client *apiclient.Client, building record.ID) ([]byte, error) {
	var out bytes.Buffer
	if err := client.ExportAudit(ctx, building, &out); err != nil {
		return nil, fmt.Errorf("export the audit: %w", err)
	}
	line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	var header struct {
		PublicKey []byte `json:"public_key"`
	}
	if err := json.Unmarshal(line, &header); err != nil || len(header.PublicKey) == 0 {
		return nil, fmt.Errorf("read the cloud's key from the export: %w", cmpErr(err, errors.New("there is none")))
	}
	return header.PublicKey, nil
}

// worker writes until its context ends.
type worker func(ctx context.Context, random *rand.Rand)

// workers is everybody who writes in a building.
func (s *site) workers() []worker {
	out := []worker{s.publish, s.photograph, s.watchStatus}
	for n, server := range s.servers {
		for _, person := range []string{"manager", "technician"} {
			a := &author{site: s, name: fmt.Sprintf("%s %d %s", s.place.Code, n, person), home: s.account(server, person), others: s.accounts(person)}
			out = append(out, a.work)
		}
	}
	for _, p := range s.phones {
		out = append(out, p.work)
	}
	return out
}

// statusOf reads a node's sync state.
func (s *site) statusOf(ctx context.Context, server *server) (apiclient.SyncState, error) {
	var out apiclient.SyncState
	err := s.account(server, "manager").do(ctx, func(c *apiclient.Client) (err error) {
		out, err = c.SyncState(ctx, s.place.ID)
		return err
	})
	return out, err
}

// ticketAt reads one ticket.
func (s *site) ticketAt(ctx context.Context, a *account, id record.ID) (desk.Ticket, error) {
	var out desk.Ticket
	err := a.do(ctx, func(c *apiclient.Client) (err error) {
		out, _, err = c.Ticket(ctx, s.place.ID, id)
		return err
	})
	return out, err
}
