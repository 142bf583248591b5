// Command estate-cloud runs one process of the cloud.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"estate/cloud"
	"estate/internal/settings"
)

// version is set by the build.
var version = "dev"

const usage = `estate-cloud runs one process of the cloud.

  estate-cloud [flags]                 serve until a signal ends it
  estate-cloud backup FILE [flags]     write the database and the photos into a file, while it runs
  estate-cloud restore FILE [flags]    put a backup into an empty database and the data folder

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "estate-cloud:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args, environ []string, out io.Writer) error {
	environment := settings.Environment(environ)
	if len(args) > 0 && (args[0] == "backup" || args[0] == "restore") {
		return archive(ctx, args[0], args[1:], environment, os.Stdout, out)
	}
	cfg, err := configure(args, environment, out)
	if err != nil {
		return err
	}
	if cfg.Now, err = settings.Clock(environment); err != nil {
		return err
	}
	cfg.Version = version
	cfg.Log = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: cfg.LogLevel}))
	c, err := cloud.New(ctx, cfg)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// configure reads file, environment and flags, in rising precedence.
func configure(args []string, environment map[string]string, out io.Writer) (cloud.Config, error) {
	flags := flag.NewFlagSet("estate-cloud", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprint(out, usage)
		flags.PrintDefaults()
	}
	file := flags.String("config", "", "configuration file (JSON)")
	listen := flags.String("listen", "", "address of the API, host:port")
	database := flags.String("database-url", "", "PostgreSQL database that all processes share")
	data := flags.String("data", "", "folder for photos and uploads")
	email := flags.String("bootstrap-admin-email", "", "address of the first administrator, made where there is no account")
	password := flags.String("bootstrap-admin-password-file", "", "file with the first administrator's password")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return cloud.Config{}, err
	}
	if flags.NArg() > 0 {
		return cloud.Config{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *show {
		fmt.Fprintln(out, "estate-cloud", version)
		return cloud.Config{}, flag.ErrHelp
	}
	cfg, err := cloud.LoadConfig(*file, environment)
	for _, f := range []struct {
		to   *string
		from string
	}{{&cfg.Listen, *listen}, {&cfg.DatabaseURL, *database}, {&cfg.Data, *data}, {&cfg.BootstrapAdminEmail, *email}, {&cfg.BootstrapAdminPasswordFile, *password}} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return cfg, err
}
