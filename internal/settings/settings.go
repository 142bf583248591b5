// Package settings reads a program's configuration: a JSON file and the environment over
// it. Flags are the program's own and come last.
//
// It must never let a misspelt setting pass in silence: unknown keys of either are errors.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// fileBytesMax bounds the configuration file.
const fileBytesMax = 1 << 20

// Environment splits the form of os.Environ.
func Environment(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		out[k] = v
	}
	return out
}

// Load fills a pointer to a struct with env and json tags from a file (none where the path
// is empty) and from the variables with the prefix.
func Load(into any, path, prefix string, environment map[string]string) error {
	if path != "" {
		if err := loadFile(into, path); err != nil {
			return fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	options := env.Options{Prefix: prefix, Environment: environment}
	known, err := env.GetFieldParamsWithOptions(into, options)
	if err != nil {
		return fmt.Errorf("configuration keys: %w", err)
	}
	var unknown []string
	for name := range environment {
		if strings.HasPrefix(name, prefix) && !slices.ContainsFunc(known, func(p env.FieldParams) bool { return p.Key == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return fmt.Errorf("the environment holds what is no setting: %s", strings.Join(unknown, ", "))
	}
	if err := env.ParseWithOptions(into, options); err != nil {
		return fmt.Errorf("configuration from the environment: %w", err)
	}
	return nil
}

func loadFile(into any, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(text) > fileBytesMax {
		return fmt.Errorf("larger than %d bytes", fileBytesMax)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("more than one value")
	}
	return nil
}
