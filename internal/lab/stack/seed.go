package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/problem"
	"estate/sync/record"
)

// Plan is what a stack is seeded with.
type Plan struct {
	Buildings []PlanBuilding
	People    []Person // without ids and passwords
}

// PlanBuilding is a building to make.
type PlanBuilding struct {
	Name, Code, Address string
	Units               []string
}

// DefaultPlan is two buildings and the people of the story.
func DefaultPlan() Plan {
	return Plan{
		Buildings: []PlanBuilding{
			{Name: "Oak", Code: "OAK", Address: "1 Oak Street", Units: []string{"4A", "4B", "Lobby"}},
			{Name: "Pine", Code: "PINE", Address: "2 Pine Street", Units: []string{"1A", "1B", "Cellar"}},
		},
		People: []Person{
			{Key: "manager", Name: "Mona Manager", Roles: map[string]string{"OAK": "manager", "PINE": "manager"}},
			{Key: "technician", Name: "Theo Technician", Roles: map[string]string{"OAK": "technician", "PINE": "technician"}},
			{Key: "tenant-a", Name: "Tenant A (Oak 4B)", Roles: map[string]string{"OAK": "tenant"}, Units: map[string]string{"OAK": "4B"}},
			{Key: "tenant-b", Name: "Tenant B (Pine 1A)", Roles: map[string]string{"PINE": "tenant"}, Units: map[string]string{"PINE": "1A"}},
		},
	}
}

// Seed makes what the plan says and is not there yet, as the administrator, through the
// API. A run that was killed in the middle is continued.
func (s *Stack) Seed(ctx context.Context, cloud *Cloud, plan Plan) error {
	admin, err := s.SignIn(ctx, cloud.Base(), "admin")
	if err != nil {
		return err
	}
	known, err := admin.Buildings(ctx)
	if err != nil {
		return fmt.Errorf("list the buildings: %w", err)
	}
	for _, planned := range plan.Buildings {
		if err := s.seedBuilding(ctx, admin, known, planned); err != nil {
			return fmt.Errorf("seed building %s: %w", planned.Name, err)
		}
	}
	for _, planned := range plan.People {
		if err := s.seedPerson(ctx, admin, planned); err != nil {
			return fmt.Errorf("seed person %s: %w", planned.Key, err)
		}
	}
	return nil
}

func (s *Stack) seedBuilding(ctx context.Context, admin *apiclient.Client, known []desk.Building, planned PlanBuilding) error {
	place := s.State.Building(planned.Code)
	if place == nil {
		place = &Place{Name: planned.Name, Code: planned.Code}
		if i := slices.IndexFunc(known, func(b desk.Building) bool { return b.Code == planned.Code }); i >= 0 {
			place.ID = known[i].ID
		} else {
			s.progress("%s: creating the building", planned.Name)
			made, err := admin.CreateBuilding(ctx, apiclient.NewBuilding{Name: planned.Name, Code: planned.Code, Address: planned.Address, TimeZone: "Europe/Berlin"})
			if err != nil {
				return err
			}
			place.ID = made.ID
		}
		place.Units = map[string]record.ID{}
	}
	units, err := admin.Units(ctx, place.ID)
	if err != nil {
		return err
	}
	for _, unit := range units {
		place.Units[unit.Name] = unit.ID
	}
	for _, name := range planned.Units {
		if _, ok := place.Units[name]; ok {
			continue
		}
		unit, err := admin.CreateUnit(ctx, place.ID, name, strings.TrimRight(name, "ABCDEFGHIJ"))
		if err != nil {
			return fmt.Errorf("create unit %s: %w", name, err)
		}
		place.Units[name] = unit.ID
	}
	return s.remember(func() {
		if s.State.Building(place.Code) == nil {
			s.State.Buildings = append(s.State.Buildings, place)
		}
	})
}

func (s *Stack) seedPerson(ctx context.Context, admin *apiclient.Client, planned Person) error {
	person := s.State.Person(planned.Key)
	if person != nil && !person.ID.IsZero() {
		return nil
	}
	if person == nil {
		planned.Email, planned.Password = planned.Key+"@demo.example", newPassword()
		// Written down first: a password that only the cloud knows is of no use.
		if err := s.remember(func() { s.State.People = append(s.State.People, planned) }); err != nil {
			return err
		}
		person = s.State.Person(planned.Key)
	}
	s.progress("creating the account of %s", person.Name)
	made, err := admin.CreateAccount(ctx, apiclient.NewAccount{Email: person.Email, Name: person.Name, Password: person.Password})
	if apiclient.HasCode(err, problem.Conflict) {
		made, err = admin.FindAccount(ctx, person.Email) // by a run that was killed
	}
	if err != nil {
		return err
	}
	for code, role := range person.Roles {
		place := s.State.Building(code)
		membership := apiclient.Membership{Building: place.ID, Role: role, Active: true}
		if unit := person.Units[code]; unit != "" {
			membership.Units = []record.ID{place.Units[unit]}
		}
		if err := admin.SetMembership(ctx, made.ID, membership); err != nil {
			return fmt.Errorf("make them %s of %s: %w", role, place.Name, err)
		}
	}
	return s.remember(func() { person.ID = made.ID })
}
