package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"estate/internal/apiclient"
	"estate/internal/lab"
)

const (
	adminEmail = "admin@demo.example"
	// secretFile holds the first administrator's password for the cloud to read.
	secretFile = "admin-password"
)

// Cloud is one cloud process.
type Cloud struct {
	Name    string
	stack   *Stack
	port    int
	process *lab.Process
}

// Base is the address of its API.
func (c *Cloud) Base() string { return "http://" + address(c.port) }

// Process is the running program.
func (c *Cloud) Process() *lab.Process { return c.process }

// StartCloud starts a cloud process, or starts one of that name again.
func (s *Stack) StartCloud(ctx context.Context, name string) (*Cloud, error) {
	c := s.Cloud(name)
	if c == nil {
		port, err := s.port(ctx, name)
		if err != nil {
			return nil, err
		}
		c = &Cloud{Name: name, stack: s, port: port}
	}
	if err := s.chooseAdmin(); err != nil {
		return nil, err
	}
	s.progress("cloud: starting %s on %s", name, c.Base())
	process, err := s.start(ctx, lab.Spec{
		Name: name, Path: s.options.Binaries.Cloud, ReadyURL: c.Base() + "/readyz",
		Args: []string{"--listen", address(c.port), "--data", filepath.Join(s.options.Dir, "cloud"),
			"--bootstrap-admin-email", adminEmail, "--bootstrap-admin-password-file", filepath.Join(s.options.Dir, secretFile)},
		// Not an argument: other accounts of this machine can read those.
		Env: []string{"ESTATE_CLOUD_DATABASE_URL=" + s.url},
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	c.process = process
	s.clouds[name] = c
	s.mu.Unlock()
	return c, s.notePIDs()
}

// Cloud finds a cloud process by name; nil where none was started.
func (s *Stack) Cloud(name string) *Cloud {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clouds[name]
}

// chooseAdmin makes the first administrator's password once.
func (s *Stack) chooseAdmin() error {
	if s.State.Admin.Password == "" {
		admin := Person{Key: "admin", Name: "Demo Admin", Email: adminEmail, Password: newPassword()}
		if err := s.remember(func() { s.State.Admin = admin }); err != nil {
			return err
		}
	}
	path := filepath.Join(s.options.Dir, secretFile)
	if err := os.WriteFile(path, []byte(s.State.Admin.Password+"\n"), 0o600); err != nil {
		return fmt.Errorf("keep the administrator's password: %w", err)
	}
	return nil
}

// SignIn gives a client of a server that speaks for a seeded person, or for the
// administrator under the key admin.
func (s *Stack) SignIn(ctx context.Context, base, key string) (*apiclient.Client, error) {
	person := s.State.Person(key)
	if key == "admin" {
		person = &s.State.Admin
	}
	if person == nil {
		return nil, fmt.Errorf("sign in: nobody is called %q here", key)
	}
	client, err := apiclient.New(base)
	if err != nil {
		return nil, err
	}
	signed, _, err := client.SignIn(ctx, person.Email, person.Password)
	if err != nil {
		return nil, fmt.Errorf("sign %s in at %s: %w", key, base, err)
	}
	return signed, nil
}

// Kill9 ends the process as a power cut would.
func (c *Cloud) Kill9() error {
	if c.process == nil {
		return errors.New("kill a cloud: it does not run")
	}
	return c.process.Kill9()
}
