package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"estate/cloud"
	"estate/internal/backup"
)

// printed is what a backup or restore says on standard output.
type printed struct {
	File string `json:"file"`
	// Files and Bytes count what the archive holds, before compression.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	backup.Manifest
	// Entries hides the long list of the manifest.
	Entries []backup.Entry `json:"entries,omitempty"`
}

// archive makes or restores a backup. The first argument is the file.
func archive(ctx context.Context, command string, args []string, environment map[string]string, out, errs io.Writer) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		fmt.Fprint(errs, usage)
		return fmt.Errorf("%s needs a file first", command)
	}
	file, rest := args[0], args[1:]
	var progress backup.Progress
	if i := slices.Index(rest, "--progress"); i >= 0 {
		rest, progress = slices.Delete(slices.Clone(rest), i, i+1), backup.Lines(errs)
	}
	cfg, err := configure(rest, environment, errs)
	if err != nil {
		return err
	}
	cfg.Version = version
	var m backup.Manifest
	if command == "backup" {
		m, err = cloud.BackupAt(ctx, cfg, time.Now, file, progress)
	} else {
		m, err = cloud.RestoreAt(ctx, cfg, file, progress)
	}
	if err != nil {
		return err
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(printed{File: file, Files: len(m.Entries), Bytes: m.Bytes(), Manifest: m})
}
