// Package signin is how the operator's commands get to speak for a person.
//
// It must never take a password from the command line, where other accounts of the machine
// can read it, nor print one.
package signin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"estate/internal/apiclient"
	"estate/internal/desk"
	"estate/internal/problem"
)

// Variables of the environment.
const (
	emailVariable    = "ESTATE_EMAIL"
	passwordVariable = "ESTATE_PASSWORD"
	tokenVariable    = "ESTATE_TOKEN"
	apiVariable      = "ESTATE_API"
)

// waitMax bounds how long a command waits for a sign-in that its server puts off: the longest
// wait that a server asks for is 30 seconds.
const waitMax = time.Minute

// Flags are the flags of a command that signs in.
type Flags struct {
	api, email, passwordFile string
}

// Add adds the flags to a command.
func (f *Flags) Add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.api, "api", os.Getenv(apiVariable), "address of an edge or the cloud, such as http://127.0.0.1:8080 (or "+apiVariable+")")
	cmd.Flags().StringVar(&f.email, "email", os.Getenv(emailVariable), "who signs in (or "+emailVariable+")")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "file with the password (or "+passwordVariable+", or an access token in "+tokenVariable+")")
}

// SignIn gives a client that speaks for the person.
func (f *Flags) SignIn(ctx context.Context) (*apiclient.Client, error) {
	if f.api == "" {
		return nil, errors.New("give the address of an edge or the cloud with --api")
	}
	client, err := apiclient.New(f.api)
	if err != nil {
		return nil, err
	}
	if token := os.Getenv(tokenVariable); token != "" {
		return client.With(token), nil
	}
	password, err := f.password()
	if err != nil {
		return nil, err
	}
	signed, err := patiently(ctx, client, f.email, password)
	if err != nil {
		return nil, fmt.Errorf("sign %s in at %s: %w", f.email, f.api, err)
	}
	return signed, nil
}

// patiently signs in, and waits where the server says that there were too many sign-ins: a
// script of many commands comes from one address, and each of them signs in.
func patiently(ctx context.Context, client *apiclient.Client, email, password string) (*apiclient.Client, error) {
	for waited := time.Duration(0); ; {
		signed, _, err := client.SignIn(ctx, email, password)
		var refused *apiclient.Error
		if err == nil || !errors.As(err, &refused) || refused.Code != problem.RateLimited || refused.Wait <= 0 || waited+refused.Wait > waitMax {
			return signed, err
		}
		fmt.Fprintf(os.Stderr, "Too many sign-ins from here; the next try is in %s.\n", refused.Wait)
		pause := time.NewTimer(refused.Wait)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, errors.Join(ctx.Err(), err)
		case <-pause.C:
		}
		waited += refused.Wait
	}
}

func (f *Flags) password() (string, error) {
	if f.email == "" {
		return "", fmt.Errorf("say who signs in with --email or %s", emailVariable)
	}
	if f.passwordFile == "" {
		if password := os.Getenv(passwordVariable); password != "" {
			return password, nil
		}
		return "", fmt.Errorf("give the password in a file with --password-file, or in %s", passwordVariable)
	}
	text, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// Building finds a building that the caller may see by code, name or id.
func Building(ctx context.Context, client *apiclient.Client, name string) (desk.Building, error) {
	all, err := client.Buildings(ctx)
	if err != nil {
		return desk.Building{}, fmt.Errorf("list the buildings: %w", err)
	}
	known := make([]string, 0, len(all))
	for _, b := range all {
		if strings.EqualFold(b.Code, name) || strings.EqualFold(b.Name, name) || strings.EqualFold(b.ID.String(), name) {
			return b, nil
		}
		known = append(known, b.Code)
	}
	return desk.Building{}, fmt.Errorf("no building is called %q here; there are: %s", name, strings.Join(known, ", "))
}
