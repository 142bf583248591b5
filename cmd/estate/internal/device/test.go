package device

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/cmd/estate/internal/term"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

// lookEvery is how often a test asks for new values.
const lookEvery = time.Second

func test() *cobra.Command {
	var t signin.Target
	var wait time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use: "test DEVICE", Short: "Show what a device says, as it comes", Args: cobra.ExactArgs(1),
		Long: "Prints each new value of a device until the time is over, and fails where there was none: press its button, open the door, wet the sensor. " +
			"Of a device that waits to be adopted it prints what it said last, and what changes; its values are not kept and its alarms do not count.",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			d, err := find(cmd.Context(), client, building, args[0])
			if err != nil {
				return err
			}
			// What people are told beside the values goes elsewhere where a program reads.
			w := watch{client: client, building: building, device: d, asJSON: asJSON, out: cmd.OutOrStdout(), beside: cmd.OutOrStdout()}
			if asJSON {
				w.beside = cmd.ErrOrStderr()
			}
			return w.run(cmd.Context(), wait)
		},
	}
	t.Add(cmd)
	cmd.Flags().DurationVar(&wait, "for", time.Minute, "how long to listen")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each value as a line of JSON")
	return cmd
}

// watch is one look at what a device says.
type watch struct {
	client      *apiclient.Client
	building    record.ID
	device      desk.Device
	asJSON      bool
	out, beside io.Writer
}

func (w watch) run(ctx context.Context, wait time.Duration) error {
	d := w.device
	if !d.Adopted {
		fmt.Fprintf(w.beside, "%s (%s) is not adopted: it was heard, but its values are not kept and its alarms do not count. Adopt it: estate device adopt %q\n", term.Clean(d.Name), term.Clean(d.Hardware), d.Hardware)
	}
	if err := w.unread(ctx); err != nil {
		return err
	}
	fmt.Fprintf(w.beside, "Listening to %s (%s) for %s\n", term.Clean(d.Name), term.Clean(d.Hardware), wait)
	n, err := w.follow(ctx, wait)
	if err != nil || n > 0 {
		return err
	}
	if err := why(ctx, w.client, w.building, d, w.beside); err != nil {
		return err
	}
	return errSilent
}

// unread names what the device says and nobody understands; the cloud cannot tell.
func (w watch) unread(ctx context.Context) error {
	list, err := w.client.Entities(ctx, w.building, w.device.ID)
	if err := local(err); errors.Is(err, errCloud) && w.device.Adopted {
		return nil
	} else if err != nil {
		return fmt.Errorf("ask what it says: %w", err)
	}
	for _, e := range list {
		if e.NeedsMapping != "" {
			fmt.Fprintf(w.beside, "%s needs mapping: %s\n", term.Clean(e.Key), term.Clean(e.NeedsMapping))
		}
	}
	return nil
}

// said is one value of a device.
type said struct {
	At   time.Time `json:"at"`
	Key  string    `json:"key"`
	Text string    `json:"value"`
}

// present gives what the device said last, each value under what tells it from others. Of one that
// nobody adopted nothing is kept, so its values have the time at which they were asked for.
func (w watch) present(ctx context.Context) (map[string]said, error) {
	out := map[string]said{}
	if w.device.Adopted {
		series, err := w.client.Series(ctx, w.building, w.device.ID)
		for _, s := range series {
			if s.At != nil {
				out[s.Key+"\x00"+s.UnitOfMeasure] = said{*s.At, s.Key, value(s)}
			}
		}
		return out, err
	}
	list, err := w.client.Entities(ctx, w.building, w.device.ID)
	for _, e := range list {
		if e.Value != "" {
			out[e.Key] = said{time.Now(), e.Key, strings.TrimSpace(e.Value + " " + e.UnitOfMeasure)}
		}
	}
	return out, err
}

// follow prints each new value until the time is over, and counts them. However short the time
// is, and however slow the server, it looks before and after.
func (w watch) follow(ctx context.Context, wait time.Duration) (n int, err error) {
	seen, err := w.present(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for values: %w", err)
	}
	if !w.device.Adopted {
		if n, err = w.news(nil, seen); err != nil {
			return n, err
		}
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for last := false; !last; {
		select {
		case <-ctx.Done():
			return n, nil // somebody has seen enough
		case <-over.C:
			last = true
		case <-look.C:
		}
		now, err := w.present(ctx)
		if ctx.Err() != nil {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("ask for values: %w", err)
		}
		more, err := w.news(seen, now)
		n += more
		if err != nil {
			return n, err
		}
		maps.Copy(seen, now)
	}
	return n, nil
}

// news prints what was not there before, and counts it.
func (w watch) news(before, now map[string]said) (n int, err error) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		one, was := now[key], before[key]
		if w.device.Adopted && one.At.Equal(was.At) || !w.device.Adopted && one.Text == was.Text {
			continue
		}
		n++
		if err := w.print(one); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (w watch) print(one said) error {
	if w.asJSON {
		return json.NewEncoder(w.out).Encode(one)
	}
	_, err := fmt.Fprintf(w.out, "%s  %s = %s\n", one.At.Local().Format("15:04:05"), term.Clean(one.Key), term.Clean(one.Text))
	return err
}

// value is how a person reads a value.
func value(s desk.Series) string {
	switch {
	case s.Last == nil:
		return s.Text
	case s.Type == "bool":
		return map[bool]string{true: "yes", false: "no"}[*s.Last != 0]
	}
	return strings.TrimSpace(fmt.Sprintf("%g %s", *s.Last, s.UnitOfMeasure))
}
