package edge_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"estate/edge"
)

func TestLoadConfig(t *testing.T) {
	t.Parallel()
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "edge.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := edge.LoadConfig(file(`{"data":"/from/file","listen":":1","log_level":"warn","gateway_bases":["a","b"]}`),
		map[string]string{"ESTATE_EDGE_LISTEN": ":2", "ESTATE_EDGE_TRUSTED_PROXIES": "10.0.0.0/8,fd00::/8", "PATH": "/bin", "ESTATE_TEST_MODE": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "/from/file" || c.Listen != ":2" || c.LogLevel != slog.LevelWarn || len(c.GatewayBases) != 2 || len(c.TrustedProxies) != 2 {
		t.Errorf("%+v", c)
	}
	for name, bad := range map[string]struct {
		file string
		env  map[string]string
		want string
	}{
		"UnknownKey":      {file: file(`{"datta":"x"}`), want: "datta"},
		"UnknownVariable": {env: map[string]string{"ESTATE_EDGE_LISTNE": ":1"}, want: "ESTATE_EDGE_LISTNE"},
		"TwoValues":       {file: file(`{} {}`), want: "more than one"},
		"Level":           {env: map[string]string{"ESTATE_EDGE_LOG_LEVEL": "loud"}, want: "loud"},
		"NoFile":          {file: "/does/not/exist", want: "no such file"},
	} {
		if _, err := edge.LoadConfig(bad.file, bad.env); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := (edge.Config{}).WithDefaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, c := range map[string]edge.Config{
		"listen":                 {Listen: "8090"},
		"mqtt_listen":            {MQTTListen: "1883"},
		"broker_url":             {BrokerURL: "http://x"},
		"broker_username":        {BrokerUsername: "x"},
		"cloud_url":              {CloudURL: "cloud"},
		"media_bytes_per_second": {MediaBytesPerSecond: 1},
		"memory_bytes":           {MemoryBytes: 1 << 20},
		"discovery_prefixes":     {DiscoveryPrefixes: []string{"ha", "estate/x"}},
		"trusted_proxies":        {TrustedProxies: []string{"10.0.0.1"}},
	} {
		if err := c.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
