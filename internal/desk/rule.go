package desk

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"estate/internal/problem"
	"estate/internal/rules"
	"estate/sync/record"
)

// rulesMax bounds a building's rules.
const rulesMax = 500

// Rule is a rule as a building has it: as it was shipped, changed, or made here.
type Rule struct {
	rules.Rule
	// Shipped rules can be changed and set back, but not removed.
	Shipped bool `json:"shipped"`
	Changed bool `json:"changed"`
	// Problems say why a rule that was saved is not used; of a shipped one the shipped text is.
	Problems []string `json:"problems,omitempty"`
	Seen     string   `json:"seen,omitempty"`
}

// RuleID is the id of a rule's record.
func RuleID(building record.ID, rule string) record.ID {
	return record.DerivedID("rule", building.String(), rule)
}

// Rules lists a building's rules by their ids. Staff only.
func (d *Desk) Rules(ctx context.Context, c Caller, building record.ID) ([]Rule, error) {
	v, err := d.Viewer(ctx, c, building)
	if err == nil {
		err = d.mayList(v, "rule")
	}
	if err != nil {
		return nil, err
	}
	return d.rules(ctx, building)
}

// ActiveRules are those that a building's engine works with.
func (d *Desk) ActiveRules(ctx context.Context, building record.ID) ([]rules.Rule, error) {
	list, err := d.rules(ctx, building)
	if err != nil {
		return nil, err
	}
	var out []rules.Rule
	for _, r := range list {
		if len(r.Problems) == 0 || r.Shipped {
			out = append(out, r.Rule)
		}
	}
	return out, nil
}

// rules lays what was saved over what is shipped.
func (d *Desk) rules(ctx context.Context, building record.ID) ([]Rule, error) {
	items, _, err := d.selectItems(ctx, Selection{Shape: shapeRules, Building: building, Limit: rulesMax})
	if err != nil {
		return nil, err
	}
	var out []Rule
	for _, r := range rules.Shipped() {
		out = append(out, Rule{Rule: r, Shipped: true})
	}
	for _, it := range items {
		f := d.fields(it)
		id := f.text("rule")
		saved, wrong := rules.Parse([]byte(f.text("definition")))
		one := Rule{Rule: saved, Changed: true, Seen: seen(it.record)}
		if saved.ID != id {
			wrong = append(wrong, rules.Problem{Field: "id", Reason: "is not the rule's"})
		}
		for _, p := range wrong {
			one.Problems = append(one.Problems, p.Error())
		}
		n := slices.IndexFunc(out, func(r Rule) bool { return r.Shipped && r.ID == id })
		switch {
		case n < 0:
			one.ID = id
			out = append(out, one)
		case len(wrong) > 0:
			out[n].Changed, out[n].Problems, out[n].Seen = true, one.Problems, one.Seen
		default:
			one.Shipped = true
			out[n] = one
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// SaveRule makes or changes a rule. Its version rises by one: a changed rule starts anew, and an
// alarm that the old text holds open ends when the new one says so. Managers only.
func (d *Desk) SaveRule(ctx context.Context, c Caller, building record.ID, id, seenToken string, definition json.RawMessage) (Rule, error) {
	shown, err := d.shown(ctx, building, seenToken)
	if err != nil {
		return Rule{}, err
	}
	if _, err := d.Rules(ctx, c, building); err != nil { // before anything else is said
		return Rule{}, err
	}
	if id == "" || len(id) > hardwareMax {
		return Rule{}, invalid("id", "wanted 1 to %d characters", hardwareMax)
	}
	r, err := readRule(definition, id, 1)
	if err != nil {
		return Rule{}, err
	}
	k := key(building, "rule", RuleID(building, id))
	err = d.write(ctx, c, building, "rule.save", []record.Key{k}, func(x *draft) error {
		x.seen[k] = shown
		f := x.fields(k)
		r.Version = nextVersion(id, f.text("definition"))
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		pairs := []pair{textPair("definition", string(text))}
		if f.text("rule") == "" {
			pairs = append(pairs, textPair("rule", id))
		}
		if f.bool("deleted") {
			pairs = append(pairs, pair{"deleted", record.Bool(false)})
		}
		return x.setAll(k, pairs...)
	})
	if err != nil {
		return Rule{}, err
	}
	return d.ruleOf(ctx, building, id)
}

// ResetRule sets a shipped rule back, or removes one that was made here. Managers only.
func (d *Desk) ResetRule(ctx context.Context, c Caller, building record.ID, id string) error {
	if _, err := d.Rules(ctx, c, building); err != nil {
		return err
	}
	k := key(building, "rule", RuleID(building, id))
	return d.write(ctx, c, building, "rule.reset", []record.Key{k}, func(x *draft) error {
		if !hasContent(x.item(k)) || x.fields(k).bool("deleted") {
			return notFound("rule that was changed or made here")
		}
		return x.set(k, "deleted", record.Bool(true))
	})
}

func (d *Desk) ruleOf(ctx context.Context, building record.ID, id string) (Rule, error) {
	list, err := d.rules(ctx, building)
	if err != nil {
		return Rule{}, err
	}
	n := slices.IndexFunc(list, func(r Rule) bool { return r.ID == id })
	if n < 0 {
		return Rule{}, notFound("rule")
	}
	return list[n], nil
}

// nextVersion is above that of the text that was saved, and of what is shipped.
func nextVersion(id, saved string) int {
	version := 0
	for _, r := range rules.Shipped() {
		if r.ID == id {
			version = r.Version
		}
	}
	var before struct {
		Version int `json:"version"`
	}
	if json.Unmarshal([]byte(saved), &before) == nil {
		version = max(version, before.Version)
	}
	return version + 1
}

// readRule reads what a person wrote. Id and version are not the person's to choose.
func readRule(definition json.RawMessage, id string, version int) (rules.Rule, error) {
	var text map[string]json.RawMessage
	if err := json.Unmarshal(definition, &text); err != nil || text == nil {
		return rules.Rule{}, invalid("rule", "is not a JSON object")
	}
	own, err := json.Marshal(struct {
		ID      string `json:"id"`
		Version int    `json:"version"`
	}{id, version})
	if err == nil {
		err = json.Unmarshal(own, &text)
	}
	if err != nil {
		return rules.Rule{}, err
	}
	whole, err := json.Marshal(text)
	if err != nil {
		return rules.Rule{}, err
	}
	r, wrong := rules.Parse(whole)
	if len(wrong) > 0 {
		var fields []problem.FieldError
		for _, p := range wrong {
			fields = append(fields, problem.FieldError{Field: strings.Trim("rule."+p.Field, "."), Message: p.Reason})
		}
		return r, problem.Invalid(fields...)
	}
	return r, nil
}

// Limits of a trial.
const (
	trialSpanDefault = 30 * 24 * time.Hour
	trialSpanMax     = 366 * 24 * time.Hour
	trialEffectsMax  = 500
)

// Trial is what a rule would have done.
type Trial struct {
	From     time.Time     `json:"from"`
	To       time.Time     `json:"to"`
	Devices  int           `json:"devices" doc:"How many devices have what the rule looks at"`
	Readings int           `json:"readings" doc:"How many readings, or spans of them, it was shown"`
	Spans    int           `json:"span_seconds" doc:"The longest span that stood for single readings; what is shorter was not seen. 0 where all were there"`
	Alarms   int           `json:"alarms"`
	Tickets  int           `json:"tickets" doc:"How many tickets they would have opened, where nobody closed one in between: one for each asset, for each device that watches none, or one for all of a storm"`
	Effects  []TrialEffect `json:"effects" doc:"The first 500"`
}

// TrialEffect is an alarm that would have begun or ended.
type TrialEffect struct {
	At         time.Time `json:"at"`
	What       string    `json:"what" enum:"raise,clear"`
	Device     string    `json:"device"`
	DeviceName string    `json:"device_name,omitempty"`
	Detail     string    `json:"detail,omitempty"`
}

// TryRule shows what a rule would have done with what the building's devices measured. Staff
// only; nothing is saved.
func (d *Desk) TryRule(ctx context.Context, c Caller, building record.ID, definition json.RawMessage, from, to time.Time) (Trial, error) {
	if _, err := d.Rules(ctx, c, building); err != nil {
		return Trial{}, err
	}
	if to.IsZero() {
		to = d.now()
	}
	if from.IsZero() {
		from = to.Add(-trialSpanDefault)
	}
	out := Trial{From: from.UTC(), To: to.UTC(), Effects: []TrialEffect{}}
	if span := to.Sub(from); span <= 0 || span > trialSpanMax {
		return out, invalid("from", "must be before to, by at most a year")
	}
	r, err := readRule(definition, "trial", 1)
	if err != nil {
		return out, err
	}
	r.Disabled = false
	h := history{desk: d, building: building, from: from, to: to, when: r.When}
	if err := h.open(ctx); err != nil {
		return out, err
	}
	tickets := map[string]bool{}
	effects := rules.Try([]rules.Rule{r}, d.Zone(ctx, building), h.each(ctx), to)
	if h.err != nil {
		return out, h.err
	}
	out.Devices, out.Readings, out.Spans = len(h.devices), h.read, int(h.span/time.Second)
	for _, e := range effects {
		one := TrialEffect{At: e.Alarm.Since, What: "raise", Device: e.Alarm.Device, DeviceName: strings.TrimSpace(h.devices[e.Alarm.Device].Name), Detail: e.Alarm.Detail}
		switch e.What {
		case rules.Mark: // it flaps, and goes on
			continue
		case rules.Clear:
			one.At, one.What = e.Alarm.Cleared, "clear"
		case rules.Raise:
			out.Alarms++
			tickets[ticketOf(e.Alarm, h.devices[e.Alarm.Device].Asset)] = true
		}
		if len(out.Effects) < trialEffectsMax {
			out.Effects = append(out.Effects, one)
		}
	}
	if r.Ticket {
		out.Tickets = len(tickets)
	}
	return out, nil
}

// ticketOf names the ticket that an alarm of a device that watches an asset opens or joins.
func ticketOf(a rules.Alarm, asset record.ID) string {
	switch {
	case !a.Storm.IsZero():
		return a.Storm.String()
	case !asset.IsZero():
		return asset.String()
	}
	return a.Device
}
