// Command estate-edge is the box of one building. It reads flags and configuration, and
// leaves everything else to package edge.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"estate/edge"
	"estate/internal/obs"
	"estate/internal/problem"
	"estate/internal/settings"
)

// version is set by the build.
var version = "dev"

const usage = `estate-edge runs the box of one building.

  estate-edge [run] [flags]                        serve until a signal ends it
  estate-edge enrol --code CODE --cloud URL        make this box a building's, once
  estate-edge device add NAME [--role ROLE] [--base TOPIC] [--mac ADDRESS] [--person EMAIL]
                                                   make an MQTT login; its secret is printed once. ROLE is
                                                   device, zigbee2mqtt, esphome, tasmota, shelly, technician
                                                   or home_assistant
  estate-edge device remove NAME                   take it away; its connection ends at once
  estate-edge device logins                        list the logins, without their secrets
  estate-edge broker files --dir FOLDER [--mosquitto-listen HOST:PORT] [--user ACCOUNT]
                                                   write password file, access rights and configuration for a
                                                   mosquitto in place of the box's own broker
  estate-edge backup FILE                          write all that the box keeps into a file, while it runs
  estate-edge restore FILE [--replace]             put a backup in place of the data folder; the box must not run
  estate-edge version

Flags of each: --config FILE, --data FOLDER. Of run: --listen, --mqtt-listen, --broker-url,
--cloud-url, --log-level. Every setting can be given as ` + edge.EnvPrefix + `NAME too.
`

// The exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// garbagePercent is how much garbage may gather, in parts of what is in use. A box uses some
// eight megabytes, which would be collected anew for each hundred requests. More would take
// a box beyond 100 MB when it sends a long backlog: with 400 it had 104 at the peak. The
// limit of memory holds whatever this says: close to it the collector runs earlier.
const garbagePercent = 150

// errUsage says that the command line is wrong; what is wrong was printed.
var errUsage = errors.New("usage")

func main() {
	runtime.MemProfileRate = 0 // nobody asks a box for it, and what it notes takes 1.5 MB
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], settings.Environment(os.Environ()), os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(exitUsage)
	case err != nil:
		fmt.Fprintln(os.Stderr, "estate-edge:", forPeople(err))
		os.Exit(exitFailed)
	}
}

// forPeople is an error with what can be done about it, where that is known.
func forPeople(err error) string {
	var p *problem.Problem
	if !errors.As(err, &p) || p.Code == problem.Internal {
		return err.Error()
	}
	text := strings.TrimSuffix(p.Message(), ".")
	var cause *problem.Problem
	if p.Err != nil && !errors.As(p.Err, &cause) {
		text += " (" + p.Err.Error() + ")"
	}
	return text + ". " + p.Remedy()
}

func run(ctx context.Context, args []string, environment map[string]string, out, errs io.Writer) error {
	command := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	p := program{environment: environment, out: out, errs: errs}
	switch command {
	case "run":
		return p.run(ctx, args)
	case "enrol":
		return p.enrol(ctx, args)
	case "device":
		return p.device(ctx, args)
	case "measure":
		return p.measure(ctx, args)
	case "broker":
		return p.broker(ctx, args)
	case "backup":
		return p.backup(ctx, args)
	case "restore":
		return p.restore(ctx, args)
	case "version":
		fmt.Fprintln(out, version)
		return nil
	case "help":
		fmt.Fprint(out, usage)
		return nil
	}
	fmt.Fprintf(errs, "estate-edge: there is no command %q\n\n%s", command, usage)
	return errUsage
}

type program struct {
	environment map[string]string
	out, errs   io.Writer
}

// parse reads flags, with those that every command has, and the configuration below them.
// Words among the flags are left in the result's second part.
func (p program) parse(name string, args []string, more func(*flag.FlagSet, *edge.Config)) (edge.Config, func() time.Time, []string, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(p.errs)
	flags.Usage = func() { fmt.Fprint(p.errs, usage) }
	var given edge.Config
	config := flags.String("config", p.environment["ESTATE_EDGE_CONFIG"], "JSON file of settings")
	flags.StringVar(&given.Data, "data", "", "folder of everything that the box keeps")
	more(flags, &given)
	var words []string
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			return given, nil, nil, errUsage
		}
		if flags.NArg() == 0 {
			break
		}
		words, rest = append(words, flags.Arg(0)), flags.Args()[1:]
	}
	environment := map[string]string{}
	for k, v := range p.environment {
		if k != "ESTATE_EDGE_CONFIG" {
			environment[k] = v
		}
	}
	cfg, err := edge.LoadConfig(*config, environment)
	if err != nil {
		return cfg, nil, nil, err
	}
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "data":
			cfg.Data = given.Data
		case "listen":
			cfg.Listen = given.Listen
		case "mqtt-listen":
			cfg.MQTTListen = given.MQTTListen
		case "broker-url":
			cfg.BrokerURL = given.BrokerURL
		case "cloud-url":
			cfg.CloudURL = given.CloudURL
		case "log-level":
			cfg.LogLevel = given.LogLevel
		}
	})
	cfg.Version, cfg.Log = version, obs.NewLog(p.errs, cfg.LogLevel)
	now, err := settings.Clock(p.environment)
	return cfg, now, words, err
}

func (p program) run(ctx context.Context, args []string) error {
	cfg, now, words, err := p.parse("run", args, func(f *flag.FlagSet, c *edge.Config) {
		f.StringVar(&c.Listen, "listen", "", "address of the API")
		f.StringVar(&c.MQTTListen, "mqtt-listen", "", "address of the MQTT broker")
		f.StringVar(&c.BrokerURL, "broker-url", "", "an external broker instead")
		f.StringVar(&c.CloudURL, "cloud-url", "", "the cloud's address, where it moved")
		f.TextVar(&c.LogLevel, "log-level", &c.LogLevel, "debug, info, warn or error")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return p.wrong("run takes no %q", words[0])
	}
	e, err := edge.New(ctx, cfg, now)
	if err != nil {
		return err
	}
	p.bound(cfg)
	return e.Run(ctx)
}

// bound tells the collector how much memory there is.
func (p program) bound(cfg edge.Config) {
	if p.environment["GOMEMLIMIT"] == "" { // the runtime has read that one
		debug.SetMemoryLimit(cfg.WithDefaults().MemoryBytes)
		if p.environment["GOGC"] == "" {
			debug.SetGCPercent(garbagePercent)
		}
	}
}

func (p program) enrol(ctx context.Context, args []string) error {
	var in edge.EnrolInput
	cfg, now, words, err := p.parse("enrol", args, func(f *flag.FlagSet, _ *edge.Config) {
		f.StringVar(&in.Code, "code", "", "the one-time code")
		f.StringVar(&in.Cloud, "cloud", "", "the cloud's address")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 || in.Code == "" || in.Cloud == "" {
		return p.wrong("enrol needs --code and --cloud, and nothing else")
	}
	got, err := edge.EnrolAt(ctx, cfg, now, in)
	if err != nil {
		return err
	}
	return p.print(got)
}

func (p program) device(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "remove" {
		return p.removeDevice(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "logins" {
		return p.logins(ctx, args[1:])
	}
	if len(args) == 0 || args[0] != "add" {
		return p.wrong("device knows add, remove and logins; what they say: estate device list, adopt, test")
	}
	var in edge.LoginInput
	cfg, now, words, err := p.parse("device add", args[1:], func(f *flag.FlagSet, _ *edge.Config) {
		f.StringVar(&in.Role, "role", "", "what it is: device, zigbee2mqtt, esphome, tasmota, shelly, technician or home_assistant")
		f.BoolFunc("gateway", "the same as --role zigbee2mqtt", func(string) error { in.Role = "zigbee2mqtt"; return nil })
		f.StringVar(&in.Base, "base", "", "the base topic of a gateway or a firmware")
		f.StringVar(&in.MAC, "mac", "", "a Tasmota's hardware address, so that it can announce itself")
		f.StringVar(&in.Person, "person", "", "whose device it is: a technician's email")
	})
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return p.wrong("device add needs one name")
	}
	in.Name = words[0]
	got, err := edge.AddLoginAt(ctx, cfg, now, in)
	if err != nil {
		return err
	}
	return p.print(got)
}

func (p program) removeDevice(ctx context.Context, args []string) error {
	cfg, now, words, err := p.parse("device remove", args, func(*flag.FlagSet, *edge.Config) {})
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return p.wrong("device remove needs one name")
	}
	got, err := edge.RemoveLoginAt(ctx, cfg, now, edge.LoginName{Name: words[0]})
	if err != nil {
		return err
	}
	return p.print(got)
}

func (p program) logins(ctx context.Context, args []string) error {
	cfg, now, words, err := p.parse("device logins", args, func(*flag.FlagSet, *edge.Config) {})
	if err != nil {
		return err
	}
	if len(words) > 0 {
		return p.wrong("device logins takes no %q", words[0])
	}
	got, err := edge.ListLoginsAt(ctx, cfg, now)
	if err != nil {
		return err
	}
	return p.print(got)
}

// mosquittoListen is where mosquitto listens by itself; the usual port of MQTT.
const mosquittoListen = "0.0.0.0:1883"

func (p program) broker(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "files" {
		return p.wrong("broker knows files")
	}
	in := edge.BrokerFilesInput{Listen: mosquittoListen}
	cfg, now, words, err := p.parse("broker files", args[1:], func(f *flag.FlagSet, _ *edge.Config) {
		f.StringVar(&in.Dir, "dir", "", "the folder to write to")
		f.StringVar(&in.Listen, "mosquitto-listen", in.Listen, "where mosquitto is to listen")
		f.StringVar(&in.User, "user", "", "the account that mosquitto runs as, which gets the files; mosquitto where it starts as root")
	})
	if err != nil {
		return err
	}
	if len(words) > 0 || in.Dir == "" {
		return p.wrong("broker files needs --dir, and nothing else")
	}
	got, err := edge.BrokerFilesAt(ctx, cfg, now, in)
	if err != nil {
		return err
	}
	return p.print(got)
}

func (p program) wrong(format string, args ...any) error {
	fmt.Fprintf(p.errs, "estate-edge: "+format+"\n\n%s", append(args, usage)...)
	return errUsage
}

func (p program) print(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
