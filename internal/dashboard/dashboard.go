// Package dashboard is the plain page at /dashboard/: static files that a browser runs as
// they are, without a build step and without anything from elsewhere.
//
// It must never hold data or decide a right: the page knows what the public API tells the
// person who signed in.
package dashboard

import (
	"embed"
	"io/fs"
)

// folder holds the files as they are served.
const folder = "static"

//go:embed static
var static embed.FS

// Files are the page's files, with index.html at the root.
func Files() fs.FS {
	files, err := fs.Sub(static, folder)
	if err != nil {
		panic("dashboard: " + err.Error()) // the name above is no valid path
	}
	return files
}
