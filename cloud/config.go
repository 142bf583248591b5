package cloud

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"time"

	"estate/internal/settings"
)

// Config is the cloud's configuration: file, environment (ESTATE_CLOUD_*) and flags, in
// rising precedence. Unknown keys are refused by whoever reads them.
type Config struct {
	// Listen is the address of the API, host:port.
	Listen string `env:"LISTEN" json:"listen"`
	// DatabaseURL names the PostgreSQL database that all processes share.
	DatabaseURL string `env:"DATABASE_URL" json:"database_url"`
	// Data is the folder of blobs and unfinished uploads. Processes on several machines
	// need it on shared storage.
	Data string `env:"DATA" json:"data"`
	// BootstrapAdminEmail and the password in BootstrapAdminPasswordFile make the first
	// administrator where no account exists.
	BootstrapAdminEmail        string `env:"BOOTSTRAP_ADMIN_EMAIL" json:"bootstrap_admin_email"`
	BootstrapAdminPasswordFile string `env:"BOOTSTRAP_ADMIN_PASSWORD_FILE" json:"bootstrap_admin_password_file"`
	// MetricsListen is the address of /metrics, for the operator's machines; empty serves
	// none.
	MetricsListen string `env:"METRICS_LISTEN" json:"metrics_listen"`
	// TrustedProxies are the networks whose X-Forwarded-For counts.
	TrustedProxies []string `env:"TRUSTED_PROXIES" json:"trusted_proxies"`
	// AllowedOrigins are the web origins other than its own that may call the API.
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" json:"allowed_origins"`
	// DatabaseConnectionsMax bounds the pool of this process.
	DatabaseConnectionsMax int32 `env:"DATABASE_CONNECTIONS_MAX" json:"database_connections_max"`
	// ReadingsDays is how long what devices measured is kept here.
	ReadingsDays int `env:"READINGS_DAYS" json:"readings_days"`
	// BoxSilentMinutes is for how long a box may be out of touch before there is an alarm and a
	// ticket; -1 for none.
	BoxSilentMinutes int `env:"BOX_SILENT_MINUTES" json:"box_silent_minutes"`
	// ShutdownMax is how long open requests may take to end.
	ShutdownMax time.Duration `env:"SHUTDOWN_MAX" json:"-"`
	// LogLevel is debug, info, warn or error.
	LogLevel slog.Level `env:"LOG_LEVEL" json:"log_level"`

	// Version is the build's, for the log and the health page.
	Version string       `env:"-" json:"-"`
	Log     *slog.Logger `env:"-" json:"-"`
	// Now is settings.Clock's; the system's where it is left out.
	Now func() time.Time `env:"-" json:"-"`
	// RecheckEdges is how often a line is looked at whether its edge was revoked, should no
	// process have said so; the link's own where it is left out.
	RecheckEdges time.Duration `env:"-" json:"-"`
}

// Defaults that suit one process on a small machine.
const (
	defaultListen      = "127.0.0.1:8080"
	defaultConnections = 16
	defaultShutdown    = 10 * time.Second
	// defaultReadingsDays shows three winters beside each other.
	defaultReadingsDays = 3 * 366
	// defaultBoxSilent lets a box update itself, and a router start anew.
	defaultBoxSilent = 15
	boxSilentMax     = 31 * 24 * 60
)

// WithDefaults fills what was left out.
func (c Config) WithDefaults() Config {
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.DatabaseConnectionsMax == 0 {
		c.DatabaseConnectionsMax = defaultConnections
	}
	if c.ReadingsDays == 0 {
		c.ReadingsDays = defaultReadingsDays
	}
	if c.BoxSilentMinutes == 0 {
		c.BoxSilentMinutes = defaultBoxSilent
	}
	if c.ShutdownMax == 0 {
		c.ShutdownMax = defaultShutdown
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate says what is missing or wrong, all of it at once.
func (c Config) Validate() error {
	var errs []error
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("database_url is empty: give the PostgreSQL database that all cloud processes share"))
	} else if _, err := url.Parse(c.DatabaseURL); err != nil {
		errs = append(errs, errors.New("database_url is not a URL"))
	}
	if c.Data == "" {
		errs = append(errs, errors.New("data is empty: give the folder for photos and uploads"))
	}
	for _, p := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			errs = append(errs, fmt.Errorf("trusted_proxies: %q is not a network such as 10.0.0.0/8", p))
		}
	}
	if (c.BootstrapAdminEmail == "") != (c.BootstrapAdminPasswordFile == "") {
		errs = append(errs, errors.New("bootstrap_admin_email and bootstrap_admin_password_file go together"))
	}
	if c.DatabaseConnectionsMax < 4 {
		errs = append(errs, errors.New("database_connections_max must be at least 4: one listens, others write and read"))
	}
	if c.ReadingsDays < 1 {
		errs = append(errs, errors.New("readings_days must be at least 1"))
	}
	if c.BoxSilentMinutes < -1 || c.BoxSilentMinutes > boxSilentMax {
		errs = append(errs, fmt.Errorf("box_silent_minutes must be 1 to %d, or -1 for no alarm", boxSilentMax))
	}
	return errors.Join(errs...)
}

// EnvPrefix begins every environment variable of the configuration.
const EnvPrefix = "ESTATE_CLOUD_"

// LoadConfig reads a file (none where the path is empty) and the environment over it.
func LoadConfig(path string, environment map[string]string) (Config, error) {
	var c Config
	err := settings.Load(&c, path, EnvPrefix, environment)
	return c, err
}
