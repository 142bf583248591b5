package edge_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"estate/edge/internal/broker"
	"estate/edge/internal/decode"
)

// The contract with devices: firmware-docs.
const (
	contractDir      = "../firmware-docs"
	contractAsyncAPI = contractDir + "/asyncapi.yaml"
	// asyncAPISchema is the official schema of AsyncAPI 3.0.0 documents, of npm's
	// @asyncapi/specs 6.11.1 (Apache 2.0), without its white space.
	asyncAPISchema = "testdata/asyncapi-3.0.0.json.gz"
)

// channel is a channel of the AsyncAPI document.
type channel struct {
	name, address, message string
	match                  *regexp.Regexp
}

// operation is an operation of the AsyncAPI document: the edge is who sends and receives.
type operation struct {
	name, action, channel string
	qos                   int
	retain                bool
	roles                 []string
}

// contract is what firmware-docs promise, as programs read it.
type contract struct {
	channels   map[string]channel
	operations []operation
	schemas    map[string]*jsonschema.Schema // by message
	texts      map[string]map[string]any
}

// document is what is read of the AsyncAPI document.
type document struct {
	Channels map[string]struct {
		Address  string                       `yaml:"address"`
		Messages map[string]map[string]string `yaml:"messages"`
	} `yaml:"channels"`
	Operations map[string]struct {
		Action   string            `yaml:"action"`
		Channel  map[string]string `yaml:"channel"`
		Bindings struct {
			MQTT struct {
				QoS    int  `yaml:"qos"`
				Retain bool `yaml:"retain"`
			} `yaml:"mqtt"`
		} `yaml:"bindings"`
		Roles []string `yaml:"x-roles"`
	} `yaml:"operations"`
	Components struct {
		Messages map[string]struct {
			Payload struct {
				Schema map[string]string `yaml:"schema"`
			} `yaml:"payload"`
		} `yaml:"messages"`
	} `yaml:"components"`
}

var parameter = regexp.MustCompile(`\\\{[a-z]+\\\}`)

// readContract reads the document and all that it refers to.
func readContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile(contractAsyncAPI)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	c := contract{channels: map[string]channel{}, schemas: map[string]*jsonschema.Schema{}, texts: map[string]map[string]any{}}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for name, m := range doc.Components.Messages {
		path := filepath.Join(contractDir, m.Payload.Schema["$ref"])
		c.schemas[name] = must(compiler.Compile(path))(t)
		text := must(os.ReadFile(path))(t)
		var one map[string]any
		if err := json.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		c.texts[name] = one
	}
	for name, ch := range doc.Channels {
		if len(ch.Messages) != 1 {
			t.Fatalf("channel %s: %d messages", name, len(ch.Messages))
		}
		message := slices.Collect(maps.Keys(ch.Messages))[0]
		pattern := parameter.ReplaceAllString(regexp.QuoteMeta(ch.Address), `[^/]+`)
		c.channels[name] = channel{name, ch.Address, message, regexp.MustCompile("^" + pattern + "$")}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Operations)) {
		o := doc.Operations[name]
		c.operations = append(c.operations, operation{name, o.Action, strings.TrimPrefix(o.Channel["$ref"], "#/channels/"), o.Bindings.MQTT.QoS, o.Bindings.MQTT.Retain, o.Roles})
	}
	return c
}

// of finds the channel of a topic.
func (c contract) of(topic string) (channel, bool) {
	for _, ch := range c.channels {
		if ch.match.MatchString(topic) {
			return ch, true
		}
	}
	return channel{}, false
}

// check holds a payload against the schema of a message. What is no JSON is taken as a text.
func (c contract) check(message string, payload []byte) error {
	schema := c.schemas[message]
	if schema == nil {
		return fmt.Errorf("message %q has no schema", message)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(payload)))
	if err != nil {
		value = string(payload)
	}
	return schema.Validate(value)
}

// sample is an example of a schema, as it is sent.
type sample struct {
	message   string
	payload   []byte
	code, key string // of what is refused
}

// samples gives the examples of a message's schema, those that are refused among them.
func (c contract) samples(t *testing.T, message string) (good, bad []sample) {
	t.Helper()
	examples, _ := c.texts[message]["examples"].([]any)
	for _, e := range examples {
		good = append(good, sample{message: message, payload: sent(t, e)})
	}
	refused, _ := c.texts[message]["x-refused"].([]any)
	for _, r := range refused {
		one, _ := r.(map[string]any)
		s := sample{message: message}
		s.code, _ = one["code"].(string)
		s.key, _ = one["key"].(string)
		if text, isText := one["text"].(string); isText {
			s.payload = []byte(text)
		} else {
			s.payload = sent(t, one["payload"])
		}
		bad = append(bad, s)
	}
	if len(good) == 0 {
		t.Fatalf("schema %s has no examples", message)
	}
	return good, bad
}

// sent is a value as a payload: texts go without quotes.
func sent(t *testing.T, v any) []byte {
	t.Helper()
	if text, isText := v.(string); isText {
		return []byte(text)
	}
	return must(json.Marshal(v))(t)
}

// TestContractSchemas: each schema takes its examples and refuses what it says is refused, with a
// code that the error topic's schema knows.
func TestContractSchemas(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	files := must(filepath.Glob(contractDir + "/schemas/*.json"))(t)
	if len(files) != len(c.schemas) {
		t.Errorf("%d files of schemas, and %d messages that refer to them", len(files), len(c.schemas))
	}
	codes := map[string]bool{}
	for message := range c.schemas {
		good, bad := c.samples(t, message)
		for _, s := range good {
			if err := c.check(message, s.payload); err != nil {
				t.Errorf("%s: its example %s: %v", message, s.payload, err)
			}
		}
		for _, s := range bad {
			if c.check(message, s.payload) == nil {
				t.Errorf("%s: takes %s, which is to be refused", message, s.payload)
			}
			codes[s.code] = true
		}
	}
	properties, _ := c.texts["error"]["properties"].(map[string]any)
	code, _ := properties["code"].(map[string]any)
	var want []any
	for _, one := range decode.Codes() {
		want = append(want, string(one))
		delete(codes, string(one))
	}
	if got, _ := code["enum"].([]any); !slices.Equal(got, want) {
		t.Errorf("codes of the error topic: %v, and the edge has %v", got, want)
	}
	if len(codes) > 0 {
		t.Errorf("refused with codes that the edge does not have: %v", codes)
	}
}

// TestContractWords: the schema of states has the keys, units and limits of the edge.
func TestContractWords(t *testing.T) {
	t.Parallel()
	c := readContract(t)
	properties, _ := c.texts["state"]["properties"].(map[string]any)
	words := decode.Words()
	if len(properties) != len(words)+1 { // ts
		t.Errorf("the schema has %d keys, the edge %d and ts", len(properties), len(words))
	}
	for _, w := range words {
		p, _ := properties[w.Key].(map[string]any)
		if w.Type == decode.Bool {
			if p["$ref"] != "#/definitions/truth" {
				t.Errorf("%s is true or false at the edge, and in the schema %v", w.Key, p)
			}
			continue
		}
		forms, _ := p["anyOf"].([]any)
		if len(forms) == 0 {
			t.Errorf("%s: %v", w.Key, p)
			continue
		}
		number, _ := forms[0].(map[string]any)
		if p["x-unit"] != w.Unit || number["minimum"] != w.Min || number["maximum"] != w.Max {
			t.Errorf("%s: the schema says %v, %v to %v; the edge %q, %g to %g", w.Key, p["x-unit"], number["minimum"], number["maximum"], w.Unit, w.Min, w.Max)
		}
	}
}

// TestAsyncAPI: the document is one by the official schema, and its channels are those that the
// roles reach.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	f := must(os.Open(asyncAPISchema))(t)
	defer func() { _ = f.Close() }()
	official := must(jsonschema.UnmarshalJSON(must(gzip.NewReader(f))(t)))(t)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("asyncapi.json", official); err != nil {
		t.Fatal(err)
	}
	schema := must(compiler.Compile("asyncapi.json"))(t)
	var doc any
	if err := yaml.Unmarshal(must(os.ReadFile(contractAsyncAPI))(t), &doc); err != nil {
		t.Fatal(err)
	}
	plain := must(jsonschema.UnmarshalJSON(strings.NewReader(string(must(json.Marshal(doc))(t)))))(t)
	if err := schema.Validate(plain); err != nil {
		t.Error(err)
	}
	c := readContract(t)
	for _, o := range c.operations {
		ch, ok := c.channels[o.channel]
		if !ok || len(o.roles) == 0 {
			t.Errorf("operation %s: channel %q, roles %v", o.name, o.channel, o.roles)
		}
		for _, role := range o.roles {
			rights, err := grant(broker.Role(role)).Rights()
			if err != nil {
				t.Fatal(err)
			}
			reach, topic := rights.Publish, topicAt(ch.address)
			if o.action == "send" {
				reach = rights.Subscribe
			}
			if !slices.ContainsFunc(reach, func(filter string) bool { return covers(filter, topic) }) {
				t.Errorf("operation %s: the role %s does not reach %s: %v", o.name, role, topic, reach)
			}
		}
	}
}

// grant is a login of a role with names of all that a role can need.
func grant(role broker.Role) broker.Grant {
	return broker.Grant{Role: role, ClientID: "x", Building: "oak", Device: "boiler", Base: "base", MAC: "A8032AB12345", Person: "p"}
}

// topicAt is an address with names in it.
func topicAt(address string) string {
	return strings.NewReplacer("{building}", "oak", "{device}", "boiler", "{person}", "p", "{alarm}", "a", "{box}", "b").Replace(address)
}

// covers says whether a filter reaches a topic.
func covers(filter, topic string) bool {
	pattern := strings.NewReplacer(`\+`, "[^/]+", "#", ".*").Replace(regexp.QuoteMeta(filter))
	return regexp.MustCompile("^" + pattern + "$").MatchString(topic)
}
