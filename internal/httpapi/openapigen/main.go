// Command openapigen writes the OpenAPI document from the code that serves it, and copies
// the files of swagger-ui-dist where npm has installed it. go generate runs it in the
// folder of package httpapi.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"estate/internal/httpapi"
)

const (
	documentFile = "openapi.json"
	distFolder   = "../../node_modules/swagger-ui-dist"
	embedFolder  = "swagger"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "openapigen:", err)
		os.Exit(1)
	}
}

func run() error {
	document, err := httpapi.Document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(documentFile, document, 0o644); err != nil { //nolint:gosec // a file of the source tree
		return fmt.Errorf("write the document: %w", err)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css", "LICENSE", "NOTICE"} {
		content, err := os.ReadFile(filepath.Join(distFolder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // npm has not installed it: the plain list serves
		}
		if err != nil {
			return fmt.Errorf("read the documentation's files: %w", err)
		}
		if err := os.WriteFile(filepath.Join(embedFolder, name), content, 0o644); err != nil { //nolint:gosec // likewise
			return fmt.Errorf("write the documentation's files: %w", err)
		}
	}
	return nil
}
