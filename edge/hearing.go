package edge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"estate/edge/internal/broker"
	"estate/edge/internal/ingest"
	"estate/internal/httpapi"
	"estate/internal/problem"
	"estate/sync/record"
)

// leftOutShown is for how long messages that found no room, here or at the broker, are what is
// wrong with the broker; the list of refusals names them for as long as the box runs.
const leftOutShown = 10 * time.Minute

// refused is told by the broker of what it did not take, and passes it on.
func (d *devices) refused(v broker.Violation) {
	in := d.ingest.Load()
	if in == nil {
		return // nobody was let in yet
	}
	building, device := v.Grant.Building, v.Grant.Device
	in.Refuse(building, device, ingest.Refusal{Login: cmp.Or(v.ClientID, v.Remote), Topic: v.Topic, Code: v.Code, Reason: v.Reason})
}

// Hearing implements httpapi.HearingPort.
func (d *devices) Hearing(context.Context, record.ID) httpapi.Hearing {
	out := httpapi.Hearing{Broker: "embedded"}
	if d.building.edge.cfg.BrokerURL != "" {
		out.Broker = "external"
	}
	in := d.ingest.Load()
	if in == nil {
		out.Code, out.Detail = string(problem.Unavailable), "the building's first data has not come from the cloud yet"
		out.Remedy = problem.New(problem.Unavailable, "").Remedy()
		return out
	}
	s := in.Status()
	out.Heard, out.Waiting, out.Messages, out.Refused = s.Connected, s.Waiting, s.Counts.Messages, 0
	for _, n := range in.RefusalTotals() {
		out.Refused += n
	}
	for _, g := range in.Gateways() {
		out.Gateways = append(out.Gateways, httpapi.Gateway{Base: g.Base, Online: g.Online, Since: g.Since.UTC()})
	}
	if p := s.LastBlind; !p.To.IsZero() {
		out.LastBlind = &httpapi.BlindPeriod{From: p.From.UTC(), To: p.To.UTC(), Seconds: int64(p.To.Sub(p.From) / time.Second)}
	}
	out.StoreSince = orNil(s.StoreFailing)
	code, since, detail := d.trouble()
	if out.BlindSince = orNil(since); code != "" {
		out.Code, out.Detail, out.Remedy = string(code), detail, problem.New(code, "").Remedy()
	}
	return out
}

// trouble says what is wrong with the broker, and since when devices are not heard.
func (d *devices) trouble() (code problem.Code, since time.Time, detail string) {
	in := d.ingest.Load()
	if in == nil {
		return "", time.Time{}, ""
	}
	s := in.Status()
	if d.broker != nil {
		if t := d.broker.Trouble(); t.Code != "" {
			return t.Code, s.BlindSince, t.Detail
		}
	}
	if !s.BlindSince.IsZero() {
		return problem.MQTTAway, s.BlindSince, s.Cause
	}
	if t := d.tlsTrouble.Load(); t != nil && *t != "" {
		return problem.MQTTListen, time.Time{}, *t
	}
	if last := s.LeftOut.To; !last.IsZero() && d.building.edge.now().Sub(last) < leftOutShown {
		return problem.MQTTLeftOut, time.Time{}, fmt.Sprintf("%d messages since the box started, the last at %s", s.Counts.LeftOut, last.UTC().Format(time.RFC3339))
	}
	if last := s.Dropped.During.To; !last.IsZero() && d.building.edge.now().Sub(last) < leftOutShown {
		return problem.MQTTBrokerDropped, time.Time{}, fmt.Sprintf("%d messages, as the broker counts, of all its clients since its start", s.Dropped.Count)
	}
	return "", time.Time{}, ""
}

// blind says since when devices are not heard, and why; zero while they are.
func (d *devices) blind() (since time.Time, cause string) {
	_, since, cause = d.trouble()
	if since.IsZero() {
		return since, ""
	}
	return since, cause
}

// Refusals implements httpapi.HearingPort.
func (d *devices) Refusals(ctx context.Context, _ record.ID) ([]httpapi.Refusal, error) {
	in := d.ingest.Load()
	if in == nil {
		return nil, nil
	}
	owner, err := d.owners(ctx)
	if err != nil {
		return nil, err
	}
	list := in.Refusals()
	out := make([]httpapi.Refusal, 0, len(list))
	for _, r := range list {
		said := problem.New(r.Code, "")
		out = append(out, httpapi.Refusal{Login: cmp.Or(owner(r), r.Login), Topic: r.Topic, Key: r.Key, Code: string(r.Code), Message: said.Message(), Remedy: said.Remedy(),
			Detail: r.Reason, Count: r.Count, FirstAt: r.First.UTC(), LastAt: r.Last.UTC()})
	}
	return out, nil
}

// owners finds the login whose topic it is, for what was refused after the broker had taken it:
// then nobody tells who sent it. Where several may have, none is named.
func (d *devices) owners(ctx context.Context) (func(ingest.Refusal) string, error) {
	logins, err := d.building.edge.local.Logins(ctx)
	if err != nil {
		return nil, err
	}
	type own struct{ login, topic string }
	var list []own
	topic, _ := d.topic.Load().(string)
	for _, l := range logins {
		rights, err := d.building.edge.grantOf(l, topic).Rights()
		if err != nil {
			continue // it cannot log in either
		}
		for _, f := range rights.Publish {
			if before, ok := strings.CutSuffix(f, "/#"); ok && !strings.ContainsAny(before, "+") && !slices.Contains(d.building.edge.cfg.DiscoveryPrefixes, before) {
				list = append(list, own{l.Username, before})
			}
		}
	}
	return func(r ingest.Refusal) (found string) {
		if atBroker(r.Code) {
			return ""
		}
		for _, o := range list {
			if r.Topic == o.topic || strings.HasPrefix(r.Topic, o.topic+"/") {
				if found != "" && found != o.login {
					return ""
				}
				found = o.login
			}
		}
		return found
	}, nil
}

// atBroker reports whether the broker itself refused, and knew whom.
func atBroker(c problem.Code) bool {
	return c != problem.MQTTPayloadRefused && c != problem.MQTTTopicUnheard && c != problem.MQTTLeftOut
}

// ReadingsDisk implements httpapi.HearingPort.
func (d *devices) ReadingsDisk(ctx context.Context, _ record.ID) (httpapi.ReadingsDisk, error) {
	now := d.building.edge.now()
	u, err := d.building.edge.readings.Usage(ctx, now)
	if err != nil {
		return httpapi.ReadingsDisk{}, err
	}
	out := httpapi.ReadingsDisk{Bytes: u.Bytes, BudgetBytes: u.BudgetBytes, BytesPerDay: u.BytesPerDay, FullAt: orNil(u.FullAt), ReadingsFrom: orNil(u.ReadingsFrom), RollupsFrom: orNil(u.RollupsFrom)}
	out.State = "room"
	switch {
	case u.Over:
		out.State = "over"
	case !u.ThinnedTo.IsZero():
		out.State, out.ReadingsFrom = "thinning", &u.ThinnedTo
	}
	if out.FullAt != nil {
		days := int64(u.FullAt.Sub(now) / (24 * time.Hour))
		out.DaysLeft = &days
	}
	return out, nil
}
