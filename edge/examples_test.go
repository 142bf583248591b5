package edge_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.yaml.in/yaml/v3"

	"estate/edge"
	"estate/internal/desk"
	"estate/internal/httpapi"
	"estate/internal/lab/labtest"
)

const examplesDir = contractDir + "/examples"

// exampleBox is the box's name in the examples.
const exampleBox = "estate.local"

// setup is what a firmware takes from its settings.
type setup struct {
	host, port           string
	tls                  bool
	user, clientID, base string
	role, mac            string
	qos                  byte
	// messages are what the firmware sends with these settings.
	messages []said
	// order is a topic on which it takes orders.
	order string
	// hardware and series are what the edge is to make of it.
	hardware string
	series   []desk.Series
}

// said is one message of a firmware.
type said struct {
	topic, payload string
	retain         bool
}

// TestExamples: settings for the usual firmwares get a device in, with the rights of its role, and
// its values are what they mean.
func TestExamples(t *testing.T) {
	t.Parallel()
	c := startCloud(t)
	cfg := config(t.TempDir())
	cfg.MQTTTLSListen = "127.0.0.1:0"
	b := enrolledWith(t, c, cfg)
	b.signIn()
	examples := map[string]func(*testing.T) setup{
		"esphome.yaml": esphomeSetup, "zigbee2mqtt.yaml": zigbeeSetup, "tasmota.txt": tasmotaSetup, "shelly-gen1.json": shelly1Setup, "shelly-gen2.json": shelly2Setup,
	}
	for _, path := range must(filepath.Glob(examplesDir + "/*"))(t) {
		if name := filepath.Base(path); examples[name] == nil && name != "README.md" {
			t.Errorf("nothing tries %s", name)
		}
	}
	for name, read := range examples {
		t.Run(name, func(t *testing.T) {
			b.example(t, c.building.String(), read(t))
		})
	}
	for _, r := range b.refusals(c.building.String()) {
		t.Errorf("refused: %+v", r)
	}
}

// refusals are what the building's staff sees of what was not taken.
func (b *box) refusals(building string) []httpapi.Refusal {
	b.t.Helper()
	var got httpapi.RefusalsBody
	b.call(http.MethodGet, "/buildings/"+building+"/refusals", nil, &got)
	return got.Items
}

// example connects as the settings say.
func (b *box) example(t *testing.T, building string, s setup) {
	t.Helper()
	login := b.login(edge.LoginInput{Name: s.user, Role: s.role, Base: s.base, MAC: s.mac})
	if login.ClientID != s.clientID {
		t.Fatalf("the login is bound to client id %s, the settings say %s", login.ClientID, s.clientID)
	}
	ordered := make(chan string, 16)
	client := mqtt.NewClient(b.optionsOf(t, s).SetPassword(login.Password).SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		select {
		case ordered <- string(m.Payload()): // a Shelly is asked what it is, too
		default:
		}
	}))
	wait := func(token mqtt.Token, what string) {
		t.Helper()
		if !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("%s: %v", what, token.Error())
		}
	}
	wait(client.Connect(), "connect")
	defer client.Disconnect(0)
	wait(client.Subscribe(s.order, 1, nil), "subscribe to orders")
	say := func() {
		t.Helper()
		for _, m := range s.messages {
			wait(client.Publish(m.topic, s.qos, m.retain, m.payload), "publish to "+m.topic)
		}
	}
	say()
	var found desk.Device
	eventually(t, s.hardware+" is listed", func() bool {
		for _, d := range b.devices(building) {
			if d.Hardware == s.hardware {
				found = d
			}
		}
		return found.Hardware != ""
	})
	b.call(http.MethodPost, fmt.Sprintf("/buildings/%s/devices/%s/adopt", building, found.ID), map[string]string{"name": s.user}, nil)
	say()
	eventually(t, "its values", func() bool {
		var got list[desk.Series]
		b.call(http.MethodGet, fmt.Sprintf("/buildings/%s/devices/%s/series", building, found.ID), nil, &got)
		return !slices.ContainsFunc(s.series, func(want desk.Series) bool {
			return !slices.ContainsFunc(got.Items, func(one desk.Series) bool {
				return (one.Key == want.Key || want.Key == "") && one.Kind == want.Kind && one.UnitOfMeasure == want.UnitOfMeasure
			})
		})
	})
	if err := b.Tell(t.Context(), s.order, []byte("order")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an order", func() bool {
		select {
		case text := <-ordered:
			return text == "order"
		default:
			return false
		}
	})
}

// optionsOf are the options of a client with these settings; the box is where this one runs.
func (b *box) optionsOf(t *testing.T, s setup) *mqtt.ClientOptions {
	t.Helper()
	o := mqtt.NewClientOptions().SetClientID(s.clientID).SetUsername(s.user).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(patience)
	switch {
	case s.host != exampleBox:
		t.Fatalf("the settings name the box %q, not %s", s.host, exampleBox)
	case s.port == "1883" && !s.tls:
		o.AddBroker("tcp://" + b.MQTTAddr())
	case s.port == "8883" && s.tls:
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(must(os.ReadFile(filepath.Join(b.cfg.Data, "mqtt-ca.pem")))(t)) {
			t.Fatal("the box's authority is no certificate")
		}
		o.AddBroker("ssl://" + b.MQTTTLSAddr()).SetTLSConfig(&tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	default:
		t.Fatalf("port %s, TLS %t", s.port, s.tls)
	}
	return o
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	if err := yaml.Unmarshal(must(os.ReadFile(filepath.Join(examplesDir, name)))(t), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(examplesDir, name)))(t), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// captures gives the recorded payloads of an ecosystem on topics that match, with their topics.
func captures(t *testing.T, ecosystem, topics string) (out []said) {
	t.Helper()
	match := regexp.MustCompile(topics)
	f := must(os.Open(labtest.Data(t, "mqtt_payloads/"+ecosystem+".jsonl")[0]))(t)
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var l struct {
			Topic, Payload string
			Retain         *bool
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if match.MatchString(l.Topic) {
			out = append(out, said{l.Topic, l.Payload, l.Retain != nil && *l.Retain})
		}
	}
	if len(out) == 0 {
		t.Fatalf("no recorded message of %s on %s", ecosystem, topics)
	}
	return out
}

// esphomeSetup: the node announces each entity in Home Assistant's form and tells its state on
// <prefix>/<component>/<object>/state.
func esphomeSetup(t *testing.T) setup {
	t.Helper()
	var y struct {
		ESPHome struct {
			Name     string `yaml:"name"`
			Friendly string `yaml:"friendly_name"`
		} `yaml:"esphome"`
		MQTT struct {
			Broker, Port, Username string
			ClientID               string `yaml:"client_id"`
			Prefix                 string `yaml:"topic_prefix"`
			Retain                 bool   `yaml:"discovery_retain"`
		} `yaml:"mqtt"`
		API    any `yaml:"api"`
		Sensor []struct {
			Temperature, Humidity struct{ Name string }
		} `yaml:"sensor"`
		Binary []struct {
			Name  string
			Class string `yaml:"device_class"`
		} `yaml:"binary_sensor"`
		Switch []struct{ Name string } `yaml:"switch"`
	}
	readYAML(t, "esphome.yaml", &y)
	s := setup{host: y.MQTT.Broker, port: y.MQTT.Port, user: y.MQTT.Username, clientID: y.MQTT.ClientID, base: y.MQTT.Prefix, role: "esphome", hardware: "mac:a020a61c3105"}
	if y.API != nil || y.ESPHome.Name != y.MQTT.Prefix {
		t.Error("the node's name is not its topic prefix, or it waits for an API client")
	}
	object := func(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "_") }
	announce := func(component, name, state string, more map[string]string) {
		topic := s.base + "/" + component + "/" + object(name)
		config := map[string]any{"name": name, "stat_t": topic + "/state", "avty_t": s.base + "/status", "uniq_id": "a020a61c3105-" + component + "-" + object(name),
			"dev": map[string]any{"ids": "a020a61c3105", "name": y.ESPHome.Friendly, "sw": "esphome v2024.1.0", "mdl": "d1_mini", "mf": "espressif"}}
		for k, v := range more {
			config[k] = v
		}
		if component == "switch" {
			config["cmd_t"], s.order = topic+"/command", topic+"/command"
		}
		s.messages = append(s.messages, said{"homeassistant/" + component + "/" + y.ESPHome.Name + "/" + object(name) + "/config", string(must(json.Marshal(config))(t)), y.MQTT.Retain},
			said{topic + "/state", state, component != "sensor"})
	}
	s.messages = append(s.messages, said{s.base + "/status", "online", true})
	for _, one := range y.Sensor {
		announce("sensor", one.Temperature.Name, "21.4", map[string]string{"dev_cla": "temperature", "unit_of_meas": "°C", "stat_cla": "measurement"})
		announce("sensor", one.Humidity.Name, "55.2", map[string]string{"dev_cla": "humidity", "unit_of_meas": "%", "stat_cla": "measurement"})
		s.series = append(s.series, desk.Series{Kind: "temperature", UnitOfMeasure: "°C"}, desk.Series{Kind: "humidity", UnitOfMeasure: "%"})
	}
	for _, one := range y.Binary {
		announce("binary_sensor", one.Name, "OFF", map[string]string{"dev_cla": one.Class})
	}
	for _, one := range y.Switch {
		announce("switch", one.Name, "ON", nil)
	}
	// Kept by the broker they are the last known state, no event: each is told once more as it changes.
	for _, one := range y.Binary {
		s.messages = append(s.messages, said{s.base + "/binary_sensor/" + object(one.Name) + "/state", "OFF", false})
		s.series = append(s.series, desk.Series{Kind: "leak"})
	}
	return s
}

// zigbeeSetup: what a live gateway was recorded to say, under the base topic of the settings.
func zigbeeSetup(t *testing.T) setup {
	t.Helper()
	var y struct {
		MQTT struct {
			Server, User string
			ClientID     string `yaml:"client_id"`
			Base         string `yaml:"base_topic"`
			Version      int
		} `yaml:"mqtt"`
		Options struct {
			QoS    byte `yaml:"qos"`
			Retain bool `yaml:"retain"`
		} `yaml:"device_options"`
		Advanced struct{ Output string } `yaml:"advanced"`
	}
	readYAML(t, "zigbee2mqtt.yaml", &y)
	at := must(url.Parse(y.MQTT.Server))(t)
	s := setup{host: at.Hostname(), port: at.Port(), tls: at.Scheme == "mqtts", user: y.MQTT.User, clientID: y.MQTT.ClientID, base: y.MQTT.Base, role: "zigbee2mqtt", qos: y.Options.QoS,
		order:    y.MQTT.Base + "/livingroom/temp_humidity/set",
		hardware: "z2m:0x00158d0004866f11", series: []desk.Series{{Key: "temperature", Kind: "temperature", UnitOfMeasure: "°C"}, {Key: "humidity", Kind: "humidity", UnitOfMeasure: "%"}}}
	if y.MQTT.Version != 4 || y.Advanced.Output != "json" || y.Options.Retain {
		t.Errorf("the broker speaks MQTT 3.1.1, and the edge reads JSON that is not kept: %+v", y)
	}
	for _, m := range captures(t, "zigbee2mqtt", `^zigbee2mqtt/(bridge/state|bridge/devices|0x00158d0004866f11)$`) {
		m.topic = s.base + strings.TrimPrefix(m.topic, "zigbee2mqtt")
		s.messages = append(s.messages, m)
	}
	return s
}

// tasmotaSetup: a recorded announcement with the topics of the settings, and recorded readings.
func tasmotaSetup(t *testing.T) setup {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(string(must(os.ReadFile(filepath.Join(examplesDir, "tasmota.txt")))(t))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			if _, after, ok := strings.Cut(line, "--mac "); ok {
				values["mac"] = after
			}
			continue
		}
		for _, command := range strings.Split(strings.TrimPrefix(line, "Backlog "), ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(command), " ")
			if !ok {
				t.Errorf("%q is no command with a value", command)
			}
			values[name] = value
		}
	}
	s := setup{host: values["MqttHost"], port: values["MqttPort"], user: values["MqttUser"], clientID: values["MqttClient"], base: values["Topic"], role: "tasmota", mac: values["mac"],
		hardware: "mac:a8032ab12345", series: []desk.Series{{Key: "ENERGY.Power", Kind: "power", UnitOfMeasure: "W"}, {Key: "ENERGY.Total", Kind: "energy", UnitOfMeasure: "kWh"}, {Key: "POWER", Kind: "switched"}}}
	topic := func(prefix, word string) string {
		return strings.NewReplacer("%prefix%", values[prefix], "%topic%", s.base).Replace(values["FullTopic"]) + word
	}
	s.order = topic("Prefix1", "POWER")
	mac := strings.ReplaceAll(s.mac, ":", "")
	if values["SetOption19"] != "0" {
		t.Error("it does not announce itself in Tasmota's own form")
	}
	var config map[string]any
	if err := json.Unmarshal([]byte(captures(t, "tasmota", `^tasmota/discovery/.*/config$`)[0].payload), &config); err != nil {
		t.Fatal(err)
	}
	config["t"], config["ft"], config["mac"] = s.base, values["FullTopic"], mac
	config["tp"] = []string{values["Prefix1"], values["Prefix2"], values["Prefix3"]}
	s.messages = []said{{"tasmota/discovery/" + mac + "/config", string(must(json.Marshal(config))(t)), true},
		{"tasmota/discovery/" + mac + "/sensors", captures(t, "tasmota", `^tasmota/discovery/.*/sensors$`)[0].payload, true},
		{topic("Prefix3", "LWT"), "Online", true}, {topic("Prefix3", "SENSOR"), captures(t, "tasmota", `^tele/pow1/SENSOR$`)[0].payload, false},
		{topic("Prefix2", "RESULT"), `{"POWER":"ON"}`, false}, {topic("Prefix2", "POWER"), "ON", false}}
	return s
}

// shelly1Setup: what the makers' documentation says of the first generation.
func shelly1Setup(t *testing.T) setup {
	t.Helper()
	var j struct {
		Server string `json:"mqtt_server"`
		User   string `json:"mqtt_user"`
		ID     string `json:"mqtt_id"`
		QoS    byte   `json:"mqtt_max_qos"`
		Retain bool   `json:"mqtt_retain"`
		Enable bool   `json:"mqtt_enable"`
	}
	readJSON(t, "shelly-gen1.json", &j)
	host, port, err := net.SplitHostPort(j.Server)
	if err != nil || !j.Enable || j.Retain {
		t.Fatalf("%+v, %v", j, err)
	}
	own := "shellies/" + j.ID + "/"
	return setup{host: host, port: port, user: j.User, clientID: j.ID, base: j.ID, role: "shelly", qos: j.QoS, order: own + "relay/0/command", hardware: "mac:f4cfa2aabbcc",
		series: []desk.Series{{Key: "relay.0", Kind: "switched"}, {Key: "relay.0.power", Kind: "power", UnitOfMeasure: "W"}},
		messages: []said{{"shellies/announce", `{"id":"` + j.ID + `","model":"SHSW-PM","mac":"F4CFA2AABBCC","ip":"192.168.1.20","new_fw":false,"fw_ver":"20230913-112234/v1.14.0"}`, false},
			{own + "online", "true", true}, {own + "relay/0", "on", false}, {own + "relay/0/power", "42.30", false}, {own + "relay/0/energy", "12345", false}, {own + "temperature", "45.20", false}}}
}

// shelly2Setup: a recorded full status under the prefix of the settings.
func shelly2Setup(t *testing.T) setup {
	t.Helper()
	var j struct {
		Method string `json:"method"`
		Params struct {
			Config struct {
				Enable, Control, Notify bool
				Server, User            string
				CA                      string `json:"ssl_ca"`
				ClientID                string `json:"client_id"`
				Prefix                  string `json:"topic_prefix"`
				RPC                     bool   `json:"rpc_ntf"`
				Status                  bool   `json:"status_ntf"`
				Orders                  bool   `json:"enable_rpc"`
			} `json:"config"`
		} `json:"params"`
	}
	readJSON(t, "shelly-gen2.json", &j)
	c := j.Params.Config
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil || j.Method != "Mqtt.SetConfig" || !c.Enable || !c.RPC || !c.Status || !c.Orders {
		t.Fatalf("%+v, %v", j, err)
	}
	s := setup{host: host, port: port, tls: c.CA != "", user: c.User, clientID: c.ClientID, base: c.Prefix, role: "shelly", qos: 1, order: c.Prefix + "/rpc", hardware: "mac:a8032ab12345",
		series: []desk.Series{{Key: "switch:0.apower", Kind: "power", UnitOfMeasure: "W"}, {Key: "switch:0.output", Kind: "switched"}}}
	for _, m := range captures(t, "shelly_gen2", `^shellies/humidifier/(online|events/rpc)$`) {
		m.topic = s.base + strings.TrimPrefix(m.topic, "shellies/humidifier")
		m.payload = strings.ReplaceAll(m.payload, "shellies/humidifier", s.base)
		s.messages = append(s.messages, m)
	}
	s.messages = append(s.messages, said{s.base + "/status/switch:0", `{"id":0,"source":"init","output":true,"apower":31.4,"voltage":230.6,"current":0.27}`, false})
	return s
}
