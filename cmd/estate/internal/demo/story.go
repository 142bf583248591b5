package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"estate/cmd/estate/internal/gateway"
	"estate/internal/apiclient"
	"estate/internal/lab/stack"
	"estate/sync/record"
)

// stepTimeout bounds one step of the story, a restart included.
const stepTimeout = 60 * time.Second

// tale is the story as far as it has been told.
type tale struct {
	out   io.Writer
	began time.Time
	// publisher is the program that speaks for the sensors; empty for this one.
	publisher string
	step      int

	stack   *stack.Stack
	cloud   *stack.Cloud
	edge    *stack.Edge
	gateway *gateway.Gateway
	id      record.ID // of the building
	ticket  record.ID
	photo   []byte
	photoID record.ID
	digest  string

	atCloud map[string]*apiclient.Client // by person
	atEdge  map[string]*apiclient.Client
	seen    *witness
}

// tell plays the story with real processes in a folder of its own.
func tell(ctx context.Context, out io.Writer, keep bool, publisher string) (err error) {
	binaries, err := programs()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/var/tmp", "estate-story-*")
	if err != nil {
		return fmt.Errorf("make a folder for the story: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // PostgreSQL's account passes through
		return fmt.Errorf("let PostgreSQL's account into the story's folder: %w", err)
	}
	t := &tale{out: out, began: time.Now(), publisher: publisher, atCloud: map[string]*apiclient.Client{}, atEdge: map[string]*apiclient.Client{}}
	t.say("The story of a leaking pipe in a cut-off building, with real processes in %s", dir)
	defer func() {
		if err == nil && !keep {
			err = os.RemoveAll(dir)
		} else {
			t.say("the folder stays for a look: %s (logs in %s)", dir, filepath.Join(dir, "log"))
		}
	}()
	if t.stack, err = stack.Open(ctx, stack.Options{Dir: dir, Binaries: binaries, FullDurability: true}); err != nil {
		return err
	}
	telling, end := context.WithCancel(ctx)
	err = t.tellAll(telling)
	end()
	if t.gateway != nil {
		t.gateway.Close()
	}
	err = errors.Join(err, t.stack.Stop())
	if err == nil {
		t.say("\nThe story is true: %d steps in %.1f s.", t.step, time.Since(t.began).Seconds())
	}
	return err
}

// tellAll goes through the steps and stops at the first that does not hold.
func (t *tale) tellAll(ctx context.Context) error {
	steps := []struct {
		title string
		play  func(context.Context) error
	}{
		{"One cloud and one building with its own edge, in step", t.begin},
		{"The building loses its internet", t.cut},
		{"A leak sensor fires", t.leak},
		{"The tenant signs in at the edge and reports the same leak, with a photo", t.report},
		{"The edge loses power and starts again, still without internet", t.powerCut},
		{"The link is back for a moment: the cloud learns of the ticket", t.glimpse},
		{"Cut off again: technician and manager change the same priority at the same moment", t.diverge},
		{"The link returns: both sides hold the same ticket", t.converge},
		{"The priority is a conflict that everyone can see", t.conflict},
		{"The photo is whole at the cloud", t.whole},
		{"One tap resolves the conflict", t.resolve},
		{"The audit chain verifies, from the sensor to the dashboard", t.audit},
		{"The dashboard at the cloud saw it happen", t.dashboard},
	}
	for _, step := range steps {
		t.step++
		t.say("\n%d. %s", t.step, step.title)
		playing, cancel := context.WithTimeout(ctx, stepTimeout)
		err := step.play(playing)
		cancel()
		if err != nil {
			t.say("   ✗ %v", err)
			return fmt.Errorf("step %d (%s): %w", t.step, strings.ToLower(step.title), err)
		}
	}
	return nil
}

func (t *tale) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// holds prints a fact that was verified.
func (t *tale) holds(format string, args ...any) {
	fmt.Fprintf(t.out, "   ✓ %s\n", fmt.Sprintf(format, args...))
}

// until polls a condition; the last reason why it did not hold is in the error.
func until(ctx context.Context, what string, check func() error) error {
	var last error
	err := stack.PollEvery(ctx, pollEvery, what, func() (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}

// pollEvery is far below what a person notices and costs a server nothing.
const pollEvery = 50 * time.Millisecond

// witness keeps what the cloud's WebSocket pushed.
type witness struct {
	mu     sync.Mutex
	events []apiclient.Event
	done   chan struct{}
}

func newWitness(ctx context.Context, building record.ID, client *apiclient.Client) *witness {
	w := &witness{done: make(chan struct{})}
	events := apiclient.Follow(ctx, building, client)
	go func() {
		defer close(w.done)
		for event := range events {
			w.mu.Lock()
			w.events = append(w.events, event)
			w.mu.Unlock()
		}
	}()
	return w
}

// saw reports whether an event matches.
func (w *witness) saw(match func(apiclient.Event) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, match)
}
