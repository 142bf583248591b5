package main

import (
	"context"
	"flag"

	"estate/edge"
	"estate/internal/backup"
)

// printed is what a backup or restore says on standard output.
type printed struct {
	File string `json:"file"`
	// Files and Bytes count what the archive holds, before compression.
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	edge.Restored
	// Entries hides the long list of the manifest.
	Entries []backup.Entry `json:"entries,omitempty"`
}

func summary(file string, r edge.Restored) printed {
	return printed{File: file, Files: len(r.Entries), Bytes: r.Bytes(), Restored: r}
}

func (p program) backup(ctx context.Context, args []string) error {
	var progress bool
	cfg, now, words, err := p.parse("backup", args, func(f *flag.FlagSet, _ *edge.Config) {
		f.BoolVar(&progress, "progress", false, "print lines of progress")
	})
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return p.wrong("backup needs the file to write, and nothing else")
	}
	m, err := edge.BackupAt(ctx, cfg, now, words[0], p.progress(progress))
	if err != nil {
		return err
	}
	return p.print(summary(words[0], edge.Restored{Manifest: m}))
}

func (p program) restore(ctx context.Context, args []string) error {
	var progress, replace bool
	cfg, now, words, err := p.parse("restore", args, func(f *flag.FlagSet, _ *edge.Config) {
		f.BoolVar(&progress, "progress", false, "print lines of progress")
		f.BoolVar(&replace, "replace", false, "set data that is there aside")
	})
	if err != nil {
		return err
	}
	if len(words) != 1 {
		return p.wrong("restore needs the file to read, and nothing else")
	}
	r, err := edge.RestoreAt(ctx, cfg, now, words[0], replace, p.progress(progress))
	if err != nil {
		return err
	}
	return p.print(summary(words[0], r))
}

func (p program) progress(wanted bool) backup.Progress {
	if !wanted {
		return nil
	}
	return backup.Lines(p.errs)
}
