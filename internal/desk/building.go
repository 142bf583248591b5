package desk

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/schema"
	"estate/sync/record"
	"estate/sync/replica"
)

// Buildings lists the buildings that the caller may see, by name.
func (d *Desk) Buildings(ctx context.Context, c Caller) ([]Building, error) {
	if c.Person.IsZero() {
		return nil, problem.New(problem.Unauthenticated, "")
	}
	ids, err := d.node.Store.Buildings(ctx)
	if err != nil {
		return nil, translate(fmt.Errorf("list buildings: %w", err))
	}
	var keys []record.Key
	for _, id := range ids {
		keys = append(keys, buildingKey(id), memberKey(id, c.Person))
	}
	rows, err := d.query.Records(ctx, keys)
	if err != nil {
		return nil, translate(fmt.Errorf("read memberships: %w", err))
	}
	items, err := decodeRows(rows)
	if err != nil {
		return nil, err
	}
	have := map[record.Key]item{}
	for _, it := range items {
		have[it.key] = it
	}
	out := []Building{}
	for _, id := range ids {
		b := have[buildingKey(id)]
		v, err := d.viewer(c, id, b.record, have[memberKey(id, c.Person)].record)
		if err == nil {
			b.key = buildingKey(id)
			out = append(out, d.buildingView(b, v))
		}
	}
	slices.SortFunc(out, func(a, b Building) int {
		return strings.Compare(a.Name+"\x00"+a.ID.String(), b.Name+"\x00"+b.ID.String())
	})
	return out, nil
}

func (d *Desk) buildingView(it item, v schema.Viewer) Building {
	f := d.fields(it)
	return Building{ID: it.key.ID, Name: f.text("name"), Code: f.text("code"), Address: f.text("address"), TimeZone: f.text("time_zone"),
		KeepPhotoLocation: f.bool("keep_photo_location"), Role: string(v.Role), Units: v.Units}
}

// Building reads one building, with the caller's role in it.
func (d *Desk) Building(ctx context.Context, c Caller, building record.ID) (Building, error) {
	v, found, err := d.open(ctx, c, building)
	if err != nil {
		return Building{}, err
	}
	return d.buildingView(found.item(buildingKey(building)), v), nil
}

// codeForm is what a building's code looks like: it starts ticket codes and topics.
const codeForm = `^[A-Z0-9]{2,8}$`

// CreateBuilding adds a building. Only the operator's admins may, at the cloud.
func (d *Desk) CreateBuilding(ctx context.Context, c Caller, in NewBuilding) (Building, error) {
	if !c.Admin || d.node.Tier != record.TierCloud || c.Person.IsZero() {
		return Building{}, problem.New(problem.Forbidden, "only the operator adds buildings, at the cloud")
	}
	if in.Name == "" {
		return Building{}, invalid("name", "is required")
	}
	if ok, err := regexp.MatchString(codeForm, in.Code); err != nil || !ok {
		return Building{}, errors.Join(invalid("code", "must be 2 to 8 capital letters or digits, such as OAK"), err)
	}
	if in.TimeZone == "" {
		in.TimeZone = "UTC"
	}
	if _, err := time.LoadLocation(in.TimeZone); err != nil {
		return Building{}, invalid("time_zone", "must be a name such as Europe/Berlin")
	}
	id, err := d.newID(in.ID, c, in.IdempotencyKey, "building")
	if err != nil {
		return Building{}, err
	}
	k := buildingKey(id)
	_, err = d.transact(ctx, id, []record.Key{k}, func(x *draft) error {
		x.viewer = schema.Viewer{Person: c.Person, Building: id, Role: schema.Admin, Active: true}
		x.intent = replica.Intent{Actor: record.Actor{Class: record.Person, Person: c.Person}, Action: "building.create"}
		if f := x.fields(k); f.text("code") != "" {
			if f.text("code") != in.Code {
				return problem.New(problem.Conflict, "a building with this id exists")
			}
			return nil
		}
		return x.setAll(k, textPair("name", in.Name), textPair("code", in.Code), textPair("address", in.Address), textPair("time_zone", in.TimeZone))
	})
	if err != nil {
		return Building{}, err
	}
	return d.Building(ctx, c, id)
}
