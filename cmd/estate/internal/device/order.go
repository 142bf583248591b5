package device

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"estate/cmd/estate/internal/signin"
	"estate/cmd/estate/internal/term"
	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/sync/record"
)

const (
	// askEvery is how often it is looked whether the device answered.
	askEvery = 300 * time.Millisecond
	// answerMax is how long the answer is awaited: the order's time, the device's, and the way.
	answerMax = desk.ActionLife + desk.AnswerWait + 10*time.Second
)

// errNotConfirmed says that the person did not say yes.
var errNotConfirmed = errors.New("not confirmed: nothing was ordered")

func order() *cobra.Command {
	var t signin.Target
	var yes bool
	cmd := &cobra.Command{
		Use: "order DEVICE [CONTROL VALUE]", Short: "Tell a device what to do, and wait for its answer", Args: cobra.MatchAll(cobra.RangeArgs(1, 3), both),
		Long: "Shows the device's state, how old it is and what is dangerous, asks, gives the order and waits until the device says that it is done. Without CONTROL and VALUE it lists what the device can be told.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, building, err := t.Open(ctx)
			if err != nil {
				return err
			}
			d, err := find(ctx, client, building, args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return controls(ctx, cmd.OutOrStdout(), client, building, d)
			}
			plan, err := client.PlanAction(ctx, building, d.ID, args[1], args[2])
			if err != nil {
				return fmt.Errorf("plan the order: %w", err)
			}
			show(cmd.OutOrStdout(), plan)
			if (!yes || len(plan.Dangers) > 0) && !confirmed(cmd) {
				return errNotConfirmed
			}
			a, err := client.OrderAction(ctx, building, d.ID, plan.Token)
			if err != nil {
				return fmt.Errorf("give the order: %w", err)
			}
			return awaitEnd(ctx, cmd.OutOrStdout(), client, building, a)
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask, unless it is dangerous")
	return cmd
}

// both wants a control with a value, or neither.
func both(_ *cobra.Command, args []string) error {
	if len(args) == 2 {
		return errors.New("say which state is wanted: order DEVICE CONTROL VALUE")
	}
	return nil
}

func controls(ctx context.Context, w io.Writer, client *apiclient.Client, building record.ID, d desk.Device) error {
	list, err := client.Controls(ctx, building, d.ID)
	if err != nil {
		return fmt.Errorf("list what it can be told: %w", err)
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "It can be told nothing, as far as it said.")
	}
	for _, c := range list {
		takes := strings.Join(c.Values, " or ")
		if c.Min != nil && c.Max != nil {
			takes = fmt.Sprintf("%g to %g", *c.Min, *c.Max)
		}
		fmt.Fprintf(w, "%s is %s; takes %s", term.Clean(c.Control), term.Clean(c.State), term.Clean(takes))
		if c.Refused != nil {
			fmt.Fprintf(w, ", but not now: %s", term.Clean(c.Refused.Message))
		}
		fmt.Fprintln(w)
	}
	return nil
}

func show(w io.Writer, p desk.ActionPlan) {
	where := ""
	if p.UnitName != "" {
		where = " in " + p.UnitName
	}
	fmt.Fprintf(w, "%s%s: %s is %s, as of %s ago; it shall be %s.\n", term.Clean(p.DeviceName), term.Clean(where), term.Clean(p.Control), term.Clean(p.State),
		time.Duration(p.AgeSeconds)*time.Second, term.Clean(p.Value))
	for _, d := range p.Dangers {
		fmt.Fprintf(w, "DANGER: %s.\n", term.Clean(d.Message))
	}
}

func confirmed(cmd *cobra.Command) bool {
	fmt.Fprint(cmd.OutOrStdout(), "Do it? Type yes: ")
	line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 100)).ReadString('\n')
	return (err == nil || errors.Is(err, io.EOF)) && strings.TrimSpace(line) == "yes"
}

// awaitEnd shows the steps of an order until its end.
func awaitEnd(ctx context.Context, w io.Writer, client *apiclient.Client, building record.ID, a desk.Action) error {
	ctx, cancel := context.WithTimeout(ctx, answerMax)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for shown := ""; ; {
		if a.State != shown {
			shown = a.State
			fmt.Fprintln(w, shown)
		}
		if a.Over() {
			return ended(w, a)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no news of the order %s: %w", a.ID, ctx.Err())
		case <-tick.C:
		}
		next, err := client.Action(ctx, building, a.Device, a.ID)
		if err != nil {
			return fmt.Errorf("look after the order %s: %w", a.ID, err)
		}
		a = next
	}
}

func ended(w io.Writer, a desk.Action) error {
	if a.Answer != "" {
		fmt.Fprintf(w, "The device says: %s\n", term.Clean(a.Answer))
	}
	if a.State == "answered" {
		return nil
	}
	if a.Reason == nil {
		return fmt.Errorf("the order %s", a.State)
	}
	return fmt.Errorf("the order %s: %s (%s). %s", a.State, a.Reason.Message, a.Reason.Code, a.Reason.Remedy)
}
