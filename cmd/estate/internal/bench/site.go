package bench

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

const (
	readyTimeout = 60 * time.Second
	// crowdFull people together may ask 16,000 times a second before a limit slows them;
	// crowdQuick enough for a small run.
	crowdFull, crowdQuick = 32, 4
	buildingCode          = "OAK"
)

// site is one building: its edge, the cloud, and the people who work there.
type site struct {
	*bench
	cloud *stack.Cloud
	edge  *stack.Edge
	// atEdge and atCloud are the same people at either place, each at an address of
	// their own, as in a house full of phones.
	atEdge, atCloud []*apiclient.Client
	db              *pgx.Conn
	words           []string
	// written are the tickets made so far.
	written []record.ID
	// next counts on, so that no two tickets are alike.
	next int
	// empty is the rate of the first reconciliation, when there was nothing yet, and
	// updated that of the changes.
	empty, updated float64
}

// open starts a cloud and one building's edge, with people who are signed in at both.
func (b *bench) open(ctx context.Context) (*site, error) {
	people := crowdFull
	if b.how.quick {
		people = crowdQuick
	}
	plan := stack.DefaultPlan()
	plan.Buildings, plan.People = plan.Buildings[:1], nil
	for i := range people {
		plan.People = append(plan.People, stack.Person{Key: person(i), Name: fmt.Sprintf("Manager %d", i), Roles: map[string]string{buildingCode: "manager"}})
	}
	cloud, err := b.StartCloud(ctx, "cloud")
	if err != nil {
		return nil, err
	}
	if err := b.Seed(ctx, cloud, plan); err != nil {
		return nil, err
	}
	s := &site{bench: b, cloud: cloud, words: words()}
	if s.db, err = pgx.Connect(ctx, b.DatabaseURL()); err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	if err := s.startEdge(ctx); err != nil {
		return nil, err
	}
	return s, s.gather(ctx, people)
}

// startEdge enrols and starts the building's edge.
func (s *site) startEdge(ctx context.Context) (err error) {
	if s.edge, err = s.AddEdge(ctx, buildingCode, s.cloud); err != nil {
		return err
	}
	return s.edge.Start(ctx)
}

// gather signs everybody in at the cloud; the edge knows the cloud's tokens.
func (s *site) gather(ctx context.Context, people int) error {
	s.atCloud = nil
	for i := range people {
		client, err := apiclient.New(s.cloud.Base())
		if err != nil {
			return err
		}
		one := s.State.Person(person(i))
		signed, _, err := client.From(home(i)).SignIn(ctx, one.Email, one.Password)
		if err != nil {
			return fmt.Errorf("sign %s in: %w", one.Key, err)
		}
		s.atCloud = append(s.atCloud, signed)
	}
	return s.knownAtEdge(ctx)
}

// knownAtEdge waits until the edge knows everybody.
func (s *site) knownAtEdge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	s.atEdge = nil
	for i, one := range s.atCloud {
		at, err := apiclient.New(s.edge.Base())
		if err != nil {
			return err
		}
		client := at.With(one.Token()).From(home(i))
		err = stack.PollEvery(ctx, countEvery, "the edge to know "+person(i), func() (bool, error) {
			_, err := client.Units(ctx, s.edge.Place.ID)
			return err == nil, nil
		})
		if err != nil {
			return err
		}
		s.atEdge = append(s.atEdge, client)
	}
	return nil
}

// close lets go of what is not the stack's.
func (s *site) close(ctx context.Context) { _ = s.db.Close(ctx) }

// home is the address that a person's device has: loopback is a whole network.
func home(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}) }

func person(i int) string { return fmt.Sprintf("manager-%d", i) }

// programs are the processes of the two ends.
func (s *site) programs() map[string]int {
	return map[string]int{"edge": s.edge.Process().PID(), "cloud": s.cloud.Process().PID(), "PostgreSQL": s.Cluster.PID()}
}

func (s *site) building() [16]byte { return s.edge.Place.ID }
