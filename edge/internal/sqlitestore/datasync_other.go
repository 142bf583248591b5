//go:build !linux

package sqlitestore

// datasyncVFS names none: SQLite's own is used, with fsync.
func datasyncVFS() string { return "" }
