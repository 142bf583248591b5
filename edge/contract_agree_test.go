package edge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"estate/edge/internal/decode"
)

// TestContractAgrees: whatever is sent, the schema takes it exactly where the edge refuses nothing
// of it. Numbers as text are left out where they are beyond the limits: only the edge reads those.
func TestContractAgrees(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	words := decode.Words()
	odd := []any{nil, true, false, 0, 1, 2, -1, 0.5, 1e300, "", " ", "on", "OFF", "Wet", "dry", "true", "1", "0", "yes", "warm", "12.5", " 7 ", "+3", "1e1", ".5", "5.", "0x10", "1_0", "NaN", "Inf", "--1",
		[]any{}, []any{1}, map[string]any{}, map[string]any{"value": 1}, "2026-03-01T11:59:00Z", "2026-03-01T11:59:00.5+01:00", "2026-03-01", 1772366340, 1772366340000, 12, "ON ", "tRuE"}
	values := func(w decode.Word) *rapid.Generator[any] {
		limits := []any{w.Min, w.Max, w.Min - 1, w.Max + 1, (w.Min + w.Max) / 2}
		if w.Type == decode.Bool {
			limits = []any{true, false}
		}
		return rapid.OneOf(rapid.SampledFrom(odd), rapid.SampledFrom(limits))
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			payload := map[string]any{}
			for range rapid.IntRange(0, 3).Draw(t, "keys") {
				w := rapid.SampledFrom(words).Draw(t, "word")
				payload[w.Key] = values(w).Draw(t, "value")
				if text, isText := payload[w.Key].(string); isText && w.Type == decode.Number {
					var n float64
					if _, err := fmt.Sscan(text, &n); err == nil && (n < w.Min || n > w.Max) {
						delete(payload, w.Key)
					}
				}
			}
			if rapid.Bool().Draw(t, "timed") {
				payload["ts"] = rapid.SampledFrom(odd).Draw(t, "ts")
			}
			if rapid.Bool().Draw(t, "strange") {
				payload["something"] = rapid.SampledFrom(odd).Draw(t, "value")
			}
			contract.agrees(t, "state", payload)
		}
	})
}

// agrees holds that schema and edge say the same of a payload.
func (c contract) agrees(t *rapid.T, message string, payload any) {
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := decode.New(decode.Config{Building: "oak"}).Decode(decode.Message{Topic: "estate/v1/oak/dev/x/" + message, Payload: text, Arrival: now})
	if err := c.check(message, text); (err == nil) != (len(r.Unrecognised) == 0) {
		t.Fatalf("%s\nthe schema says: %v\nthe edge refuses: %+v", text, err, r.Unrecognised)
	}
}

// TestContractAgreesOnAnnouncements: as above. That min lies below max only the edge looks at.
func TestContractAgreesOnAnnouncements(t *testing.T) {
	t.Parallel()
	contract := readContract(t)
	pick := func(list ...any) *rapid.Generator[any] { return rapid.SampledFrom(list) }
	fields := map[string]*rapid.Generator[any]{
		"component": pick("sensor", "binary_sensor", "switch", "siren", "valve", "cover", "lock", "number", "select", "button", "tap", "", 7),
		"name":      pick("Main valve", "", 7, true), "device_class": pick("door", "nonsense", 1), "unit": pick("°C", "", 3),
		"expire_after": pick(0, 900, -1, 1.5, "60"), "min": pick(5, 0.5, "5"), "max": pick(30, 30.5, "x"),
		"options": pick([]string{"a"}, []string{"a", "b"}, []string{}, []string{""}, "a", []int{1}), "something": pick(1, "x", []int{}),
	}
	names := []string{"component", "name", "device_class", "unit", "expire_after", "min", "max", "options", "something"}
	keys := []string{"valve", "flow_2", "temperature", "leak", "ts", "Valve", "a b", "", "x", "2nd", strings.Repeat("k", 64), strings.Repeat("k", 65)}
	top := map[string]*rapid.Generator[any]{"name": pick("Cellar", 7), "manufacturer": pick("x", false), "model": pick("x", 1), "firmware": pick("1", 1), "area": pick("Cellar", 1),
		"battery": pick(true, "yes"), "sleeps": pick(false, 1), "strange": pick(1, "x")}
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			entities := map[string]any{}
			for range rapid.IntRange(0, 2).Draw(t, "entities") {
				one := map[string]any{"component": fields["component"].Draw(t, "component")}
				for range rapid.IntRange(0, 3).Draw(t, "fields") {
					name := rapid.SampledFrom(names).Draw(t, "field")
					one[name] = fields[name].Draw(t, name)
				}
				entities[rapid.SampledFrom(keys).Draw(t, "key")] = one
			}
			payload := map[string]any{"entities": entities}
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				payload["entities"] = pick("x", []int{1}, nil, 5).Draw(t, "entities")
			}
			for _, name := range slices.Sorted(maps.Keys(top)) {
				if rapid.IntRange(0, 9).Draw(t, name+"?") == 0 {
					payload[name] = top[name].Draw(t, name)
				}
			}
			contract.agrees(t, "announcement", payload)
		}
	})
}
