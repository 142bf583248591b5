package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"estate/internal/desk"
	"estate/internal/groupcommit"
	"estate/sync/record"
	"estate/sync/replica"
)

// Small reads of one building that are asked at once share a snapshot and its statements:
// most of what one costs is the round trip, the transaction around it and the planning. A
// read is never answered by a snapshot from before it was asked.

const (
	// gatherMax bounds how many readers share a snapshot, and with gatheredKeysMax how much
	// one of them can make the others wait for.
	gatherMax = 64
	// gatheredKeysMax is more than a request names; who reads more is a query's worth alone.
	gatheredKeysMax = 64
)

// answer is what one of several readers gets; one may fail where the others do not.
type answer[A any] struct {
	value A
	err   error
}

type loadGatherer = groupcommit.Gatherer[[]record.Key, answer[replica.Have]]

// gathered reports whether a need is of a few records and nothing else.
func gathered(n replica.Need) bool {
	return len(n.Keys) <= gatheredKeysMax && n.Peer.IsZero() && !n.AllChains &&
		len(n.Chains)+len(n.Events)+len(n.Waiting)+len(n.Unsettled)+len(n.HeldBack)+len(n.Sums.Keys) == 0
}

// loadFew reads a few records together with whoever asks at the same time.
func (s *Store) loadFew(ctx context.Context, building record.ID, keys []record.Key) (replica.Have, error) {
	var a answer[replica.Have]
	var err error
	s.loads.With(building, func(g *loadGatherer) { a, err = g.Ask(ctx, keys) })
	if err != nil {
		return newHave(replica.State{Building: building}), fmt.Errorf("%w: load: %w", replica.ErrBusy, err)
	}
	return a.value, a.err
}

func (s *Store) newLoads(building record.ID) *loadGatherer {
	return groupcommit.NewGatherer(gatherMax, func(all [][]record.Key) ([]answer[replica.Have], error) { return s.loadAll(building, all), nil })
}

// loadAll answers several readers from one snapshot. A record that cannot be read fails
// those alone who asked for it.
func (s *Store) loadAll(building record.ID, all [][]record.Key) []answer[replica.Have] {
	out := make([]answer[replica.Have], len(all))
	keys := slices.Concat(all...)
	slices.SortFunc(keys, record.Key.Compare)
	have, err := s.load(context.Background(), building, replica.Need{Keys: slices.Compact(keys)})
	for i, asked := range all {
		switch {
		case err != nil && len(all) > 1 && !errors.Is(err, replica.ErrBusy):
			out[i].value, out[i].err = s.load(context.Background(), building, replica.Need{Keys: asked})
		case err != nil || len(all) == 1:
			out[i] = answer[replica.Have]{have, err}
		default:
			out[i].value = partOf(have, asked)
		}
	}
	return out
}

// partOf is what of a Have is about some records. What records and touches hold is never
// changed in place, so readers may share it.
func partOf(have replica.Have, keys []record.Key) replica.Have {
	part := newHave(have.State)
	for _, k := range keys {
		if r, ok := have.Records[k]; ok {
			part.Records[k] = r
		}
		if t := have.Touches[k]; len(t) > 0 {
			part.Touches[k] = slices.Clip(t)
		}
	}
	return part
}

// greetingsMax bounds how many greetings share a snapshot: each names the chains of a building.
const greetingsMax = 16

// greeting is what one of those who greet at once reads.
type greeting struct {
	building record.ID
	need     replica.Need
}

// greets reports whether a need is of a greeting's kind: of chains, or of a peer, and of no record.
func greets(n replica.Need) bool {
	return (n.AllChains || !n.Peer.IsZero()) && len(n.Keys)+len(n.HeldBack)+len(n.Sums.Keys) == 0
}

// loadGreeting reads together with whoever greets at the same time, of whatever building: a
// fleet comes back at once.
func (s *Store) loadGreeting(ctx context.Context, building record.ID, need replica.Need) (replica.Have, error) {
	a, err := s.greetings.Ask(ctx, greeting{building, need})
	if err != nil {
		return newHave(replica.State{Building: building}), fmt.Errorf("%w: load: %w", replica.ErrBusy, err)
	}
	return a.value, a.err
}

// loadGreetings answers several from one snapshot. Where it cannot be had each reads alone,
// so that none fails for another's sake.
func (s *Store) loadGreetings(all []greeting) ([]answer[replica.Have], error) {
	out := make([]answer[replica.Have], len(all))
	b := &pgx.Batch{}
	for i, g := range all {
		queueLoad(b, g.building, g.need, &out[i].value)
	}
	err := s.snapshot(context.Background(), "load", b)
	if err == nil || len(all) == 1 || errors.Is(err, replica.ErrBusy) {
		for i := range out {
			out[i].err = err
		}
		return out, nil
	}
	for i, g := range all {
		out[i].value, out[i].err = s.load(context.Background(), g.building, g.need)
	}
	return out, nil
}

type leadGatherer = groupcommit.Gatherer[desk.Selection, answer[desk.Selected]]

// leadKey names what is asked together: one statement of one building.
type leadKey struct {
	building record.ID
	shape    string
}

// byLead reports whether a selection fixes the lead of a shape that has nothing else to
// select by, and asks for the first of the rows.
func (t shapeText) byLead(s desk.Selection) bool {
	return t.lead != "" && s.After == nil && s.Skip == 0 && !s.Count && s.Limit > 0 && columnValue(t.leadType, s.Lead) != nil
}

// selectLead looks a value up together with whoever does so at the same time.
func (q *Queries) selectLead(ctx context.Context, s desk.Selection) (desk.Selected, error) {
	var a answer[desk.Selected]
	var err error
	q.leads.With(leadKey{s.Building, s.Shape}, func(g *leadGatherer) { a, err = g.Ask(ctx, s) })
	if err != nil {
		return desk.Selected{}, translate(fmt.Errorf("select %s: %w", s.Shape, err))
	}
	return a.value, a.err
}

func (q *Queries) newLeads(key leadKey) *leadGatherer {
	return groupcommit.NewGatherer(gatherMax, func(all []desk.Selection) ([]answer[desk.Selected], error) { return q.selectAll(key, all) })
}

// selectAll looks several values up in one statement.
func (q *Queries) selectAll(key leadKey, all []desk.Selection) ([]answer[desk.Selected], error) {
	shape := q.shapes[key.shape]
	values, limit := make([]record.Value, len(all)), 0
	for i, s := range all {
		values[i], limit = s.Lead, max(limit, s.Limit)
	}
	out := make([]answer[desk.Selected], len(all))
	b := &pgx.Batch{}
	query(b, func(rows pgx.Rows) error {
		row := desk.Row{Key: record.Key{Building: key.building, Kind: shape.kind}}
		var nth int
		err := rows.Scan(&nth, (*[16]byte)(&row.Key.ID), (*int64bits)(&row.Position), &row.Body)
		if nth >= 1 && nth <= len(all) && len(out[nth-1].value.Rows) < all[nth-1].Limit {
			out[nth-1].value.Rows = append(out[nth-1].value.Rows, row)
		}
		return err
	}, shape.lead, [16]byte(key.building), valueList(shape.leadType, values), limit)
	return out, q.store.snapshot(context.Background(), "select "+key.shape, b)
}
