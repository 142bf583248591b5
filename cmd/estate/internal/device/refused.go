package device

import (
	"context"
	"encoding/json"
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
	"estate/internal/problem"
	"estate/sync/record"
)

// errCloud says that the wrong program was asked.
var errCloud = errors.New("only the building's own box can tell: give its address with --api")

func refused() *cobra.Command {
	var t signin.Target
	var asJSON bool
	cmd := &cobra.Command{
		Use: "refused", Short: "List what devices sent and what was not taken, and what to do", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, building, err := t.Open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := client.Refusals(cmd.Context(), building)
			if err := local(err); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(list)
			}
			if len(list) == 0 {
				_, err = fmt.Fprintln(out, "Nothing was refused since the box started.")
				return err
			}
			return say(out, list)
		},
	}
	t.Add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// local turns the cloud's answer into what to do.
func local(err error) error {
	var refused *apiclient.Error
	if errors.As(err, &refused) && refused.Code == problem.NotFound {
		return errCloud
	}
	return err
}

func say(w io.Writer, list []apiclient.Refusal) error {
	for _, r := range list {
		where := term.Clean(r.Topic)
		if r.Key != "" {
			where += " " + term.Clean(r.Key)
		}
		_, err := fmt.Fprintf(w, "%s  %s  %d times  %s\n", r.LastAt.Local().Format("15:04:05"), term.Clean(r.Login), r.Count, where)
		if err == nil {
			_, err = fmt.Fprintf(w, "          %s (%s)", r.Message, r.Code)
		}
		if err == nil && r.Detail != "" {
			_, err = fmt.Fprintf(w, ": %s", term.Clean(r.Detail))
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "\n          What to do: %s\n", r.Remedy)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// blind says where devices are not heard at all; the cloud cannot tell, and says nothing.
func blind(ctx context.Context, client *apiclient.Client, building record.ID, w io.Writer) error {
	h, err := client.Hearing(ctx, building)
	if errors.Is(local(err), errCloud) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask whether devices are heard: %w", err)
	}
	switch {
	case h.BlindSince != nil:
		_, err = fmt.Fprintf(w, "Devices have not been heard since %s (%s): %s\nWhat to do: %s\n", h.BlindSince.Local().Format(time.DateTime), h.Code, term.Clean(h.Detail), h.Remedy)
	case h.Code != "":
		_, err = fmt.Fprintf(w, "Something is wrong with the broker (%s): %s\nWhat to do: %s\n", h.Code, term.Clean(h.Detail), h.Remedy)
	}
	return err
}

// why lists what of a silent device was refused.
func why(ctx context.Context, client *apiclient.Client, building record.ID, d desk.Device, w io.Writer) error {
	if err := blind(ctx, client, building, w); err != nil {
		return err
	}
	list, err := client.Refusals(ctx, building)
	if err := local(err); errors.Is(err, errCloud) {
		return nil
	} else if err != nil {
		return fmt.Errorf("ask what was refused: %w", err)
	}
	login := d.Hardware[strings.LastIndex(d.Hardware, "/")+1:]
	var its []apiclient.Refusal
	for _, r := range list {
		if r.Login == login || d.Name != "" && strings.Contains(r.Topic, d.Name) {
			its = append(its, r)
		}
	}
	return say(w, its)
}
