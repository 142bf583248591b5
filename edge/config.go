// Package edge is the box of one building: it does everything for its building without
// internet, restarts included, and keeps in step with the cloud whenever it can.
//
// It must never need the cloud to answer a person or a sensor, and never serve another
// building than the one it was enrolled for.
package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"estate/edge/internal/broker"
	"estate/edge/internal/cloudlink"
	"estate/internal/settings"
)

// EnvPrefix begins every environment variable of the configuration.
const EnvPrefix = "ESTATE_EDGE_"

// Defaults: all addresses of the box, so that phones and sensors in the building reach it.
const (
	defaultListen     = "0.0.0.0:8090"
	defaultMQTTListen = "0.0.0.0:1883"
	defaultData       = "estate-edge-data"
	// defaultTime lets a device that wakes up for a minute hear the time; more often than each
	// second would only wake devices, and less often than each ten minutes is no help to them.
	defaultTime = 30
	timeMax     = 600
	// rateMin is what makes a photo arrive at all, in bytes per second.
	rateMin = 4 << 10
	// defaultMemory lets pages of a backlog and a dozen requests live at once. Pages of the cloud's
	// that wait to be written are 30 MB with all else: with a bound of 38 MB a box that received a
	// building collected some forty times a second. With 33 MB of code and 10 MB of the databases'
	// pages, a box takes less than 92 MB.
	defaultMemory = 42 << 20
	// defaultReadings holds what 200 sensors say every half minute for three months, and their
	// hours for decades.
	defaultReadings = 2 << 30
	readingsMin     = 16 << 20
	// memoryMin is what the program takes at rest: below, it would do nothing but collect.
	memoryMin = 24 << 20
)

// Config is the edge's configuration: file, environment (ESTATE_EDGE_*) and flags, in
// rising precedence. Unknown keys are refused.
type Config struct {
	// Data is the folder of everything that the box keeps.
	Data string `env:"DATA" json:"data"`
	// Listen is the address of the API, host:port; port 0 picks a free one.
	Listen string `env:"LISTEN" json:"listen"`
	// MQTTListen is the address of the embedded broker.
	MQTTListen string `env:"MQTT_LISTEN" json:"mqtt_listen"`
	// MQTTTLSListen is the address of the embedded broker for devices that speak TLS; port 8883
	// beside the usual MQTT port where it is left out, and "off" for none.
	MQTTTLSListen string `env:"MQTT_TLS_LISTEN" json:"mqtt_tls_listen"`
	// MQTTCertificate and MQTTKey are files with the broker's certificate and its key; without
	// them the box makes an authority of its own, in mqtt-ca.pem.
	MQTTCertificate string `env:"MQTT_CERTIFICATE" json:"mqtt_certificate"`
	MQTTKey         string `env:"MQTT_KEY" json:"mqtt_key"`
	// MQTTTimeSeconds is how often the building's time is told to devices without a clock.
	MQTTTimeSeconds int `env:"MQTT_TIME_SECONDS" json:"mqtt_time_seconds"`
	// BrokerURL names an external broker instead of the embedded one: tcp://, ssl://, ws://
	// or wss://host:port. Durability and topic rights are then that broker's matter.
	BrokerURL      string `env:"BROKER_URL" json:"broker_url"`
	BrokerUsername string `env:"BROKER_USERNAME" json:"broker_username"`
	// BrokerPasswordFile holds the password for the external broker.
	BrokerPasswordFile string `env:"BROKER_PASSWORD_FILE" json:"broker_password_file"`
	// GatewayBases are the base topics of Zigbee2MQTT gateways, besides those with a login.
	GatewayBases []string `env:"GATEWAY_BASES" json:"gateway_bases"`
	// DiscoveryPrefixes are where devices announce themselves in Home Assistant's form;
	// "homeassistant" where empty. The box announces itself under the first.
	DiscoveryPrefixes []string `env:"DISCOVERY_PREFIXES" json:"discovery_prefixes"`
	// CloudURL replaces the cloud's address that the enrolment noted.
	CloudURL string `env:"CLOUD_URL" json:"cloud_url"`
	// MediaBytesPerSecond bounds what photos take of the line to the cloud, both ways
	// together; 0 is no bound. Text never waits for it.
	MediaBytesPerSecond int `env:"MEDIA_BYTES_PER_SECOND" json:"media_bytes_per_second"`
	// ReadingsBytesMax is how large the file of what devices measured may grow: the oldest
	// goes first, what was measured around alarms stays.
	ReadingsBytesMax int64 `env:"READINGS_BYTES_MAX" json:"readings_bytes_max"`
	// MemoryBytes is a soft bound for the program's own memory, without the database's caches
	// and its code: the collector works more where it comes near.
	MemoryBytes int64 `env:"MEMORY_BYTES" json:"memory_bytes"`
	// MetricsListen is the address of /metrics, for the operator's machines; empty serves
	// none.
	MetricsListen string `env:"METRICS_LISTEN" json:"metrics_listen"`
	// TrustedProxies are the networks whose X-Forwarded-For counts.
	TrustedProxies []string `env:"TRUSTED_PROXIES" json:"trusted_proxies"`
	// AllowedOrigins are the web origins other than its own that may call the API.
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" json:"allowed_origins"`
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" json:"log_level"`

	// Version is the build's, for the log and the API document.
	Version string       `env:"-" json:"-"`
	Log     *slog.Logger `env:"-" json:"-"`
}

// LoadConfig reads a file (none where the path is empty) and the environment over it.
func LoadConfig(path string, environment map[string]string) (Config, error) {
	var c Config
	err := settings.Load(&c, path, EnvPrefix, environment)
	return c, err
}

// WithDefaults fills what was left out.
func (c Config) WithDefaults() Config {
	if c.Data == "" {
		c.Data = defaultData
	}
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.MQTTListen == "" {
		c.MQTTListen = defaultMQTTListen
	}
	if host, port, err := net.SplitHostPort(c.MQTTListen); c.MQTTTLSListen == "" && err == nil && port == "1883" {
		c.MQTTTLSListen = net.JoinHostPort(host, "8883")
	}
	if c.MQTTTLSListen == "off" {
		c.MQTTTLSListen = ""
	}
	if len(c.DiscoveryPrefixes) == 0 {
		c.DiscoveryPrefixes = []string{broker.DiscoveryPrefix}
	}
	if c.MQTTTimeSeconds == 0 {
		c.MQTTTimeSeconds = defaultTime
	}
	if c.ReadingsBytesMax == 0 {
		c.ReadingsBytesMax = defaultReadings
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemory
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate says what is missing or wrong, all of it at once.
func (c Config) Validate() error {
	var errs []error
	say := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		say("data is empty: give the folder of everything that the box keeps")
	}
	for name, address := range map[string]string{"listen": c.Listen, "mqtt_listen": c.MQTTListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			say("%s: %q is not host:port", name, address)
		}
	}
	if c.MQTTTLSListen != "" {
		if _, _, err := net.SplitHostPort(c.MQTTTLSListen); err != nil {
			say("mqtt_tls_listen: %q is neither host:port nor off", c.MQTTTLSListen)
		}
	}
	if (c.MQTTCertificate == "") != (c.MQTTKey == "") {
		say("mqtt_certificate and mqtt_key go together")
	}
	if c.MQTTTimeSeconds < 1 || c.MQTTTimeSeconds > timeMax {
		say("mqtt_time_seconds must be 1 to %d", timeMax)
	}
	for _, prefix := range c.DiscoveryPrefixes {
		if !broker.ValidPrefix(prefix) {
			say("discovery_prefixes: %q: levels of letters, digits, '-' and '_', at most 64 each, and not under estate, tasmota or a firmware's own", prefix)
		}
	}
	if c.BrokerURL != "" {
		u, err := url.Parse(c.BrokerURL)
		if err != nil || u.Host == "" || u.User != nil || !strings.Contains(" tcp ssl ws wss ", " "+u.Scheme+" ") {
			say("broker_url must be tcp://, ssl://, ws:// or wss://host:port, without a password in it")
		}
	} else if c.BrokerUsername != "" || c.BrokerPasswordFile != "" {
		say("broker_username and broker_password_file are for an external broker: give broker_url")
	}
	if c.CloudURL != "" {
		if _, err := cloudlink.CleanURL(c.CloudURL); err != nil {
			say("cloud_url: %q is not an address such as https://cloud.example", c.CloudURL)
		}
	}
	if c.MediaBytesPerSecond != 0 && c.MediaBytesPerSecond < rateMin {
		say("media_bytes_per_second must be 0 (no bound) or at least %d", rateMin)
	}
	if c.ReadingsBytesMax < readingsMin {
		say("readings_bytes_max must be at least %d", readingsMin)
	}
	if c.MemoryBytes < memoryMin {
		say("memory_bytes must be at least %d", memoryMin)
	}
	if _, err := c.proxies(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, p := range c.TrustedProxies {
		network, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is not a network such as 10.0.0.0/8", p)
		}
		out = append(out, network)
	}
	return out, nil
}
