// Package demo runs a whole estate on this machine for somebody to look at, and tells the
// project's story with it.
//
// It must never listen on anything but loopback, nor touch a folder, database or process
// that is not its own.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/gateway"
	"estate/internal/lab/stack"
)

// databaseVariable names an empty database to use in place of a private cluster.
const databaseVariable = "DATABASE_URL"

// Command is `estate demo`.
func Command() *cobra.Command {
	var story, keep bool
	var publisher string
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a whole estate on this machine", Args: cobra.NoArgs,
		Long: "Starts a private PostgreSQL, the cloud, two edges and a simulated building, and prints addresses and sign-ins. " +
			"Data is kept in " + homeVariable + ", else in .estate/demo, for the next run. Ctrl-C stops everything.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if story {
				return tell(cmd.Context(), cmd.OutOrStdout(), keep, publisher)
			}
			return run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&story, "story", false, "play the story by itself, in a folder of its own, and check each step")
	cmd.Flags().StringVar(&publisher, "publisher", "", "with --story: the program that speaks for the sensors, such as mosquitto_pub")
	cmd.Flags().BoolVar(&keep, "keep", false, "with --story: leave its folder for a look")
	for verb, short := range map[string]string{
		verbCut:     "Cut a building off from the cloud",
		verbRestore: "Give a building its link back",
		verbLeak:    "Let a bathroom in a building leak",
		verbDry:     "Dry it again",
	} {
		cmd.AddCommand(&cobra.Command{Use: verb + " BUILDING", Short: short, Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return control(cmd, verb, args[0]) }})
	}
	return cmd
}

// The verbs that a running demo understands.
const (
	verbCut     = "cut"
	verbRestore = "restore"
	verbLeak    = "leak"
	verbDry     = "dry"
	verbStatus  = "status"
)

func control(cmd *cobra.Command, verb, building string) error {
	dir, err := chooseFolder(os.Getenv(databaseVariable) == "")
	if err != nil {
		return err
	}
	text, err := ask(cmd.Context(), dir, request{Verb: verb, Building: building})
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), text)
	return nil
}

// run runs the demo until ctx ends.
func run(ctx context.Context, out io.Writer) (err error) {
	binaries, err := programs()
	if err != nil {
		return err
	}
	dir, err := chooseFolder(os.Getenv(databaseVariable) == "")
	if err != nil {
		return err
	}
	began := time.Now()
	progress := func(line string) { fmt.Fprintf(out, "  %5.1f s  %s\n", time.Since(began).Seconds(), line) }
	progress("data folder " + dir)
	s, err := stack.Open(ctx, stack.Options{Dir: dir, Binaries: binaries, DatabaseURL: os.Getenv(databaseVariable),
		FullDurability: true, Progress: progress})
	if errors.Is(err, stack.ErrRunning) {
		return alreadyRunning(ctx, out, dir, err)
	}
	if err != nil {
		return interrupted(ctx, out, err)
	}
	defer func() {
		fmt.Fprintln(out, "stopping …")
		err = errors.Join(err, s.Stop())
		if err == nil {
			fmt.Fprintln(out, "stopped; the data stays in", dir)
		}
	}()
	return interrupted(ctx, out, play(ctx, out, s))
}

// interrupted makes a Ctrl-C during the start no failure.
func interrupted(ctx context.Context, out io.Writer, err error) error {
	if ctx.Err() == nil {
		return err
	}
	fmt.Fprintln(out) // below the ^C
	return nil
}

// alreadyRunning shows where the demo that has the folder is.
func alreadyRunning(ctx context.Context, out io.Writer, dir string, cause error) error {
	text, err := ask(ctx, dir, request{Verb: verbStatus})
	if err != nil {
		return fmt.Errorf("%w: it is starting or stopping; try again in a moment", cause)
	}
	fmt.Fprintln(out, "The demo is running already:")
	fmt.Fprintln(out, text)
	return nil
}

// play starts everything, serves the control socket and waits.
func play(ctx context.Context, out io.Writer, s *stack.Stack) error {
	buildings, err := start(ctx, s, stack.DefaultPlan(), "")
	for _, b := range buildings {
		defer b.Close()
	}
	if err != nil {
		return err
	}
	listener, err := listen(ctx, s.Dir())
	if err != nil {
		return err
	}
	living, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(listener, func(r request) (string, error) { return obey(ctx, s, buildings, r) })
	}()
	for _, b := range buildings {
		go func() {
			_ = b.Recall(living) // charts begin emptier without it
			b.Live(living)
		}()
	}
	defer func() {
		end()
		_ = listener.Close() // ends serve
		<-done
	}()
	fmt.Fprintln(out)
	fmt.Fprintln(out, table(s))
	fmt.Fprintln(out, "Ctrl-C stops everything.")
	watch(ctx, s, func(line string) { fmt.Fprintln(out, line) })
	return nil
}

// obey does what the control socket asks for.
func obey(ctx context.Context, s *stack.Stack, buildings []*gateway.Gateway, r request) (string, error) {
	if r.Verb == verbStatus {
		return table(s), nil
	}
	edge := s.Edge(r.Building)
	if edge == nil {
		return "", fmt.Errorf("no building is called %q; there are Oak and Pine", r.Building)
	}
	switch r.Verb {
	case verbCut:
		edge.Line.Cut()
		return edge.Place.Name + " is cut off from the cloud. It goes on working at " + edge.Base(), nil
	case verbRestore:
		edge.Line.Restore()
		return edge.Place.Name + " has its link back", nil
	case verbLeak, verbDry:
		return wet(ctx, edge, buildings, r.Verb == verbLeak)
	}
	return "", fmt.Errorf("the demo does not understand %q", r.Verb)
}

// wet lets the bathroom sensor of a building speak.
func wet(ctx context.Context, edge *stack.Edge, buildings []*gateway.Gateway, leaking bool) (string, error) {
	i := slices.IndexFunc(buildings, func(b *gateway.Gateway) bool { return b.Code == edge.Place.Code })
	if i < 0 {
		return "", fmt.Errorf("%s has no gateway", edge.Place.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, controlTimeout)
	defer cancel()
	if leaking {
		return "Water in the bathroom of " + edge.Place.Name + ": look at its dashboard", buildings[i].Fire(ctx, leakSensor)
	}
	sensor, err := buildings[i].Sensor(leakSensor)
	if err != nil {
		return "", err
	}
	return "The bathroom of " + edge.Place.Name + " is dry", buildings[i].State(ctx, sensor, false, true)
}
